//! Keys of providers: where they come from, and how they are kept.

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, Generate, KeyInit, Payload},
};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{LlmConfig, LlmError};

/// What a variable of the environment must begin with, so that nobody reads others by naming them.
const ALLOWED: &str = "TASKSCOPE_LLM_KEY";
/// Where a key of the environment goes unless something else is said.
const OPENAI: &str = "https://api.openai.com";
const NONCE: usize = 24;
const LONGEST: usize = 4096;

/// A key as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Key {
    /// There is none.
    #[default]
    None,
    /// The name of a variable of the environment.
    Env(String),
    /// The key, encrypted.
    Sealed(Vec<u8>),
}

impl Key {
    /// A key as it is given: `env:NAME`, or the key itself, which is encrypted for this provider alone. An empty one is none.
    ///
    /// # Errors
    /// A sentence that says what is allowed.
    pub(crate) fn keep(config: &LlmConfig, provider: Uuid, given: &SecretString) -> Result<Self, String> {
        let given = given.expose_secret().trim();
        if given.is_empty() {
            return Ok(Self::None);
        }
        if let Some(name) = given.strip_prefix("env:") {
            return if is_allowed(name) {
                Ok(Self::Env(name.to_owned()))
            } else {
                Err(format!("api_key may name only variables that begin with {ALLOWED}, in capitals, digits and underscores"))
            };
        }
        if given.len() > LONGEST || given.chars().any(|character| character.is_control() || !character.is_ascii()) {
            return Err(format!("api_key must be at most {LONGEST} ASCII characters in one line"));
        }
        let secret = config.secret_key.as_ref().ok_or_else(|| {
            format!("api_key can't be stored, since there is no TASKSCOPE_SECRET_KEY to encrypt it with: set that, or give env:{ALLOWED}…")
        })?;
        seal(secret, provider, given).map(Self::Sealed).ok_or_else(|| "api_key can't be encrypted".to_owned())
    }

    /// As a row has it.
    pub(crate) fn from_row(sealed: Option<Vec<u8>>, env: Option<String>) -> Self {
        sealed.map(Self::Sealed).or_else(|| env.map(Self::Env)).unwrap_or_default()
    }

    /// As a row has it: encrypted, or the name of a variable.
    pub(crate) fn columns(&self) -> (Option<&[u8]>, Option<&str>) {
        match self {
            Self::None => (None, None),
            Self::Env(name) => (None, Some(name)),
            Self::Sealed(sealed) => (Some(sealed), None),
        }
    }

    /// The key itself, to be sent to this address.
    pub(crate) fn open(
        &self,
        config: &LlmConfig,
        provider: Uuid,
        name: &str,
        base_url: Option<&str>,
    ) -> Result<Option<SecretString>, LlmError> {
        match self {
            Self::None => Ok(None),
            Self::Env(variable) => of_environment(variable, name, base_url).map(Some).map_err(LlmError::Setup),
            Self::Sealed(sealed) => {
                let key = config.secret_key.as_ref().and_then(|secret| unseal(secret, provider, sealed));
                key.map(Some).ok_or_else(|| {
                    LlmError::Setup(format!(
                        "the key of {name} can't be decrypted: start the server and its workers with the TASKSCOPE_SECRET_KEY that it was \
                         stored with, or store the key again"
                    ))
                })
            }
        }
    }
}

/// A key of the environment goes only where whoever set it says: to OpenAI, or to the server in the variable of the same name with `_URL`.
/// Otherwise anybody who may make a provider could have it sent to a server of their own.
fn of_environment(variable: &str, name: &str, base_url: Option<&str>) -> Result<SecretString, String> {
    let read = |variable: &str| std::env::var(variable).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let key = read(variable).filter(|_| is_allowed(variable));
    let key = key.ok_or_else(|| {
        format!("the key of {name} is not there: set {variable} in the environment of the server and its workers")
    })?;
    let meant_for = read(&format!("{variable}_URL")).unwrap_or_else(|| OPENAI.to_owned());
    let origin = |url: &str| url::Url::parse(url).ok().map(|url| url.origin());
    if origin(&meant_for).is_some_and(|meant| origin(base_url.unwrap_or(OPENAI)) == Some(meant)) {
        return Ok(key.into());
    }
    Err(format!("{variable} is not for the base_url of {name}: set {variable}_URL to the server that may have it"))
}

