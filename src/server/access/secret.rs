//! Secrets of sessions and tokens: made here, shown once, and recognised by their digest.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

/// What a secret is recognised by. Secrets have 256 bits from the system's generator, so a plain hash is as good as a slow one.
pub(super) type Digest = [u8; 32];

/// The digest of a secret.
pub(super) fn digest(secret: &str) -> Digest {
    Sha256::digest(secret.as_bytes()).into()
}

/// A new secret. The prefix lets people and scanners of leaked secrets tell what it is.
///
/// # Errors
/// The system has no random numbers to give.
pub(super) fn new_secret(prefix: &str) -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{prefix}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_are_recognised() {
        let (one, two) = (new_secret("tsa_").unwrap(), new_secret("tsa_").unwrap());
        assert!(one.starts_with("tsa_") && one.len() == 47, "{one}");
        assert_ne!(one, two);
        assert_eq!(digest(&one), digest(&one));
        assert_ne!(digest(&one), digest(&two));
    }
}
