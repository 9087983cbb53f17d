//! What a server holds in memory of who may come in.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use taskscope_wire::{Account, Role, Token};
use uuid::Uuid;

use super::{Login, Refused, secret::Digest};
use crate::server::store::{AccessRows, StoredAccount};

/// Accounts, sessions and tokens as of one moment.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// None before the database was read for the first time.
    version: Option<i64>,
    accounts: HashMap<Uuid, StoredAccount>,
    sessions: HashMap<Digest, (Uuid, DateTime<Utc>)>,
    tokens: HashMap<Digest, Token>,
}

impl Known {
    /// What was read. A session of an account that couldn't log in any more is none.
    pub(super) fn new(rows: AccessRows, login: &Login) -> Self {
        let accounts: HashMap<_, _> = rows.accounts.into_iter().map(|stored| (stored.account.id, stored)).collect();
        let sessions = rows.sessions.into_iter().filter_map(|session| {
            accounts.get(&session.account_id).filter(|stored| login.lets_in(&stored.account))?;
            let digest = Digest::try_from(session.digest).ok()?;
            Some((digest, (session.account_id, session.expires_at)))
        });
        let sessions = sessions.collect();
        let tokens = rows.tokens.into_iter().filter_map(|stored| Some((Digest::try_from(stored.digest).ok()?, stored.token)));
        Self { version: Some(rows.version), accounts, sessions, tokens: tokens.collect() }
    }

    pub(super) const fn version(&self) -> Option<i64> {
        self.version
    }

    /// What to say of somebody who isn't here.
    pub(super) const fn unknown(&self) -> Refused {
        if self.version.is_some() { Refused::Unknown } else { Refused::NotYet }
    }

    /// The account of a session that isn't over.
    pub(super) fn session(&self, digest: &Digest, now: DateTime<Utc>) -> Option<&Account> {
        let (account, expires_at) = self.sessions.get(digest)?;
        let account = &self.accounts.get(account)?.account;
        (*expires_at > now && !account.disabled).then_some(account)
    }

    /// A token that isn't over.
    pub(super) fn token(&self, digest: &Digest, now: DateTime<Utc>) -> Option<&Token> {
        self.tokens.get(digest).filter(|token| token.expires_at.is_none_or(|end| end > now))
    }

    /// When a session is over; none if it is, or its account has another role by now.
    pub(super) fn session_end(&self, digest: &Digest, role: Role) -> Option<DateTime<Utc>> {
        self.session(digest, Utc::now()).filter(|account| account.role == role)?;
        self.sessions.get(digest).map(|(_, expires_at)| *expires_at)
    }

    /// The same of a token. One without an end is looked at again some day.
    pub(super) fn token_end(&self, digest: &Digest, role: Role) -> Option<DateTime<Utc>> {
        let token = self.token(digest, Utc::now()).filter(|token| token.role == Some(role))?;
        Some(token.expires_at.unwrap_or_else(some_day))
    }

    /// The same of somebody that a proxy names: over once the account of that name is disabled.
    pub(super) fn proxied_end(&self, name: &str) -> Option<DateTime<Utc>> {
        let disabled = self.account_named(name).is_some_and(|stored| stored.account.disabled);
        (!disabled).then(some_day)
    }

    /// This server's own account of that name, whatever its capitals. One of an OpenID provider is told by its subject, never by its name.
    pub(super) fn account_named(&self, name: &str) -> Option<&StoredAccount> {
        let name = name.to_lowercase();
        self.accounts.values().find(|stored| stored.account.issuer.is_none() && stored.account.name.to_lowercase() == name)
    }

    pub(super) fn account(&self, id: Uuid) -> Option<&StoredAccount> {
        self.accounts.get(&id)
    }
}

/// When what has no end is looked at again.
pub(super) fn some_day() -> DateTime<Utc> {
    Utc::now() + TimeDelta::days(1)
}
