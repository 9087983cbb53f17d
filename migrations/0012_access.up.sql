-- Who may come in. Secrets are stored as what they can be recognised by and not be made of: passwords as argon2id, tokens as SHA-256.
create table accounts (
    id             uuid        primary key default gen_random_uuid(),
    name           text        not null constraint account_name_short check (length(name) between 1 and 64),
    role           text        not null constraint account_role_known check (role in ('viewer', 'operator', 'admin')),
    -- None for those who come through another service only.
    password_hash  text,
    -- Who an OpenID provider says that it is.
    issuer         text,
    subject        text,
    disabled       boolean     not null default false,
    created_at     timestamptz not null default now(),
    last_login_at  timestamptz,
    constraint account_of_provider unique (issuer, subject)
);

create unique index account_name_once on accounts (lower(name));

create table sessions (
    digest      bytea       primary key,
    account_id  uuid        not null references accounts on delete cascade,
    created_at  timestamptz not null default now(),
    expires_at  timestamptz not null
);

create index sessions_of_account on sessions (account_id);

create table access_tokens (
    id            uuid        primary key default gen_random_uuid(),
    digest        bytea       not null constraint access_token_once unique,
    name          text        not null constraint access_token_name_short check (length(name) between 1 and 64),
    kind          text        not null constraint access_token_kind_known check (kind in ('ingest', 'api')),
    role          text        constraint access_token_role_known check (role in ('viewer', 'operator', 'admin')),
    sources       text[]      not null default '{}',
    created_by    text        not null,
    created_at    timestamptz not null default now(),
    expires_at    timestamptz,
    last_used_at  timestamptz,
    constraint access_token_role_for_api check ((kind = 'api') = (role is not null))
);

create table audit_log (
    id          bigint      generated always as identity primary key,
    at          timestamptz not null default now(),
    actor       text        not null,
    via         text        not null,
    address     text,
    action      text        not null,
    target      text        not null,
    status      smallint    not null,
    request_id  text
);

create index audit_log_by_actor on audit_log (actor, id);

-- Servers keep what is above in memory, so that nobody is shut out while the database is away; they look whether this has changed.
create table access_version (
    one      boolean primary key default true constraint access_version_is_one check (one),
    version  bigint  not null default 0
);

insert into access_version default values;

create function taskscope_access_changed() returns trigger language plpgsql as $$
begin
    update access_version set version = version + 1;
    return null;
end
$$;

create trigger access_changed after insert or delete or update of name, role, password_hash, disabled on accounts
    for each statement execute function taskscope_access_changed();
create trigger access_changed after insert or delete on sessions
    for each statement execute function taskscope_access_changed();
create trigger access_changed after insert or delete or update of role, sources, expires_at on access_tokens
    for each statement execute function taskscope_access_changed();
