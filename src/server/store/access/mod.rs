//! Who may come in, and what they did: accounts, sessions, tokens and the audit log.

mod accounts;
mod audit;
mod provider;
mod tokens;

use chrono::{DateTime, Utc};
use taskscope_wire::{Account, Role, Token};
use uuid::Uuid;

pub use self::{accounts::Changed, audit::Action, provider::ProviderAccount};
use super::{Store, StoreError, read};

/// What servers keep in memory of who may come in.
#[derive(Debug, Default)]
pub struct AccessRows {
    /// What it was read at.
    pub version: i64,
    /// The accounts.
    pub accounts: Vec<StoredAccount>,
    /// The sessions that aren't over.
    pub sessions: Vec<StoredSession>,
    /// The tokens.
    pub tokens: Vec<StoredToken>,
}

/// An account, with what its password is recognised by.
#[derive(Debug, Clone)]
pub struct StoredAccount {
    /// What everybody may know.
    pub account: Account,
    /// In PHC's format.
    pub password_hash: Option<String>,
}

/// A session.
#[derive(Debug, Clone)]
pub struct StoredSession {
    /// What its secret is recognised by.
    pub digest: Vec<u8>,
    /// Whose it is.
    pub account_id: Uuid,
    /// When it is over.
    pub expires_at: DateTime<Utc>,
}

/// A token.
#[derive(Debug, Clone)]
pub struct StoredToken {
    /// What its secret is recognised by.
    pub digest: Vec<u8>,
    /// What everybody may know.
    pub token: Token,
}

impl Store {
    /// What changes whenever an account, session or token does.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn access_version(&self) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar!("select version from access_version").fetch_one(&self.pool).await?)
    }

    /// All that is needed to say who may come in, as of one moment.
    ///
    /// # Errors
    /// Postgres doesn't answer, or not in time.
    pub async fn access_rows(&self) -> Result<AccessRows, StoreError> {
        read(async {
            let mut tx = self.snapshot().await?;
            let version = sqlx::query_scalar!("select version from access_version").fetch_one(&mut *tx).await?;
            let accounts = accounts::all(&mut tx).await?;
            let sessions =
                sqlx::query_as!(StoredSession, "select digest, account_id, expires_at from sessions where expires_at > now()")
                    .fetch_all(&mut *tx)
                    .await?;
            let tokens = tokens::all(&mut tx).await?;
            Ok(AccessRows { version, accounts, sessions, tokens })
        })
        .await
    }

    /// Begins a session.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn insert_session(&self, session: &StoredSession) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        sqlx::query!("update accounts set last_login_at = now() where id = $1", session.account_id).execute(&mut *tx).await?;
        sqlx::query!(
            "insert into sessions (digest, account_id, expires_at) values ($1, $2, $3)",
            session.digest,
            session.account_id,
            session.expires_at
        )
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    /// Ends a session.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn delete_session(&self, digest: &[u8]) -> Result<(), StoreError> {
        sqlx::query!("delete from sessions where digest = $1", digest).execute(&self.pool).await?;
        Ok(())
    }

    /// Removes sessions that are over, and what the audit log holds from before `cutoff`.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn tidy_access(&self, cutoff: DateTime<Utc>) -> Result<(), StoreError> {
        sqlx::query!("delete from sessions where expires_at < now()").execute(&self.pool).await?;
        sqlx::query!("delete from audit_log where at < $1", cutoff).execute(&self.pool).await?;
        Ok(())
    }
}

/// A constraint allows no other words in the column.
fn role(word: &str) -> Role {
    word.parse().unwrap_or(Role::Viewer)
}
