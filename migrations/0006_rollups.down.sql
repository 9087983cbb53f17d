drop trigger forget_rollups on task_execution_logs;
drop function taskscope_forget_rollups();
drop function taskscope_lock_rollups();

create or replace function taskscope_note_change() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into foreign_changes (row_id, new_status) values (new.id, new.status);
    elsif tg_op = 'UPDATE' then
        insert into foreign_changes (row_id, old_task_name, old_status, new_status)
        values (new.id, old.task_name, old.status, new.status);
        delete from task_active where id = old.id;
    else
        insert into foreign_changes (row_id, old_task_name, old_status) values (old.id, old.task_name, old.status);
        delete from task_active where id = old.id;
    end if;
    if tg_op <> 'DELETE' and new.status in ('pending', 'running') then
        insert into task_active (id, created_at, task_name, status, queue, worker, since)
        values (new.id, new.created_at, new.task_name, new.status, new.queue, new.worker, coalesce(new.started_at, new.created_at))
        on conflict (id) do nothing;
    end if;
    perform pg_notify('taskscope_foreign', '');
    return null;
end
$$;

drop function taskscope_mark_hour(timestamptz);
drop table queue_samples;
drop table rollup_dirty;
drop table rollup_deltas;
drop table execution_rollups;
