//! Passwords: argon2id with the parameters that OWASP recommends (19 MiB, two passes), which are the crate's defaults.

use std::sync::LazyLock;

use argon2::{
    Argon2,
    password_hash::{self, PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::sync::Semaphore;

/// Each takes 19 MiB and some 20 milliseconds of a core: a crowd of guesses must not take all of the machine.
static TURNS: Semaphore = Semaphore::const_new(2);

/// The hash of a password that nobody has. Names that aren't known take as long as those that are.
static NOBODYS: LazyLock<String> = LazyLock::new(|| hash_now("nobody has this password").unwrap_or_default());

/// What a password is recognised by, in PHC's format.
///
/// # Errors
/// The system has no random numbers to give, or the work was cut off.
pub(super) async fn hash(password: String) -> anyhow::Result<String> {
    let _turn = TURNS.acquire().await?;
    Ok(tokio::task::spawn_blocking(move || hash_now(&password)).await??)
}

/// Whether it is the right one. Without a hash it never is, after as much work.
pub(super) async fn is_right(password: String, hash: Option<String>) -> bool {
    let Ok(_turn) = TURNS.acquire().await else { return false };
    let check = move || {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| NOBODYS.clone());
        let right =
            PasswordHash::new(&hash).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok());
        right && known
    };
    tokio::task::spawn_blocking(check).await.unwrap_or(false)
}

fn hash_now(password: &str) -> Result<String, password_hash::Error> {
    Ok(Argon2::default().hash_password(password.as_bytes())?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_is_right() {
        let stored = hash("correct horse battery".to_owned()).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(is_right("correct horse battery".to_owned(), Some(stored.clone())).await);
        assert!(!is_right("correct horse batter".to_owned(), Some(stored)).await);
        assert!(!is_right("nobody has this password".to_owned(), None).await);
        assert!(!is_right("x".to_owned(), Some("no hash".to_owned())).await);
    }
}
