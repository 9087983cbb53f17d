//! Who is let in, as what, and for how long.
//!
//! **Promises.** A [`Caller`] is told by a session's cookie, a token, or a trusted proxy, from what this process holds in memory: nobody is shut out,
//! and no reporter loses its way in, while the database is away. What changes here holds at once, and on other servers within [`LOOK`]. Secrets are
//! nowhere but with those who have them: the database and this process keep digests.
//!
//! **Refuses** whatever it doesn't know. A server that could not read the database yet answers that it can't say, not that somebody is unknown.

mod accounts;
mod known;
mod login;
mod note;
mod oidc;
mod password;
mod proxy;
mod secret;
mod sources;

use std::{
    collections::HashSet,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::Utc;
use secrecy::{ExposeSecret, SecretString};
use taskscope_wire::{Account, Me, Role, TokenKind};
use tokio::sync::watch;
use uuid::Uuid;

pub use self::{
    accounts::AccessError,
    login::{LoginError, SESSION},
    note::AuditNote,
    oidc::{Begun, Brought, EmailRule, LoggedIn, OIDC_CALLBACK, OidcConfig, OidcError, RoleRules},
    proxy::{Proxied, TrustedProxy},
    sources::Sources,
};
use self::{
    known::Known,
    login::Attempts,
    oidc::Provider,
    secret::{Digest, digest},
};
use super::store::{Action, Store, StoreError};

/// How often it is looked whether another server has changed something.
pub const LOOK: Duration = Duration::from_secs(2);
/// How often it is written down which tokens were used.
const NOTE_USE: Duration = Duration::from_secs(60);

/// How people show who they are.
#[derive(Debug, Clone, Default)]
pub enum Login {
    /// Not at all: everybody who reaches the server is an admin. On loopback only.
    #[default]
    Open,
    /// By an account.
    Accounts(Ways),
    /// To a proxy in front of the server, which says who they are.
    Proxy(TrustedProxy),
}

/// How people log in to accounts.
#[derive(Debug, Clone)]
pub struct Ways {
    /// Whether by the password of an account of this server's own.
    pub passwords: bool,
    /// Through which OpenID provider.
    pub oidc: Option<Box<OidcConfig>>,
}

impl Login {
    /// Whether everybody is let in.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }

    /// How people log in to accounts; none where they don't.
    #[must_use]
    pub const fn ways(&self) -> Option<&Ways> {
        if let Self::Accounts(ways) = self { Some(ways) } else { None }
    }

    /// Whether there is a way for an account to log in by.
    fn lets_in(&self, account: &Account) -> bool {
        self.ways().is_some_and(|ways| match &account.issuer {
            None => ways.passwords,
            Some(issuer) => ways.oidc.as_ref().is_some_and(|oidc| oidc.issuer.as_str() == issuer),
        })
    }
}

/// Somebody who is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The name of the account or token; none where no login is asked for.
    pub name: Option<String>,
    /// What they may do.
    pub role: Role,
    /// How they came in.
    pub via: Via,
}

/// How somebody came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// No login is asked for.
    Open,
    /// By a session.
    Session {
        /// Whose.
        account: Uuid,
        /// What its secret is recognised by.
        digest: Digest,
        /// Whether it began with a password.
        password: bool,
    },
    /// By an API token.
    Token(Digest),
    /// A trusted proxy said who it is.
    Proxy,
}

impl Via {
    /// The word that the audit log has for it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Session { .. } => "session",
            Self::Token(_) => "token",
            Self::Proxy => "proxy",
        }
    }
}

impl Caller {
    /// What they may know of themselves.
    #[must_use]
    pub fn me(&self) -> Me {
        let (session, password) = match self.via {
            Via::Session { password, .. } => (true, password),
            _ => (false, false),
        };
        Me { name: self.name.clone(), role: self.role, session, password }
    }
}

/// Somebody who may report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reporter {
    /// Of what.
    pub sources: Sources,
}

/// What a request shows of who sends it.
#[derive(Debug, Clone, Default)]
pub struct Credentials<'a> {
    /// The session's cookie.
    pub cookie: Option<&'a str>,
    /// A token, from whichever header.
    pub token: Option<&'a str>,
    /// The address that the request comes from, and the name and role that the proxy's headers give.
    pub proxied: Option<Proxied<'a>>,
}

/// Why somebody isn't let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It is not known who they are.
    Unknown,
    /// They are known, and may not do this.
    NotAllowed,
    /// The database was never read: nothing can be said.
    NotYet,
}

/// Says who is let in. Clones share it.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    login: Login,
    provider: Option<Provider>,
    /// The configured token of reporters.
    ingest_token: Option<SecretString>,
    store: Store,
    known: watch::Sender<Arc<Known>>,
    attempts: Attempts,
    used_tokens: Mutex<HashSet<Uuid>>,
}

impl Gate {
    /// A gate that knows nobody yet. [`Gate::run`] reads and keeps current who there is.
    #[must_use]
    pub fn new(login: Login, ingest_token: Option<SecretString>, store: Store) -> Self {
        let provider = login.ways().and_then(|ways| ways.oidc.clone()).map(|config| Provider::new(*config));
        Self(Arc::new(Shared {
            login,
            provider,
            ingest_token,
            store,
            known: watch::Sender::default(),
            attempts: Attempts::default(),
            used_tokens: Mutex::default(),
        }))
    }

    /// How people show who they are.
    #[must_use]
    pub fn login(&self) -> &Login {
        &self.0.login
    }

