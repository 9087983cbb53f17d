-- What is redacted beyond the defaults: one row for all servers on this database. Each asks for it every second or two and keeps a copy on its disk, so that
-- the rules hold while Postgres is away, too.
create table redaction (
    only_row    boolean     primary key default true constraint redaction_has_one_row check (only_row),
    keys        text[]      not null default '{}',
    patterns    text[]      not null default '{}',
    exceptions  text[]      not null default '{}',
    -- Goes up with every change, so that servers see one without comparing.
    version     bigint      not null default 0,
    changed_at  timestamptz
);

insert into redaction default values;
