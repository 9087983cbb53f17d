-- The execution log (T001–T003): one row an attempt of a task, in one partition a day.
--
-- Anybody may write rows by SQL with task_name, status, duration_ms and created_at only; so every other column has a default or is
-- nullable, and the triggers below tell the server about such rows.

create sequence task_execution_logs_id_seq as bigint;

create table task_execution_logs (
    id                bigint      not null default nextval('task_execution_logs_id_seq'),
    task_name         text        not null constraint task_name_not_empty check (task_name <> ''),
    status            text        not null default 'pending'
        constraint status_known check (status in ('pending', 'running', 'success', 'failed')),
    -- The broker's id of the task: all attempts share it.
    task_id           text,
    params            jsonb,
    started_at        timestamptz,
    completed_at      timestamptz,
    duration_ms       bigint      constraint duration_not_negative check (duration_ms >= 0),
    error_message     text,
    error_traceback   text,
    -- The earliest time known of the execution. It moves back when an earlier event comes late.
    created_at        timestamptz not null default now(),
    updated_at        timestamptz not null default now(),
    attempt           integer     not null default 1 constraint attempt_from_one check (attempt >= 1),
    max_retries       integer,
    queue             text,
    worker            text,
    labels            jsonb,
    result            jsonb,
    queued_at         timestamptz,
    source            text        not null default 'sql'
        constraint source_known check (source in ('native', 'taskiq', 'sql')),
    -- The run time that the reporter gave, where duration_ms is worked out from start and end.
    reported_ms       bigint,
    -- What the recorder must remember so that events give the same rows in any order; nearly always null.
    memo              jsonb,
    -- Failures are found by this column: an index that mentions status would end HOT updates of every status change
    -- (measured on PG 15: 0 of 20,000 updates HOT with it, 15,791 with an index on this column).
    failed_at         timestamptz generated always as (case when status = 'failed' then coalesce(completed_at, created_at) end) stored,
    -- The same for errors that differ in numbers only.
    error_fingerprint text        generated always as (md5(regexp_replace(error_message, '[0-9]+', '#', 'g'))) stored,
    constraint task_execution_logs_pkey primary key (created_at, id)
) partition by range (created_at);

alter sequence task_execution_logs_id_seq owned by task_execution_logs.id;

-- History of one task type, newest first.
create index task_execution_logs_by_name on task_execution_logs (task_name, created_at desc, id desc);
-- The recorder finds the attempts of a task.
create index task_execution_logs_by_task on task_execution_logs (task_id) where task_id is not null;
-- One execution by its id, which is all that a link holds.
create index task_execution_logs_by_id on task_execution_logs (id);
-- Failures, newest first.
create index task_execution_logs_failures on task_execution_logs (created_at desc, id desc) where failed_at is not null;

-- Rows whose day has no partition: written by SQL far from today. Retention deletes from it row by row.
create table task_execution_logs_default partition of task_execution_logs default;

-- Makes the partition of a day, and says whether it had to. A day that already has rows in the default partition stays there.
create function taskscope_ensure_partition(day date) returns boolean language plpgsql as $$
declare
    name text := 'task_execution_logs_' || to_char(day, 'YYYYMMDD');
begin
    if to_regclass(name) is not null then
        return false;
    end if;
    execute format(
        'create table %I partition of task_execution_logs for values from (%L) to (%L) with (fillfactor = 80)',
        name, day::timestamp at time zone 'UTC', (day + 1)::timestamp at time zone 'UTC'
    );
    return true;
exception
    when check_violation then
        return false;
    when duplicate_table then
        return false;
end
$$;

select taskscope_ensure_partition(day::date)
from generate_series((now() at time zone 'UTC')::date - 1, (now() at time zone 'UTC')::date + 7, interval '1 day') as day;

-- What others than the recorder did to the log, for the recorder to make live events of. The recorder says
-- `set local taskscope.recorder = 'on'`.
create table foreign_changes (
    id             bigint generated always as identity primary key,
    row_id         bigint not null,
    old_task_name  text,
    old_status     text,
    new_status     text
);

create function taskscope_note_change() returns trigger language plpgsql as $$
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

create trigger note_change after insert or update or delete on task_execution_logs
    for each row when (current_setting('taskscope.recorder', true) is distinct from 'on')
    execute function taskscope_note_change();

create function taskscope_touch() returns trigger language plpgsql as $$
begin
    new.updated_at := now();
    return new;
end
$$;

create trigger touch before update on task_execution_logs
    for each row when (current_setting('taskscope.recorder', true) is distinct from 'on')
    execute function taskscope_touch();