    /// Who sends a request.
    ///
    /// # Errors
    /// Nobody that is known, or nothing can be said yet.
    pub fn caller(&self, credentials: &Credentials<'_>) -> Result<Caller, Refused> {
        let known = self.0.known.borrow().clone();
        if let Some(secret) = credentials.token.filter(|_| !self.0.login.is_open()) {
            return self.token_caller(&known, secret);
        }
        match (&self.0.login, credentials) {
            (Login::Open, _) => Ok(Caller { name: None, role: Role::Admin, via: Via::Open }),
            (Login::Proxy(proxy), Credentials { proxied: Some(proxied), .. }) => proxy.caller(proxied, &known),
            (Login::Accounts(_), Credentials { cookie: Some(secret), .. }) => {
                let digest = digest(secret);
                let account = known.session(&digest, Utc::now()).ok_or(known.unknown())?;
                Ok(Caller {
                    name: Some(account.name.clone()),
                    role: account.role,
                    via: Via::Session { account: account.id, digest, password: account.issuer.is_none() },
                })
            }
            _ => Err(Refused::Unknown),
        }
    }

    fn token_caller(&self, known: &Known, secret: &str) -> Result<Caller, Refused> {
        let digest = digest(secret);
        let token = known.token(&digest, Utc::now()).ok_or(known.unknown())?;
        let role = token.role.filter(|_| token.kind == TokenKind::Api).ok_or(Refused::NotAllowed)?;
        self.note_use(token.id);
        Ok(Caller { name: Some(token.name.clone()), role, via: Via::Token(digest) })
    }

    /// Who reports with a token. Where no login is asked for and no token is configured, everybody may.
    ///
    /// # Errors
    /// The token opens nothing, or not this, or nothing can be said yet.
    pub fn reporter(&self, secret: Option<&str>) -> Result<Reporter, Refused> {
        let secret = secret.unwrap_or_default();
        match &self.0.ingest_token {
            // Digests are compared, not texts: how far two secrets agree doesn't show in the time it takes.
            Some(wanted) if digest(wanted.expose_secret()) == digest(secret) => return Ok(Reporter::default()),
            None if self.0.login.is_open() => return Ok(Reporter::default()),
            _ => {}
        }
        let known = self.0.known.borrow().clone();
        let token = known.token(&digest(secret), Utc::now()).ok_or(match self.0.login {
            // Nobody needs a token of the database there.
            Login::Open => Refused::Unknown,
            _ => known.unknown(),
        })?;
        if token.kind != TokenKind::Ingest {
            return Err(Refused::NotAllowed);
        }
        self.note_use(token.id);
        Ok(Reporter { sources: Sources::new(&token.sources) })
    }

    /// Resolves once somebody isn't let in any more, or is something else than before.
    pub async fn ended(&self, caller: &Caller) {
        let mut changes = self.0.known.subscribe();
        loop {
            let over = {
                let known = changes.borrow_and_update();
                match &caller.via {
                    Via::Open => Some(known::some_day()),
                    Via::Proxy => known.proxied_end(caller.name.as_deref().unwrap_or_default()),
                    Via::Session { digest, .. } => known.session_end(digest, caller.role),
                    Via::Token(digest) => known.token_end(digest, caller.role),
                }
            };
            let Some(over) = over else { return };
            let left = (over - Utc::now()).to_std().unwrap_or_default();
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                // Looked at again: what has no end only seems to be over.
                () = tokio::time::sleep(left) => {}
            }
        }
    }

    /// Keeps what is known current, for ever.
    pub async fn run(self) {
        let mut noted = tokio::time::Instant::now();
        loop {
            if let Err(error) = self.look().await {
                tracing::debug!(%error, "who may come in is known from before");
            }
            if noted.elapsed() > NOTE_USE {
                noted = tokio::time::Instant::now();
                self.write_use().await;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Reads who there is, if that has changed.
    async fn look(&self) -> Result<(), StoreError> {
        let version = self.0.store.access_version().await?;
        if self.0.known.borrow().version() != Some(version) {
            self.read().await?;
        }
        Ok(())
    }

    async fn read(&self) -> Result<(), StoreError> {
        let rows = self.0.store.access_rows().await?;
        // A slower look that began earlier must not take back what a later one has found.
        self.0.known.send_if_modified(|known| {
            let newer = known.version() < Some(rows.version);
            if newer {
                *known = Arc::new(Known::new(rows, &self.0.login));
            }
            newer
        });
        Ok(())
    }

    /// Makes a change that was just committed hold in this process. The database may be gone since; then it is read later.
    async fn refresh(&self) {
        if let Err(error) = self.read().await {
            tracing::warn!(%error, "a change of accounts or tokens holds in a moment");
        }
    }

    fn note_use(&self, token: Uuid) {
        self.0.used_tokens.lock().unwrap_or_else(PoisonError::into_inner).insert(token);
    }

    async fn write_use(&self) {
        let used: Vec<Uuid> = self.0.used_tokens.lock().unwrap_or_else(PoisonError::into_inner).drain().collect();
        // When a token was last used is worth no second try.
        if !used.is_empty()
            && let Err(error) = self.0.store.note_token_use(&used).await
        {
            tracing::debug!(%error, "which tokens were used is not written down");
        }
    }

    /// Writes down what somebody did.
    pub async fn note_action(&self, action: &Action) {
        if let Err(error) = self.0.store.note_action(action).await {
            tracing::error!(%error, ?action, "an action is missing in the audit log");
        }
    }
}

/// The address of a caller as text.
#[must_use]
pub fn in_words(address: IpAddr) -> String {
    address.to_canonical().to_string()
}
