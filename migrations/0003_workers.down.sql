create or replace function taskscope_note_change() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into foreign_changes (row_id, new_status) values (new.id, new.status);
    elsif tg_op = 'UPDATE' then
        insert into foreign_changes (row_id, old_task_name, old_status, new_status)
        values (new.id, old.task_name, old.status, new.status);
    else
        insert into foreign_changes (row_id, old_task_name, old_status) values (old.id, old.task_name, old.status);
    end if;
    perform pg_notify('taskscope_foreign', '');
    return null;
end
$$;
alter table task_execution_logs drop column error_type;
drop function taskscope_stalled;
drop table task_active;
drop table workers;
