-- Workers that send heartbeats, by the name that their events carry. Times are the server's, so that no worker's clock matters.
create table workers (
    worker       text        primary key,
    host         text        not null,
    pid          bigint      not null,
    client       text        not null,
    version      text,
    queues       text[]      not null default '{}',
    concurrency  bigint,
    started_at   timestamptz not null,
    first_seen   timestamptz not null default now(),
    last_seen    timestamptz not null,
    interval_ms  integer     not null,
    buffered     bigint      not null default 0,
    dropped      bigint      not null default 0,
    -- It said that it ends.
    stopped      boolean     not null default false
) with (fillfactor = 50);

-- The executions that are pending or running: what waits, what runs where, and what of it stalls, without a look at the log. The
-- recorder keeps it in the transaction that writes the log, the triggers do for rows written by SQL.
create table task_active (
    id          bigint      primary key,
    created_at  timestamptz not null,
    task_name   text        not null,
    status      text        not null,
    queue       text,
    worker      text,
    -- When it started, or was queued.
    since       timestamptz not null,
    -- Why it counts as stalled.
    stalled     text        constraint stall_reason_known check (stalled in ('worker_gone', 'overdue'))
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

create index task_active_by_worker on task_active (worker) where status = 'running';

insert into task_active (id, created_at, task_name, status, queue, worker, since)
select id, created_at, task_name, status, queue, worker, coalesce(started_at, created_at)
from task_execution_logs where status in ('pending', 'running');

-- Why a running execution counts as stalled, if it does. A worker is gone when it missed two heartbeats; a tenth is taken off so that it
-- is told before the second interval is over. While a server hasn't listened for so long itself, what was said before stays.
create function taskscope_stalled(
    before text, since timestamptz, last_seen timestamptz, interval_ms integer, listening timestamptz, floor_ms float8, p99_ms float8
) returns text language sql stable as $$
    select case
        when last_seen < now() - interval '1.8 milliseconds' * interval_ms
            and (before = 'worker_gone' or listening < now() - interval '1.8 milliseconds' * interval_ms)
            then 'worker_gone'
        when since < now() - interval '1 millisecond' * greatest(floor_ms, p99_ms) and p99_ms is not null then 'overdue'
    end
$$;

alter table task_execution_logs add column error_type text;

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
