-- A migration of a large log may take its time.
set local statement_timeout = 0;

-- Failures of one task type, newest first: those of a rare type would be looked for among the failures of all, or among all its executions.
create index task_execution_logs_failures_by_name on task_execution_logs (task_name, created_at desc, id desc)
    where failed_at is not null;