fn is_allowed(name: &str) -> bool {
    name.starts_with(ALLOWED)
        && !name.ends_with("_URL")
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// A nonce of its own, and the key encrypted for one provider: moved to another one it can't be opened.
fn seal(secret: &SecretString, provider: Uuid, key: &str) -> Option<Vec<u8>> {
    let nonce = XNonce::generate();
    let sealed = cipher(secret).encrypt(&nonce, Payload { msg: key.as_bytes(), aad: provider.as_bytes() }).ok()?;
    Some([nonce.as_slice(), &sealed].concat())
}

fn unseal(secret: &SecretString, provider: Uuid, sealed: &[u8]) -> Option<SecretString> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE)?;
    let nonce = XNonce::try_from(nonce).ok()?;
    let key = cipher(secret).decrypt(&nonce, Payload { msg: sealed, aad: provider.as_bytes() }).ok()?;
    String::from_utf8(key).ok().map(SecretString::from)
}

/// The secret is random and long, so that a plain hash makes a key of it.
fn cipher(secret: &SecretString) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&Sha256::digest(secret.expose_secret()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(secret: &str) -> LlmConfig {
        LlmConfig { secret_key: Some(secret.into()), ..LlmConfig::default() }
    }

    #[test]
    fn a_key_opens_with_its_secret_and_for_its_provider_alone() {
        let (config, provider) = (config("0123456789abcdef"), Uuid::new_v4());
        let keep = || Key::keep(&config, provider, &"sk-s3cret".into()).unwrap();
        let key = keep();
        assert_ne!(key, keep(), "each sealing differs");
        assert_eq!(key.open(&config, provider, "x", None).unwrap().unwrap().expose_secret(), "sk-s3cret");
        let (sealed, env) = key.columns();
        assert!(env.is_none() && !sealed.unwrap().windows(6).any(|bytes| bytes == b"s3cret"));
        for (config, provider) in
            [(&config, Uuid::new_v4()), (&self::config("another secret 16"), provider), (&LlmConfig::default(), provider)]
        {
            let error = key.open(config, provider, "OpenAI", None).unwrap_err();
            assert!(matches!(&error, LlmError::Setup(sentence) if sentence.contains("store the key again")), "{error}");
        }
        assert!(Key::Sealed(vec![1, 2, 3]).open(&config, provider, "x", None).is_err());
    }

    #[test]
    fn only_allowed_variables_are_named() {
        let keep = |text: &str| Key::keep(&LlmConfig::default(), Uuid::nil(), &text.into());
        assert_eq!(keep("env:TASKSCOPE_LLM_KEY_OPENAI"), Ok(Key::Env("TASKSCOPE_LLM_KEY_OPENAI".to_owned())));
        assert_eq!(keep(" "), Ok(Key::None));
        for name in ["env:DATABASE_URL", "env:", "env:taskscope_llm_key", "env:TASKSCOPE_LLM_KEY=1", "env:TASKSCOPE_LLM_KEY_URL"]
        {
            assert!(keep(name).unwrap_err().starts_with("api_key may name only variables"), "{name}");
        }
        assert!(keep("sk-1").unwrap_err().starts_with("api_key can't be stored, since there is no TASKSCOPE_SECRET_KEY"));
        assert!(Key::keep(&config("0123456789abcdef"), Uuid::nil(), &"a\nb".into()).unwrap_err().contains("in one line"));
        // Nobody sets this one.
        let missing = Key::Env("TASKSCOPE_LLM_KEY_OF_A_TEST_THAT_IS_NOT_SET".to_owned());
        assert!(
            missing
                .open(&LlmConfig::default(), Uuid::nil(), "x", None)
                .unwrap_err()
                .to_string()
                .contains("set TASKSCOPE_LLM_KEY_OF")
        );
    }
}
