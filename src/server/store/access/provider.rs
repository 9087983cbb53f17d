//! Who logs in through an OpenID provider.

use taskscope_wire::Role;
use uuid::Uuid;

use crate::server::store::{Store, StoreError};

/// Logins that may be under way at once; the oldest give way to new ones.
const MOST_ATTEMPTS: i64 = 10_000;
/// Names that are tried where others have them already.
const MOST_NAMES: usize = 100;
/// Characters of a name.
const LONGEST_NAME: usize = 64;

/// The account of somebody whom a provider knows.
#[derive(Debug, Clone)]
pub struct ProviderAccount {
    /// Its id.
    pub id: Uuid,
    /// What it is called here.
    pub name: String,
    /// Whether it may not log in now.
    pub disabled: bool,
}

impl Store {
    /// Notes a login that begins, by what its secret is recognised by, and forgets those that began too long ago.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn begin_login(&self, digest: &[u8], next: &str) -> Result<(), StoreError> {
        let forget = sqlx::query!(
            "delete from login_attempts where begun_at < now() - interval '10 minutes'
             or digest in (select digest from login_attempts order by begun_at desc offset $1)",
            MOST_ATTEMPTS - 1
        );
        forget.execute(&self.pool).await?;
        sqlx::query!("insert into login_attempts (digest, next) values ($1, $2)", digest, next).execute(&self.pool).await?;
        Ok(())
    }

    /// Takes a login that was begun, which can be done once, and gives where it leads.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn take_login(&self, digest: &[u8]) -> Result<Option<String>, StoreError> {
        let next = sqlx::query_scalar!(
            "delete from login_attempts where digest = $1 and begun_at > now() - interval '10 minutes' returning next",
            digest
        );
        Ok(next.fetch_optional(&self.pool).await?)
    }

    /// The account of somebody whom a provider knows, in the role that they have now; it is made where there is none. Whatever other accounts are
    /// called, it is told by issuer and subject alone.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn account_of_provider(
        &self,
        issuer: &str,
        subject: &str,
        name: &str,
        role: Role,
    ) -> Result<ProviderAccount, StoreError> {
        for number in 1..=MOST_NAMES {
            let known = sqlx::query_as!(
                ProviderAccount,
                "update accounts set role = $3 where issuer = $1 and subject = $2 returning id, name, disabled",
                issuer,
                subject,
                <&str>::from(role)
            );
            if let Some(account) = known.fetch_optional(&self.pool).await? {
                return Ok(account);
            }
            let made = sqlx::query_as!(
                ProviderAccount,
                "insert into accounts (name, role, issuer, subject) values ($1, $2, $3, $4) on conflict do nothing
                 returning id, name, disabled",
                numbered(name, number),
                <&str>::from(role),
                issuer,
                subject
            );
            if let Some(account) = made.fetch_optional(&self.pool).await? {
                return Ok(account);
            }
        }
        Err(StoreError::Refused(format!("{MOST_NAMES} accounts are called {name:?} already")))
    }

    /// Ends the sessions of somebody whom a provider knows.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn end_sessions_of_provider(&self, issuer: &str, subject: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "delete from sessions using accounts where account_id = accounts.id and issuer = $1 and subject = $2",
            issuer,
            subject
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

/// A name as short as names must be; from the second on with its number.
fn numbered(name: &str, number: usize) -> String {
    let end = if number == 1 { String::new() } else { format!(" ({number})") };
    name.chars().take(LONGEST_NAME - end.len()).chain(end.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::numbered;

    #[test]
    fn names_differ_and_stay_short() {
        assert_eq!((numbered("ann", 1), numbered("ann", 2)), ("ann".to_owned(), "ann (2)".to_owned()));
        let long = "ä".repeat(100);
        assert_eq!(numbered(&long, 1).chars().count(), 64);
        assert!(numbered(&long, 1000).ends_with("ä (1000)") && numbered(&long, 1000).chars().count() == 64);
    }
}
