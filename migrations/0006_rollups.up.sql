-- What was counted beforehand: totals, run and waiting times by hour and by day, so that counts, percentiles and deep pages cost the same
-- whatever the log holds.
--
-- They are exact at any moment, not only for hours that are over. The recorder adds what a batch changes as one row of rollup_deltas, in
-- the batch's own transaction; whoever reads adds the deltas that are left to the cells. Every second or so one server merges them into the cells. What
-- others write by SQL marks its hour in rollup_dirty: such an hour is read from the log until it has been counted anew.

-- A migration of a large log may take its time.
set local statement_timeout = 0;

create table execution_rollups (
    -- An hour or a day (UTC), which starts here.
    grain      text        not null constraint grain_known check (grain in ('hour', 'day')),
    start      timestamptz not null,
    task_name  text        not null,
    status     text        not null,
    total      bigint      not null,
    -- The minutes of an hour, the hours of a day: executions, those whose run time is known, and the sum of run times. The encodings are those
    -- of store/rollup/.
    parts      bytea       not null,
    -- Logarithmic buckets of run and waiting times in milliseconds.
    run        bytea       not null,
    wait       bytea       not null,
    constraint execution_rollups_pkey primary key (grain, start, task_name, status)
) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02);

-- All hours of one task type.
create index execution_rollups_by_name on execution_rollups (task_name, grain, start);

-- What batches changed and no cell holds yet. Ids are in the order of commits, since the sequencer's lock is held.
create table rollup_deltas (
    id      bigint generated always as identity primary key,
    hour    timestamptz not null,
    changes bytea       not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- Hours in which somebody else than the recorder wrote.
create table rollup_dirty (
    id   bigint generated always as identity primary key,
    hour timestamptz not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- How many waited, and how long the oldest had, looked at once a minute: slots of an hour. Null where nobody looked.
create table queue_samples (
    hour       timestamptz not null,
    task_name  text        not null,
    depth      integer[]   not null,
    oldest_ms  bigint[]    not null,
    constraint queue_samples_pkey primary key (hour, task_name)
) with (fillfactor = 60);

-- Marks the hour of a row. The hours that a transaction has marked last are remembered in a setting, which a rollback to a savepoint takes
-- back along with the marks.
create function taskscope_mark_hour(at timestamptz) returns void language plpgsql as $$
declare
    this_hour timestamptz := date_trunc('hour', at, 'UTC');
    marked text := coalesce(current_setting('taskscope.marked_hours', true), '');
    mark text := ';' || extract(epoch from this_hour)::bigint || ';';
begin
    if position(mark in marked) > 0 then
        return;
    end if;
    insert into rollup_dirty (hour) values (this_hour);
    perform set_config('taskscope.marked_hours', right(marked, 400) || mark, true);
end
$$;

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
    if tg_op <> 'INSERT' then
        perform taskscope_mark_hour(old.created_at);
    end if;
    if tg_op <> 'DELETE' then
        perform taskscope_mark_hour(new.created_at);
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

-- The lock of whoever writes cells, until the end of its transaction.
create function taskscope_lock_rollups() returns void language sql as $$ select pg_advisory_xact_lock(7239412806) $$;

create function taskscope_forget_rollups() returns trigger language plpgsql as $$
begin
    perform taskscope_lock_rollups();
    delete from execution_rollups;
    delete from rollup_deltas;
    delete from rollup_dirty;
    delete from task_active;
    perform pg_notify('taskscope_foreign', '');
    return null;
end
$$;

create trigger forget_rollups after truncate on task_execution_logs
    for each statement execute function taskscope_forget_rollups();

-- What is there already is counted by the server, hour by hour. From hour to hour through the index.
insert into rollup_dirty (hour)
with recursive hours (hour) as (
    select date_trunc('hour', min(created_at), 'UTC') from task_execution_logs
    union all
    select (
        select date_trunc('hour', min(created_at), 'UTC') from task_execution_logs
        where created_at >= hours.hour + interval '1 hour'
    )
    from hours where hours.hour is not null
)
select hour from hours where hour is not null;
