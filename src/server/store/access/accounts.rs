//! The accounts.

use sqlx::{Postgres, Transaction};
use taskscope_wire::{Account, Role};
use uuid::Uuid;

use super::{StoredAccount, role};
use crate::server::store::{Store, StoreError};

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed<T> {
    /// It is made.
    Done(T),
    /// There is no such account.
    Unknown,
    /// Nobody who may set things up would be left.
    LastAdmin,
    /// Another account has the name.
    NameTaken,
    /// Its role and how it logs in are said by an OpenID provider.
    OfProvider,
}

/// All of them, by name.
pub(super) async fn all(tx: &mut Transaction<'static, Postgres>) -> Result<Vec<StoredAccount>, StoreError> {
    let rows = sqlx::query!(
        "select id, name, role, disabled, password_hash, issuer, created_at, last_login_at from accounts order by lower(name)"
    );
    let rows = rows.fetch_all(&mut **tx).await?;
    let accounts = rows.into_iter().map(|row| StoredAccount {
        account: Account {
            id: row.id,
            name: row.name,
            role: role(&row.role),
            disabled: row.disabled,
            has_password: row.password_hash.is_some(),
            issuer: row.issuer,
            created_at: row.created_at,
            last_login_at: row.last_login_at,
        },
        password_hash: row.password_hash,
    });
    Ok(accounts.collect())
}

impl Store {
    /// The accounts, by name.
    ///
    /// # Errors
    /// Postgres doesn't answer, or not in time.
    pub async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        let accounts = super::read(async { all(&mut self.snapshot().await?).await }).await?;
        Ok(accounts.into_iter().map(|stored| stored.account).collect())
    }

    /// Makes an account, and gives its id.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn insert_account(&self, name: &str, role: Role, password_hash: Option<&str>) -> Result<Changed<Uuid>, StoreError> {
        let id = sqlx::query_scalar!(
            "insert into accounts (name, role, password_hash) values ($1, $2, $3) on conflict (lower(name)) do nothing returning id",
            name,
            <&str>::from(role),
            password_hash
        );
        Ok(id.fetch_optional(&self.pool).await?.map_or(Changed::NameTaken, Changed::Done))
    }

    /// Changes what is given. A new password ends the account's sessions. Of an account of an OpenID provider, only whether it is disabled can be changed.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn change_account(
        &self,
        id: Uuid,
        role: Option<Role>,
        disabled: Option<bool>,
        password_hash: Option<&str>,
    ) -> Result<Changed<()>, StoreError> {
        let mut tx = self.locked().await?;
        let of_provider = sqlx::query_scalar!(
            r#"update accounts set role = coalesce($2, role), disabled = coalesce($3, disabled), password_hash = coalesce($4, password_hash)
             where id = $1 returning issuer is not null as "of_provider!""#,
            id,
            role.map(<&str>::from),
            disabled,
            password_hash
        )
        .fetch_optional(&mut *tx)
        .await?;
        match of_provider {
            None => return Ok(Changed::Unknown),
            Some(true) if role.is_some() || password_hash.is_some() => return Ok(Changed::OfProvider),
            Some(_) => {}
        }
        if password_hash.is_some() {
            sqlx::query!("delete from sessions where account_id = $1", id).execute(&mut *tx).await?;
        }
        commit_unless_nobody_is_left(tx).await
    }

    /// Removes an account and its sessions.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn delete_account(&self, id: Uuid) -> Result<Changed<()>, StoreError> {
        let mut tx = self.locked().await?;
        let deleted = sqlx::query!("delete from accounts where id = $1", id).execute(&mut *tx).await?;
        if deleted.rows_affected() == 0 {
            return Ok(Changed::Unknown);
        }
        commit_unless_nobody_is_left(tx).await
    }

    /// A transaction beside which no other one changes accounts: two admins who demote each other at once would leave none.
    async fn locked(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        let mut tx = self.pool.begin().await?;
        sqlx::query!("select version from access_version for update").fetch_one(&mut *tx).await?;
        Ok(tx)
    }
}

async fn commit_unless_nobody_is_left(mut tx: Transaction<'static, Postgres>) -> Result<Changed<()>, StoreError> {
    let has_admin =
        sqlx::query_scalar!(r#"select exists (select from accounts where role = 'admin' and not disabled) as "has!""#);
    if !has_admin.fetch_one(&mut *tx).await? {
        return Ok(Changed::LastAdmin);
    }
    tx.commit().await?;
    Ok(Changed::Done(()))
}
