//! Tokens for programs.

use sqlx::{Postgres, Transaction};
use taskscope_wire::{NewToken, Token, TokenKind};
use uuid::Uuid;

use super::{StoredToken, role};
use crate::server::store::{Store, StoreError, read};

/// All of them, by name.
pub(super) async fn all(tx: &mut Transaction<'static, Postgres>) -> Result<Vec<StoredToken>, StoreError> {
    let rows = sqlx::query!(
        "select id, digest, name, kind, role, sources, created_by, created_at, expires_at, last_used_at
         from access_tokens order by lower(name), created_at"
    );
    let rows = rows.fetch_all(&mut **tx).await?;
    let tokens = rows.into_iter().map(|row| StoredToken {
        digest: row.digest,
        token: Token {
            id: row.id,
            name: row.name,
            // A constraint allows no other words.
            kind: row.kind.parse().unwrap_or(TokenKind::Ingest),
            role: row.role.as_deref().map(role),
            sources: row.sources,
            created_by: row.created_by,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
        },
    });
    Ok(tokens.collect())
}

impl Store {
    /// The tokens, by name.
    ///
    /// # Errors
    /// Postgres doesn't answer, or not in time.
    pub async fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        let tokens = read(async { all(&mut self.snapshot().await?).await }).await?;
        Ok(tokens.into_iter().map(|stored| stored.token).collect())
    }

    /// Makes a token that is recognised by `digest`.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn insert_token(&self, new: &NewToken, created_by: &str, digest: &[u8]) -> Result<Token, StoreError> {
        let row = sqlx::query!(
            "insert into access_tokens (digest, name, kind, role, sources, created_by, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7) returning id, created_at",
            digest,
            new.name,
            <&str>::from(new.kind),
            new.role.map(<&str>::from),
            &new.sources,
            created_by,
            new.expires_at
        );
        let row = row.fetch_one(&self.pool).await?;
        Ok(Token {
            id: row.id,
            name: new.name.clone(),
            kind: new.kind,
            role: new.role,
            sources: new.sources.clone(),
            created_by: created_by.to_owned(),
            created_at: row.created_at,
            expires_at: new.expires_at,
            last_used_at: None,
        })
    }

    /// Removes a token. Says whether there was one.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn delete_token(&self, id: Uuid) -> Result<bool, StoreError> {
        Ok(sqlx::query!("delete from access_tokens where id = $1", id).execute(&self.pool).await?.rows_affected() > 0)
    }

    /// Notes that tokens were used just now.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn note_token_use(&self, ids: &[Uuid]) -> Result<(), StoreError> {
        sqlx::query!("update access_tokens set last_used_at = now() where id = any($1)", ids).execute(&self.pool).await?;
        Ok(())
    }
}
