//! People who log in through an OpenID provider: the authorization code flow, with PKCE, state and nonce.
//!
//! **Promises.** A login counts in the browser that began it, once, within ten minutes, on whichever server of the database. Who somebody is is told by
//! issuer and subject, and what they may do by claims of an ID token that was verified: each login tells it anew. A provider that is away keeps nobody
//! out who is logged in.
//!
//! **Refuses** whom no setting names, and whatever of a token isn't as it must be.

mod attempt;
mod claims;
mod provider;
mod rules;

use std::{net::IpAddr, time::Duration};

use openidconnect::IssuerUrl;
use reqwest::Url;
use secrecy::SecretString;

pub(super) use self::provider::Provider;
pub use self::rules::{EmailRule, RoleRules};
use self::{attempt::Attempt, claims::Person};
use super::{Gate, login::LoginError, secret::digest};
use crate::server::store::StoreError;

/// Where the provider sends people back to.
pub const OIDC_CALLBACK: &str = "/login/oidc/callback";

/// An OpenID provider, and whom of those that it knows it lets in.
#[derive(Debug, Clone)]
pub struct OidcConfig {
    /// Who it is, as its tokens say it.
    pub issuer: IssuerUrl,
    /// What it is called on the login page.
    pub name: String,
    /// What it knows this server by.
    pub client_id: String,
    /// What this server shows to it; a public client has none.
    pub client_secret: Option<SecretString>,
    /// What is asked for beside `openid`.
    pub scopes: Vec<String>,
    /// Where it sends people back to.
    pub redirect_url: Url,
    /// Who is let in, and as what.
    pub rules: RoleRules,
}

/// A login that was begun.
#[derive(Debug)]
pub struct Begun {
    /// Where the browser goes.
    pub url: Url,
    /// What the browser keeps meanwhile.
    pub secret: String,
}

/// What a browser brings back.
#[derive(Debug, Default)]
pub struct Brought<'a> {
    /// What it has kept.
    pub secret: Option<&'a str>,
    /// The state that went with it to the provider.
    pub state: &'a str,
    /// The code that the provider exchanges for tokens.
    pub code: Option<&'a str>,
    /// Why the provider gave none.
    pub error: Option<&'a str>,
    /// Who the provider says that it is (RFC 9207).
    pub issuer: Option<&'a str>,
}

/// Somebody who has logged in.
#[derive(Debug)]
pub struct LoggedIn {
    /// What their account is called.
    pub name: String,
    /// The secret of the session.
    pub session: String,
    /// Where they wanted to go.
    pub next: String,
}

/// Why somebody could not log in through the provider.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// No provider is set up.
    #[error("no OpenID provider is set up")]
    NoProvider,
    /// Too many tries.
    #[error("too many tries: come again in {} seconds", .0.as_secs().max(1))]
    TooMany(Duration),
    /// The login was not begun in this browser, or too long ago, or it has counted already.
    #[error("this login was not begun here, or too long ago")]
    NotBegun,
    /// The provider can't be reached, or what it answers is not understood.
    #[error("the OpenID provider can't be asked: {0}")]
    Away(String),
    /// The provider lets them not in; in its word.
    #[error("the OpenID provider refuses: {0}")]
    Denied(String),
    /// What the provider says can't be believed.
    #[error("what the OpenID provider says is not believed: {0}")]
    Untrusted(String),
    /// It is known who they are, and nothing lets them in.
    #[error("{who} is not let in: {why}")]
    NotAllowed {
        /// Who the provider says that they are.
        who: String,
        /// What is missing.
        why: &'static str,
    },
    /// Their account is disabled.
    #[error("the account {0} is disabled")]
    Disabled(String),
    /// The database doesn't answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system has no random numbers to give.
    #[error("no login can begin: {0}")]
    Random(#[from] getrandom::Error),
}

impl From<LoginError> for OidcError {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::TooMany(wait) => Self::TooMany(wait),
            LoginError::Store(error) => Self::Store(error),
            LoginError::Random(error) => Self::Random(error),
            LoginError::Wrong => Self::NotBegun,
        }
    }
}

impl Gate {
    /// Begins a login that leads to `next`.
    ///
    /// # Errors
    /// There is no provider or it is away, there were too many tries, or the database doesn't answer.
    pub async fn begin_oidc(&self, address: IpAddr, next: &str) -> Result<Begun, OidcError> {
        let provider = self.0.provider.as_ref().ok_or(OidcError::NoProvider)?;
        self.0.attempts.take_of_address(address)?;
        let attempt = Attempt::new()?;
        let url = provider.authorize_url(&attempt).await?;
        self.0.store.begin_login(&digest(attempt.secret()), next).await?;
        Ok(Begun { url, secret: attempt.secret().to_owned() })
    }

    /// Ends the login with a session, in the role that the provider's claims mean now.
    ///
    /// # Errors
    /// The login was not begun here, the provider is away or refuses, what it says can't be believed or lets nobody in, or the database doesn't answer.
    pub async fn finish_oidc(&self, brought: Brought<'_>) -> Result<LoggedIn, OidcError> {
        let provider = self.0.provider.as_ref().ok_or(OidcError::NoProvider)?;
        let attempt = Attempt::kept(brought.secret.ok_or(OidcError::NotBegun)?);
        if !attempt.has_state(brought.state) {
            return Err(OidcError::NotBegun);
        }
        let next = self.0.store.take_login(&digest(attempt.secret())).await?.ok_or(OidcError::NotBegun)?;
        let config = provider.config();
        if brought.issuer.is_some_and(|issuer| issuer != config.issuer.as_str()) {
            return Err(OidcError::Untrusted("the answer is of another issuer".to_owned()));
        }
        if let Some(error) = brought.error {
            return Err(OidcError::Denied(error.to_owned()));
        }
        let code = brought.code.ok_or_else(|| OidcError::Untrusted("the answer has no code".to_owned()))?;
        let person = provider.person(code, &attempt).await?;
        let (name, session) = self.let_in(config, &person).await?;
        Ok(LoggedIn { name, session, next })
    }

    async fn let_in(&self, config: &OidcConfig, person: &Person) -> Result<(String, String), OidcError> {
        let (issuer, subject) = (config.issuer.as_str(), person.subject());
        let name = person.name(config.issuer.url().host_str().unwrap_or_default());
        let role = match config.rules.role_of(person) {
            Ok(role) => role,
            Err(why) => {
                // What let them in before does so no more.
                self.0.store.end_sessions_of_provider(issuer, subject).await?;
                self.refresh().await;
                return Err(OidcError::NotAllowed { who: name, why });
            }
        };
        let account = self.0.store.account_of_provider(issuer, subject, &name, role).await?;
        if account.disabled {
            return Err(OidcError::Disabled(account.name));
        }
        let session = self.begin_session(account.id).await?;
        Ok((account.name, session))
    }
}
