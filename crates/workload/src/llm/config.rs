use std::{collections::BTreeMap, time::Duration};

use anyhow::{bail, ensure};
use secrecy::SecretString;
use serde::Deserialize;
use uuid::Uuid;

use super::provider::ProviderType;

/// How language models are asked. Secrets are never shown by `Debug`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LlmConfig {
    /// Seconds that an answer may take, from the request to its last byte: 1 to 3600.
    pub timeout_seconds: u64,
    /// Seconds in which a connection must stand: 1 to 60.
    pub connect_seconds: u64,
    /// How often one thing is asked where the provider is in trouble, the first time counted: 1 to 10.
    pub attempts: usize,
    /// Milliseconds before it is asked again; each further time waits twice as long, with jitter.
    pub retry_pause_ms: u64,
    /// The longest pause, in seconds: 1 to 3600. A provider that wants to be left alone for longer (`Retry-After`) is not asked again.
    pub longest_retry_seconds: u64,
    /// Whether answers come piece by piece. The result is the same; some providers and proxies cut connections on which nothing moves.
    pub stream: bool,
    /// What a model costs, by its name. The cost of others is not known.
    pub prices: BTreeMap<String, Price>,
    /// The model that the knowledge tasks ask, by type of provider (`openai`, `ollama`). A provider that doesn't have it is asked for the
    /// first of its models that is not for embeddings.
    pub models: BTreeMap<String, String>,
    /// The model that makes embeddings, by type of provider.
    pub embedding_models: BTreeMap<String, String>,
    /// The provider that the knowledge tasks ask where their params name none; without it the built-in keyword rules.
    pub knowledge_provider: Option<Uuid>,
    /// What stored keys of providers are encrypted with: a long random text.
    pub secret_key: Option<SecretString>,
}

/// What a model costs.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// US dollars for a million tokens asked.
    pub prompt: f64,
    /// US dollars for a million tokens answered.
    pub completion: f64,
}

impl Default for LlmConfig {
    fn default() -> Self {
        let by_type = |models: &[(&str, &str)]| models.iter().map(|(kind, model)| ((*kind).into(), (*model).into())).collect();
        Self {
            timeout_seconds: 120,
            connect_seconds: 5,
            attempts: 4,
            retry_pause_ms: 1000,
            longest_retry_seconds: 60,
            stream: false,
            prices: BTreeMap::new(),
            models: by_type(&[("openai", "gpt-5-mini")]),
            embedding_models: by_type(&[("openai", "text-embedding-3-small"), ("ollama", "nomic-embed-text")]),
            knowledge_provider: None,
            secret_key: None,
        }
    }
}

impl LlmConfig {
    /// The shortest secret key, in bytes.
    const SHORTEST_SECRET: usize = 16;

    /// Checks every value.
    ///
    /// # Errors
    /// A sentence that names the setting and what is allowed.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let ranges = [
            ("timeout_seconds", self.timeout_seconds, 3600),
            ("connect_seconds", self.connect_seconds, 60),
            ("attempts", self.attempts as u64, 10),
            ("longest_retry_seconds", self.longest_retry_seconds, 3600),
        ];
        for (name, value, most) in ranges {
            ensure!((1..=most).contains(&value), "llm.{name} must be 1 to {most}, not {value}");
        }
        if let Some((model, _)) = self.prices.iter().find(|(_, price)| !price.is_possible()) {
            bail!("llm.prices.{model} must have a prompt and a completion price of 0 or more");
        }
        for (setting, models) in [("models", &self.models), ("embedding_models", &self.embedding_models)] {
            for (kind, model) in models {
                ensure!(
                    matches!(kind.parse(), Ok(ProviderType::Openai | ProviderType::Ollama)),
                    "llm.{setting} names {kind:?}, which must be openai or ollama"
                );
                ensure!(!model.trim().is_empty(), "llm.{setting}.{kind} must not be empty");
            }
        }
        let secret = self.secret_key.as_ref().map(|secret| secrecy::ExposeSecret::expose_secret(secret).len());
        let shortest = Self::SHORTEST_SECRET;
        ensure!(secret.is_none_or(|length| length >= shortest), "llm.secret_key must have {shortest} characters or more");
        Ok(())
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_secs(self.connect_seconds)
    }

    pub(crate) fn retry_pause(&self) -> Duration {
        Duration::from_millis(self.retry_pause_ms)
    }

    pub(crate) fn longest_retry(&self) -> Duration {
        Duration::from_secs(self.longest_retry_seconds)
    }
}

impl Price {
    fn is_possible(self) -> bool {
        [self.prompt, self.completion].iter().all(|dollars| dollars.is_finite() && *dollars >= 0.0)
    }

    /// US dollars.
    #[expect(clippy::cast_precision_loss, reason = "nobody pays for 2^52 tokens")]
    pub(crate) fn of(self, prompt_tokens: i64, completion_tokens: i64) -> f64 {
        (prompt_tokens as f64 * self.prompt + completion_tokens as f64 * self.completion) / 1e6
    }
}
