-- What the product's own task types read and write. Their queue is apalis' own schema, which it migrates itself.

create table messages (
    id              bigint      generated always as identity primary key,
    -- Its name outside, such as telegram:-1001234567890:42: the same message from two sources is one row.
    external_id     text        constraint messages_external_id_unique unique,
    channel         text,
    author          text        not null,
    content         text        not null,
    sent_at         timestamptz not null,
    edited_at       timestamptz,
    -- The external id of the message that it answers.
    reply_to        text,
    forwarded_from  text,
    source          text        not null default 'api'
        constraint message_source_known check (source in ('api', 'bot_api', 'webhook', 'export', 'sample')),
    -- It came with the program, to try it.
    sample          boolean     not null default false,
    created_at      timestamptz not null default now(),
    -- How important it is. An edit takes it back.
    score           float8      constraint score_from_0_to_1 check (score between 0 and 1),
    score_factors   jsonb,
    scored_at       timestamptz
);

-- Messages of a time window, newest first, and how lively it was around one.
create index messages_by_time on messages (sent_at desc, id desc);
-- What waits to be scored, oldest first.
create index messages_unscored on messages (id) where score is null;
-- The answers to a message, for how much others heed its author.
create index messages_by_reply on messages (reply_to) where reply_to is not null;

-- Where reading a bot's updates goes on. Written together with the messages read, so that none is lost or read twice.
create table telegram_offsets (
    -- The public part of the bot's token.
    bot             text        primary key,
    next_update_id  bigint      not null,
    updated_at      timestamptz not null default now()
);

-- How far an import has come; all attempts of one task share the row.
create table ingest_runs (
    id           bigint      generated always as identity primary key,
    task_id      text        not null constraint ingest_runs_task_unique unique,
    source       text        not null,
    origin       text        not null,
    -- How many there are, where that is known beforehand.
    total        bigint,
    -- Messages looked at, and what became of them; the rest was there already.
    done         bigint      not null default 0,
    added        bigint      not null default 0,
    updated      bigint      not null default 0,
    skipped      bigint      not null default 0,
    started_at   timestamptz not null default now(),
    finished_at  timestamptz
);

create table alerts (
    id               bigint      generated always as identity primary key,
    created_at       timestamptz not null default now(),
    -- recorded: there was no webhook to post it to.
    status           text        not null constraint alert_status_known check (status in ('pending', 'sent', 'recorded')),
    failures         bigint      not null,
    -- By task type and error: how many, since when, and an example.
    groups           jsonb       not null,
    sent_at          timestamptz,
    last_error       text
);

create index alerts_pending on alerts (id) where status = 'pending';

-- The failed executions that an alert has told: none is told twice, also where its event comes late.
create table alerted_failures (
    execution_id       bigint      primary key,
    alert_id           bigint      not null references alerts on delete cascade,
    task_name          text        not null,
    error_fingerprint  text        not null,
    alerted_at         timestamptz not null default now()
);

-- When a group of failures was last told.
create index alerted_failures_by_group on alerted_failures (task_name, error_fingerprint, alerted_at desc);
create index alerted_failures_by_time on alerted_failures (alerted_at);

create table digests (
    id            bigint      generated always as identity primary key,
    -- All attempts of one task make one digest.
    task_id       text        not null constraint digests_task_unique unique,
    window_start  timestamptz not null,
    window_end    timestamptz not null,
    content       jsonb       not null,
    created_at    timestamptz not null default now(),
    posted_at     timestamptz
);
