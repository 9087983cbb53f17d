drop index task_execution_logs_error_text;
-- With the indexes of single days, which nothing else names.
drop function taskscope_task_text(text, jsonb) cascade;
drop function taskscope_error_text(text, text, text);
