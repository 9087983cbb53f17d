drop table task_execution_logs;
drop table foreign_changes;
drop function taskscope_note_change();
drop function taskscope_touch();
drop function taskscope_ensure_partition(date);
