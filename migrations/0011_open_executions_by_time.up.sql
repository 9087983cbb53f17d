-- Pages of what waits or runs: in the log these rows lie between all that are over, and one that is stuck lies days behind the others.
create index task_active_by_time on task_active (created_at desc, id desc);
