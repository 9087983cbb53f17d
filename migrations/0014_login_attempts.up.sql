-- Logins that were begun and sent to the OpenID provider. The browser has a secret in a cookie, and everything else comes from it: here stands what it is
-- recognised by, so that it counts once, for ten minutes, on whichever server somebody comes back to.
create table login_attempts (
    digest    bytea       primary key,
    -- Where the login leads.
    next      text        not null,
    begun_at  timestamptz not null default now()
);

create index login_attempts_by_age on login_attempts (begun_at);
