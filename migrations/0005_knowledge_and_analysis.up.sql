-- Language models, what was learned from messages with them, and the analysis runs that propose tasks.

-- Likeness of texts. Comes with Postgres (contrib), and an owner of the database may create it.
create extension if not exists pg_trgm;

create table providers (
    id                     uuid        primary key default gen_random_uuid(),
    name                   text        not null constraint provider_name_unique unique,
    type                   text        not null constraint provider_type_known check (type in ('ollama', 'openai', 'keyword')),
    -- The keyword provider is part of the program and has none.
    base_url               text        constraint provider_has_base_url check (type = 'keyword' or base_url is not null),
    -- The key, encrypted; or the name of the environment variable that holds it.
    api_key_sealed         bytea,
    api_key_env            text,
    is_active              boolean     not null default true,
    validation_status      text        not null default 'pending'
        constraint provider_validation_status_known check (validation_status in ('pending', 'connected', 'error')),
    last_validation_error  text,
    last_validated_at      timestamptz,
    models                 text[]      not null default '{}',
    created_at             timestamptz not null default now(),
    updated_at             timestamptz not null default now(),
    constraint provider_one_key check (api_key_sealed is null or api_key_env is null)
);

create table agents (
    id             uuid        primary key default gen_random_uuid(),
    name           text        not null constraint agent_name_unique unique,
    description    text        not null default '',
    provider_id    uuid        not null constraint agent_provider_exists references providers,
    model_name     text        not null,
    system_prompt  text        not null,
    temperature    float8      not null default 0.2 constraint agent_temperature_0_to_2 check (temperature between 0 and 2),
    max_tokens     integer     not null default 4096 constraint agent_max_tokens_positive check (max_tokens > 0),
    is_active      boolean     not null default true,
    created_at     timestamptz not null default now(),
    updated_at     timestamptz not null default now()
);
create index agents_by_provider on agents (provider_id);

create table task_configs (
    id               uuid        primary key default gen_random_uuid(),
    name             text        not null constraint task_config_name_unique unique,
    description      text        not null default '',
    response_schema  jsonb       not null,
    is_active        boolean     not null default true,
    created_at       timestamptz not null default now(),
    updated_at       timestamptz not null default now()
);

create table agent_assignments (
    id          uuid        primary key default gen_random_uuid(),
    agent_id    uuid        not null constraint assignment_agent_exists references agents,
    task_id     uuid        not null constraint assignment_task_config_exists references task_configs,
    is_active   boolean     not null default true,
    created_at  timestamptz not null default now(),
    constraint assignment_unique unique (agent_id, task_id)
);
create index agent_assignments_by_task on agent_assignments (task_id);

create table projects (
    id           uuid        primary key default gen_random_uuid(),
    name         text        not null constraint project_name_unique unique,
    description  text        not null default '',
    keywords     text[]      not null,
    is_active    boolean     not null default true,
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now()
);

create table analysis_runs (
    id                        uuid        primary key default gen_random_uuid(),
    status                    text        not null default 'pending' constraint run_status_known
        check (status in ('pending', 'running', 'completed', 'reviewed', 'closed', 'failed', 'cancelled')),
    time_window_start         timestamptz not null,
    time_window_end           timestamptz not null,
    -- No reference: a run whose assignment is gone must still be there to say so.
    agent_assignment_id       uuid        not null,
    project_config_id         uuid        constraint run_project_exists references projects,
    trigger_type              text        not null default 'manual'
        constraint run_trigger_type_known check (trigger_type in ('manual', 'scheduled', 'custom')),
    agent_name                text,
    config_snapshot           jsonb       not null default '{}',
    -- The task that executes it, from the moment that it is queued.
    task_id                   text,
    -- The attempt that executes it now. An earlier one that still lives finds another one here, and writes nothing more.
    executor                  uuid,
    created_at                timestamptz not null default now(),
    updated_at                timestamptz not null default now(),
    started_at                timestamptz,
    completed_at              timestamptz,
    closed_at                 timestamptz,
    total_messages_in_window  bigint      not null default 0,
    messages_after_prefilter  bigint      not null default 0,
    messages_processed        bigint      not null default 0,
    batches_created           bigint      not null default 0,
    batches_done              bigint      not null default 0,
    proposals_total           bigint      not null default 0,
    proposals_pending         bigint      not null default 0,
    proposals_approved        bigint      not null default 0,
    proposals_rejected        bigint      not null default 0,
    proposals_merged          bigint      not null default 0,
    prompt_tokens             bigint      not null default 0,
    completion_tokens         bigint      not null default 0,
    llm_tokens                bigint      not null generated always as (prompt_tokens + completion_tokens) stored,
    -- US dollars.
    cost                      float8,
    error_log                 jsonb,
    accuracy_metrics          jsonb,
    constraint run_window_ordered check (time_window_start < time_window_end),
    constraint run_proposals_add_up
        check (proposals_total = proposals_pending + proposals_approved + proposals_rejected + proposals_merged)
);
create index analysis_runs_by_time on analysis_runs (created_at desc, id desc);

