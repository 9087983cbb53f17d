//! A login under way. The browser keeps one secret; all that goes to the provider is made of it, and leads nobody back to it.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use openidconnect::{CsrfToken, Nonce, PkceCodeVerifier};

use super::super::secret::{digest, new_secret};

/// A login under way.
pub(super) struct Attempt(String);

impl Attempt {
    /// A new one.
    ///
    /// # Errors
    /// The system has no random numbers to give.
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        Ok(Self(new_secret("tsl_")?))
    }

    /// The one whose secret a browser has kept.
    pub(super) fn kept(secret: &str) -> Self {
        Self(secret.to_owned())
    }

    pub(super) fn secret(&self) -> &str {
        &self.0
    }

    /// What comes back beside the code.
    pub(super) fn state(&self) -> CsrfToken {
        CsrfToken::new(self.derived("state"))
    }

    /// Whether this came back.
    pub(super) fn has_state(&self, state: &str) -> bool {
        // Digests are compared, not texts: how far two secrets agree doesn't show in the time it takes.
        digest(state) == digest(self.state().secret())
    }

    /// What comes back in the ID token.
    pub(super) fn nonce(&self) -> Nonce {
        Nonce::new(self.derived("nonce"))
    }

    /// What the code is worth nothing without.
    pub(super) fn verifier(&self) -> PkceCodeVerifier {
        PkceCodeVerifier::new(self.derived("verifier"))
    }

    /// A value for one purpose, which tells neither the secret nor the other values.
    fn derived(&self, purpose: &str) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(digest(&format!("{purpose}:{}", self.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_out_differs_and_comes_of_the_secret_alone() {
        let (one, two) = (Attempt::new().unwrap(), Attempt::new().unwrap());
        let texts = |attempt: &Attempt| {
            [attempt.state().secret().clone(), attempt.nonce().secret().clone(), attempt.verifier().secret().clone()]
        };
        let mut all = [texts(&one), texts(&two)].concat();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 6);
        // RFC 7636 wants 43 to 128 characters.
        assert!(all.iter().all(|text| text.len() == 43), "{all:?}");
        let kept = Attempt::kept(one.secret());
        assert_eq!(texts(&kept), texts(&one));
        assert!(kept.has_state(one.state().secret()) && !kept.has_state(two.state().secret()) && !kept.has_state(""));
    }
}
