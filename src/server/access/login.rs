//! Logging in and out.

use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use chrono::{TimeDelta, Utc};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock as _};
use uuid::Uuid;

use super::{
    Gate, password,
    secret::{Digest, digest, new_secret},
};
use crate::server::store::{StoreError, StoredSession};

/// How long a session lasts.
pub const SESSION: TimeDelta = TimeDelta::days(7);
/// Tries a minute for one account from one address.
const TRIES_OF_ACCOUNT: NonZeroU32 = NonZeroU32::new(5).expect("it isn't 0");
/// Tries a minute from one address, of which a whole office may be behind.
const TRIES_OF_ADDRESS: NonZeroU32 = NonZeroU32::new(30).expect("it isn't 0");
/// Addresses and accounts that are held in memory until those that were quiet are forgotten.
const HELD: usize = 10_000;

/// Why somebody could not log in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// No account of that name has that password, or it is disabled: which of them is nobody's business.
    #[error("the name or the password is wrong")]
    Wrong,
    /// Too many tries.
    #[error("too many tries: come again in {} seconds", .0.as_secs().max(1))]
    TooMany(Duration),
    /// The database doesn't answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system has no random numbers to give.
    #[error("no session can be made: {0}")]
    Random(#[from] getrandom::Error),
}

/// How often somebody may still try.
#[derive(Debug)]
pub(super) struct Attempts {
    accounts: DefaultKeyedRateLimiter<(IpAddr, String)>,
    addresses: DefaultKeyedRateLimiter<IpAddr>,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            accounts: RateLimiter::keyed(Quota::per_minute(TRIES_OF_ACCOUNT)),
            addresses: RateLimiter::keyed(Quota::per_minute(TRIES_OF_ADDRESS)),
        }
    }
}

impl Attempts {
    /// Counts a try.
    fn take(&self, address: IpAddr, name: &str) -> Result<(), LoginError> {
        self.take_of_address(address)?;
        if self.accounts.len() > HELD {
            self.accounts.retain_recent();
        }
        let now = self.accounts.clock().now();
        self.accounts.check_key(&(address, name.to_lowercase())).map_err(|until| LoginError::TooMany(until.wait_time_from(now)))
    }

    /// Counts a try of which it isn't known for whom.
    pub(super) fn take_of_address(&self, address: IpAddr) -> Result<(), LoginError> {
        if self.addresses.len() > HELD {
            self.addresses.retain_recent();
        }
        let now = self.addresses.clock().now();
        self.addresses.check_key(&address).map_err(|until| LoginError::TooMany(until.wait_time_from(now)))
    }
}

impl Gate {
    /// Begins a session, and gives its secret.
    ///
    /// # Errors
    /// Name or password are wrong, there were too many tries, or the database doesn't answer.
    pub async fn log_in(&self, address: IpAddr, name: &str, password: &str) -> Result<String, LoginError> {
        self.0.attempts.take(address, name)?;
        // Of this moment: another server may have made the account just now.
        self.read().await?;
        let stored = self.0.known.borrow().account_named(name).cloned();
        let stored = stored.filter(|stored| !stored.account.disabled && self.0.login.lets_in(&stored.account));
        let hash = stored.as_ref().and_then(|stored| stored.password_hash.clone());
        if !password::is_right(password.to_owned(), hash).await {
            return Err(LoginError::Wrong);
        }
        self.begin_session(stored.ok_or(LoginError::Wrong)?.account.id).await
    }

    /// Begins a session of an account, and gives its secret.
    pub(super) async fn begin_session(&self, account_id: Uuid) -> Result<String, LoginError> {
        let secret = new_secret("tss_")?;
        let session = StoredSession { digest: digest(&secret).to_vec(), account_id, expires_at: Utc::now() + SESSION };
        self.0.store.insert_session(&session).await?;
        self.refresh().await;
        Ok(secret)
    }

    /// Ends a session.
    ///
    /// # Errors
    /// The database doesn't answer.
    pub async fn log_out(&self, session: &Digest) -> Result<(), StoreError> {
        self.0.store.delete_session(session).await?;
        self.refresh().await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_counted_by_account_and_by_address() {
        let attempts = Attempts::default();
        let address = |last| IpAddr::from([10, 0, 0, last]);
        for _ in 0..5 {
            attempts.take(address(1), "Ann").unwrap();
        }
        assert!(matches!(attempts.take(address(1), "ann"), Err(LoginError::TooMany(_))));
        attempts.take(address(1), "bob").unwrap();
        attempts.take(address(2), "ann").unwrap();
        let refused = (0..40).filter(|number| attempts.take(address(3), &number.to_string()).is_err()).count();
        assert!(refused >= 9, "{refused}");
    }
}
