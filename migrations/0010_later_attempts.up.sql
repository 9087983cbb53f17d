-- A migration of a large log may take its time.
set local statement_timeout = 0;

-- Later attempts of the failures on a page: few tasks have any, so that this index is small, where that of all ids is cold at each of its places.
create index task_execution_logs_later_attempts on task_execution_logs (task_id) where attempt > 1 and task_id is not null;
