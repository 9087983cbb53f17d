drop index task_active_by_time;