-- The batches of a run, made once, so that a run that is interrupted goes on with the first that is not done.
create table analysis_batches (
    run_id             uuid        not null references analysis_runs on delete cascade,
    -- From 1.
    number             bigint      not null,
    message_ids        bigint[]    not null,
    done_at            timestamptz,
    proposals          bigint      not null default 0,
    prompt_tokens      bigint      not null default 0,
    completion_tokens  bigint      not null default 0,
    cost               float8,
    primary key (run_id, number)
);

create table analysis_log (
    id      bigint      generated always as identity primary key,
    run_id  uuid        not null references analysis_runs on delete cascade,
    at      timestamptz not null default now(),
    line    text        not null
);
create index analysis_log_by_run on analysis_log (run_id, id);

create table proposals (
    id                    uuid        primary key default gen_random_uuid(),
    run_id                uuid        not null constraint proposal_run_exists references analysis_runs on delete cascade,
    batch                 bigint      not null,
    -- Its place among those of its batch, from 1.
    place                 integer     not null,
    proposed_title        text        not null,
    proposed_description  text        not null,
    proposed_priority     text        not null constraint proposal_priority_known
        check (proposed_priority in ('low', 'medium', 'high', 'urgent', 'critical')),
    proposed_category     text        not null constraint proposal_category_known
        check (proposed_category in ('bug', 'feature', 'task', 'documentation', 'technical_debt')),
    proposed_tags         text[]      not null default '{}',
    confidence            float8      not null constraint proposal_confidence_0_to_1 check (confidence between 0 and 1),
    source_message_ids    bigint[]    not null,
    reasoning             text        not null,
    llm_recommendation    text        not null constraint proposal_recommendation_known
        check (llm_recommendation in ('new_task', 'update_existing', 'merge', 'reject')),
    project_config_id     uuid        constraint proposal_project_exists references projects,
    duplicate_of          uuid        constraint proposal_duplicate_exists references proposals on delete set null,
    similarity            float8,
    status                text        not null default 'pending' constraint proposal_status_known
        check (status in ('pending', 'approved', 'rejected', 'merged')),
    merged_into           uuid        constraint proposal_target_exists references proposals on delete set null,
    reviewed_at           timestamptz,
    created_at            timestamptz not null default now(),
    constraint proposal_once unique (run_id, batch, place)
);
create index proposals_by_time on proposals (created_at desc, id desc);
-- The earlier proposal that says the same; those that say it again are not asked for. With GIN, texts that share most words cost a look at
-- every row of 20,000 (0.6 s); GiST finds the nearest one in 0.5 to 20 ms, with signatures long enough for whole sentences. An entry may
-- hold three bytes for every character and must fit a page, so only the beginnings of texts are compared.
create index proposals_by_text on proposals
    using gist (left(proposed_title || ' ' || proposed_description, 2000) gist_trgm_ops (siglen = 256))
    where duplicate_of is null;
create index proposals_by_duplicate on proposals (duplicate_of) where duplicate_of is not null;
create index proposals_by_target on proposals (merged_into) where merged_into is not null;

create table topics (
    id             uuid        primary key default gen_random_uuid(),
    name           text        not null,
    description    text        not null default '',
    summary        text,
    summarized_at  timestamptz,
    created_at     timestamptz not null default now(),
    updated_at     timestamptz not null default now()
);
-- One topic, however it is written.
create unique index topic_name_unique on topics (lower(name));
create index topics_by_change on topics (updated_at desc, id desc);

create table atoms (
    id             uuid        primary key default gen_random_uuid(),
    topic_id       uuid        not null constraint atom_topic_exists references topics on delete cascade,
    kind           text        not null constraint atom_kind_known
        check (kind in ('problem', 'solution', 'decision', 'insight', 'question', 'pattern', 'requirement')),
    title          text        not null,
    content        text        not null,
    confidence     float8      not null constraint atom_confidence_0_to_1 check (confidence between 0 and 1),
    status         text        not null default 'pending'
        constraint atom_status_known check (status in ('pending', 'approved', 'rejected')),
    auto_approved  boolean     not null default false,
    -- When somebody last decided about this version: the clock decides nothing after that.
    reviewed_at    timestamptz,
    version        bigint      not null default 1,
    created_at     timestamptz not null default now(),
    updated_at     timestamptz not null default now()
);
-- The same knowledge found again is the same atom.
create unique index atom_once on atoms (topic_id, kind, lower(title));
create index atoms_by_time on atoms (created_at desc, id desc);
create index atoms_pending on atoms (confidence desc) where status = 'pending' and reviewed_at is null;

