-- The one sequencer of live messages. Whoever writes executions locks this row first, so that numbers are committed in their order and
-- two recorders never race for the attempts of one task.
create table live_stream (
    only_row boolean primary key default true constraint one_row check (only_row),
    epoch    text   not null default gen_random_uuid()::text,
    last_seq bigint not null default 0
);

insert into live_stream default values;

-- Live messages as they were sent, a batch a row: what a client that reconnects has missed.
create table live_batches (
    last_seq   bigint      primary key,
    first_seq  bigint      not null,
    created_at timestamptz not null default now(),
    -- JSON arrays of messages are kept as text: nothing looks inside.
    messages   text        not null
);

-- Events that Postgres refused, with its reason. Nothing that was accepted is dropped.
create table dead_letters (
    id          bigint generated always as identity primary key,
    received_at timestamptz not null default now(),
    reason      text        not null,
    event       text        not null
);