-- How atoms were, the current version among them.
create table atom_versions (
    atom_id     uuid        not null references atoms on delete cascade,
    version     bigint      not null,
    title       text        not null,
    content     text        not null,
    confidence  float8      not null,
    created_at  timestamptz not null default now(),
    primary key (atom_id, version)
);

-- The messages that an atom came from.
create table atom_messages (
    atom_id     uuid    not null references atoms on delete cascade,
    message_id  bigint  not null references messages on delete cascade,
    primary key (atom_id, message_id)
);
create index atom_messages_by_message on atom_messages (message_id);

-- The messages that belong to a topic.
create table topic_messages (
    topic_id    uuid    not null references topics on delete cascade,
    message_id  bigint  not null references messages on delete cascade,
    primary key (topic_id, message_id)
);
create index topic_messages_by_message on topic_messages (message_id);

-- How one atom bears on another: a solution solves a problem.
create table atom_links (
    from_id  uuid  not null references atoms on delete cascade,
    to_id    uuid  not null references atoms on delete cascade,
    kind     text  not null constraint link_kind_known check (kind in ('solves', 'answers', 'supports', 'contradicts', 'relates_to')),
    primary key (from_id, to_id, kind),
    constraint link_between_two check (from_id <> to_id)
);
create index atom_links_back on atom_links (to_id);

-- Where texts lie among others. Vectors of one model can be compared, those of two can't.
create table embeddings (
    subject_type  text        not null constraint embedding_subject_known check (subject_type in ('message', 'atom', 'proposal')),
    -- The message's number, or the id of the atom or proposal.
    subject_id    text        not null,
    model         text        not null,
    -- Of what was embedded, to tell when it has changed.
    content_hash  bytea       not null,
    vector        real[]      not null,
    created_at    timestamptz not null default now(),
    primary key (subject_type, subject_id, model)
);

-- Up to where messages were looked through for knowledge.
alter table messages add column extracted_at timestamptz;
create index messages_unextracted on messages (id) where extracted_at is null;

-- What happened to runs, written in the transaction in which it happened. The server makes live messages of it, in the stream's order.
create table analysis_events (
    id     bigint  generated always as identity primary key,
    event  text    not null,
    data   jsonb   not null
);

create function tell_analysis_events() returns trigger language plpgsql as $$
begin
    perform pg_notify('taskscope_foreign', '');
    return null;
end
$$;

create trigger analysis_events_told after insert on analysis_events for each statement execute function tell_analysis_events();

-- What works without any model, so that everything can be tried at once.
insert into providers (id, name, type, validation_status, models)
values ('00000000-0000-4000-8000-000000000001', 'Keyword rules (built in)', 'keyword', 'connected', '{keyword-rules}');
insert into agents (id, name, description, provider_id, model_name, system_prompt)
values (
    '00000000-0000-4000-8000-000000000002', 'Keyword rules',
    'Finds tasks by rules instead of a language model. It needs no network.',
    '00000000-0000-4000-8000-000000000001', 'keyword-rules',
    'You read messages of a software team and propose the tasks that follow from them.'
);
insert into task_configs (id, name, description, response_schema)
values (
    '00000000-0000-4000-8000-000000000003', 'Task proposals', 'Tasks that follow from messages.',
    '{
        "type": "object", "required": ["proposals"], "additionalProperties": false,
        "properties": {"proposals": {"type": "array", "items": {
            "type": "object", "additionalProperties": false,
            "required": ["title", "description", "priority", "category", "tags", "confidence", "source_message_ids", "reasoning", "recommendation"],
            "properties": {
                "title": {"type": "string", "minLength": 1, "maxLength": 200},
                "description": {"type": "string", "minLength": 1},
                "priority": {"enum": ["low", "medium", "high", "urgent", "critical"]},
                "category": {"enum": ["bug", "feature", "task", "documentation", "technical_debt"]},
                "tags": {"type": "array", "items": {"type": "string"}},
                "confidence": {"type": "number", "minimum": 0, "maximum": 1},
                "source_message_ids": {"type": "array", "items": {"type": "integer"}, "minItems": 1},
                "reasoning": {"type": "string"},
                "recommendation": {"enum": ["new_task", "update_existing", "merge", "reject"]}
            }
        }}}
    }'
);
insert into agent_assignments (id, agent_id, task_id)
values ('00000000-0000-4000-8000-000000000004', '00000000-0000-4000-8000-000000000002', '00000000-0000-4000-8000-000000000003');
