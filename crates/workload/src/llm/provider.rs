use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use reqwest::Client;
use secrecy::SecretString;
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    Answer, Ask, Embedded, LlmConfig, LlmError, Usage, clean,
    endpoint::Endpoint,
    fit::Fit,
    keyword, ollama, openai,
    prompt::{self, Turn},
    settings::{ProviderType, Settings},
};
use crate::WorkloadConfig;

/// How long a check may take.
const CHECK_LIMIT: Duration = Duration::from_secs(5);
/// The most models of a provider that are kept.
const MOST_MODELS: usize = 500;
/// The longest name of a model that is kept, in characters.
const LONGEST_MODEL: usize = 200;
/// Texts that are embedded with one request.
const EMBEDDED_AT_ONCE: usize = 64;

/// A provider of models, ready to be asked.
#[derive(Debug)]
pub(crate) struct Provider {
    settings: Settings,
    config: LlmConfig,
    http: Client,
    key: Option<SecretString>,
}

/// What a model said.
#[derive(Debug, Default)]
pub(super) struct Reply {
    pub(super) text: String,
    /// Why it says nothing.
    pub(super) declined: String,
    /// Whether it would have said more, had it been allowed to.
    pub(super) cut_off: bool,
    pub(super) usage: Usage,
}

pub(super) struct Vectors {
    pub(super) vectors: Vec<Vec<f32>>,
    pub(super) usage: Usage,
}

impl Provider {
    /// The provider with this id, if it is there and active.
    pub(crate) async fn load(pool: &PgPool, config: &WorkloadConfig, http: &Client, id: Uuid) -> Result<Self, LlmError> {
        Self::new(Settings::load(pool, id).await?, &config.llm, http)
    }

    /// A provider with these settings.
    pub(crate) fn new(settings: Settings, config: &LlmConfig, http: &Client) -> Result<Self, LlmError> {
        let key = settings.key.open(config, settings.id, &settings.name, settings.base_url.as_deref())?;
        Ok(Self { settings, config: config.clone(), http: http.clone(), key })
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.settings.name
    }

    /// The model to ask where nobody says which.
    pub(crate) fn chat_model(&self) -> Result<String, LlmError> {
        if self.settings.kind == ProviderType::Keyword {
            return Ok(keyword::MODEL.to_owned());
        }
        let usual = self.config.models.get(self.kind_name()).filter(|model| self.has(model));
        let known = || self.settings.models.iter().find(|model| !model.contains("embed"));
        usual.or_else(known).cloned().ok_or_else(|| {
            LlmError::Setup(format!(
                "{} has no model to ask: check the provider, or set llm.models.{} to the name of one",
                self.name(),
                self.kind_name()
            ))
        })
    }

    /// The model that makes embeddings: this one, or the usual one of the provider's type, where the provider has it.
    pub(crate) fn embedding_model(&self, model: Option<&str>) -> Option<String> {
        if self.settings.kind == ProviderType::Keyword {
            return Some(keyword::MODEL.to_owned());
        }
        let usual = || self.config.embedding_models.get(self.kind_name()).filter(|usual| self.has(usual)).cloned();
        model.map(str::to_owned).or_else(usual)
    }

    /// Whether it can be reached, and which models it has. It is asked once, for five seconds at most.
    pub(crate) async fn check(&self) -> Result<Vec<String>, LlmError> {
        let endpoint = Endpoint { limit: CHECK_LIMIT, ..self.endpoint() };
        let models = match self.settings.kind {
            ProviderType::Keyword => vec![keyword::MODEL.to_owned()],
            ProviderType::Openai => openai::models(&endpoint).await?,
            ProviderType::Ollama => ollama::models(&endpoint).await?,
        };
        Ok(of_use(&models))
    }

    /// Asks until there is an answer that fits, or trying again makes no sense. `told` hears what is tried again, and how long later.
    pub(crate) async fn ask(&self, ask: &Ask<'_>, told: &(dyn Fn(&LlmError, Duration) + Sync)) -> Result<Answer, LlmError> {
        if self.settings.kind == ProviderType::Keyword {
            return Ok(Answer { value: keyword::answer(&ask.work), usage: Usage::default() });
        }
        let fit = Fit::new(ask.schema).map_err(LlmError::Setup)?;
        let mut talk = prompt::talk(ask);
        let mut usage = Usage::default();
        let reason = match self.try_once(ask, &fit, &mut talk, &mut usage, told).await? {
            Ok(value) => return Ok(Answer { value, usage }),
            Err(reason) => reason,
        };
        told(&self.unfit(reason), Duration::ZERO);
        match self.try_once(ask, &fit, &mut talk, &mut usage, told).await? {
            Ok(value) => Ok(Answer { value, usage }),
            Err(reason) => Err(self.unfit(reason)),
        }
    }

    /// Where texts lie, a vector each, by this model or the provider's usual one; with the model's name. None where the provider has no
    /// model for that.
    pub(crate) async fn embed(&self, model: Option<&str>, texts: &[String]) -> Result<Option<Embedded>, LlmError> {
        let Some(model) = self.embedding_model(model) else { return Ok(None) };
        if self.settings.kind == ProviderType::Keyword {
            let vectors = texts.iter().map(|text| keyword::embed(text)).collect();
            return Ok(Some(Embedded { model, vectors, usage: Usage::default() }));
        }
        let (endpoint, mut vectors, mut usage) = (self.endpoint(), Vec::with_capacity(texts.len()), Usage::default());
        for batch in texts.chunks(EMBEDDED_AT_ONCE) {
            let embed = || async {
                match self.settings.kind {
                    ProviderType::Ollama => ollama::embed(&endpoint, &model, batch).await,
                    _ => openai::embed(&endpoint, &model, batch).await,
                }
            };
            let answer =
                self.persist(embed, &|error, pause| tracing::info!(%error, ?pause, "embeddings are asked for again")).await?;
            self.check_vectors(&answer.vectors, batch.len())?;
            usage += self.priced(&model, answer.usage);
            vectors.extend(answer.vectors);
        }
        Ok(Some(Embedded { model, vectors, usage }))
    }

    /// One answer, or what is wrong with it; then the talk has gone on to where it is asked for again.
    async fn try_once(
        &self,
        ask: &Ask<'_>,
        fit: &Fit,
        talk: &mut Vec<Turn>,
        usage: &mut Usage,
        told: &(dyn Fn(&LlmError, Duration) + Sync),
    ) -> Result<Result<Value, String>, LlmError> {
        let endpoint = self.endpoint();
        let (turns, stream) = (talk.as_slice(), self.config.stream);
        let chat = || async {
            match self.settings.kind {
                ProviderType::Ollama => ollama::chat(&endpoint, ask, turns, stream).await,
                _ => openai::chat(&endpoint, ask, turns, stream).await,
            }
        };
        let reply = match self.persist(chat, told).await {
            Ok(reply) => {
                Reply { text: endpoint.without_key(&reply.text), declined: endpoint.without_key(&reply.declined), ..reply }
            }
            Err(LlmError::Unfit { reason, .. }) => return Ok(Err(reason)),
            Err(error) => return Err(error),
        };
        *usage += self.priced(ask.model, reply.usage);
        let read = fit.read(&reply);
        if let Err(reason) = &read {
            prompt::correct(talk, reply.text, reason);
        }
        Ok(read)
    }

    /// Calls until it is done, or what is wrong won't pass, or it was often enough.
    async fn persist<T, F>(&self, call: impl FnMut() -> F, told: &(dyn Fn(&LlmError, Duration) + Sync)) -> Result<T, LlmError>
    where
        F: Future<Output = Result<T, LlmError>>,
    {
        let longest = self.config.longest_retry();
        let pauses = ExponentialBuilder::default()
            .with_min_delay(self.config.retry_pause())
            .with_max_delay(longest)
            .with_max_times(self.config.attempts.saturating_sub(1))
            .with_jitter();
        let adjust = |error: &LlmError, pause: Option<Duration>| {
            let pause = pause?.min(longest);
            match error.retry_after() {
                Some(wanted) => (wanted <= longest).then(|| wanted.max(pause)),
                None => Some(pause),
            }
        };
        call.retry(pauses).when(LlmError::may_pass).adjust(adjust).notify(told).await
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint {
            provider: self.settings.name.clone(),
            base_url: self.settings.base_url.clone().unwrap_or_default(),
            key: self.key.clone(),
            http: self.http.clone(),
            limit: self.config.timeout(),
        }
    }

    /// Whether it may have a model: what it has is not always known.
    fn has(&self, model: &str) -> bool {
        let named = |known: &String| known == model || known.strip_suffix(":latest") == Some(model);
        self.settings.models.is_empty() || self.settings.models.iter().any(named)
    }

    fn kind_name(&self) -> &'static str {
        self.settings.kind.into()
    }

    fn priced(&self, model: &str, usage: Usage) -> Usage {
        let price = self.config.prices.get(model);
        Usage { cost: price.map(|price| price.of(usage.prompt_tokens, usage.completion_tokens)), ..usage }
    }

    fn check_vectors(&self, vectors: &[Vec<f32>], wanted: usize) -> Result<(), LlmError> {
        let length = vectors.first().map_or(0, Vec::len);
        if vectors.len() != wanted {
            return Err(self.unfit(format!("{} embeddings for {wanted} texts", vectors.len())));
        }
        if length == 0 || vectors.iter().any(|vector| vector.len() != length) {
            return Err(self.unfit("its embeddings are empty or of different lengths".to_owned()));
        }
        Ok(())
    }

    fn unfit(&self, reason: String) -> LlmError {
        self.endpoint().unfit(reason)
    }
}

/// The names of models that can be kept: what is left out can't be asked by its name.
fn of_use(models: &[String]) -> Vec<String> {
    let names = models.iter().map(|name| clean::text(name));
    names.filter(|name| (1..=LONGEST_MODEL).contains(&name.chars().count())).take(MOST_MODELS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::keys::Key;

    fn provider(kind: ProviderType, models: &[&str]) -> Provider {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let models = models.iter().map(|model| (*model).to_owned()).collect();
        let settings = Settings { id: Uuid::nil(), name: "x".to_owned(), kind, base_url: None, key: Key::None, models };
        Provider::new(settings, &LlmConfig::default(), &Client::new()).unwrap()
    }

    #[test]
    fn names_of_models_have_bounds() {
        let names = |names: &[&str]| of_use(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(names(&["a\0b", "\0", &"x".repeat(200), &"x".repeat(201)]), ["ab".to_owned(), "x".repeat(200)]);
        assert_eq!(names(&["a"; 501]).len(), 500);
    }

    #[test]
    fn the_usual_model_is_asked_where_the_provider_has_it() {
        let chat = |kind, models: &[&str]| provider(kind, models).chat_model().map_err(|error| error.to_string());
        assert_eq!(chat(ProviderType::Openai, &[]).as_deref(), Ok("gpt-5-mini"));
        assert_eq!(chat(ProviderType::Openai, &["tts-1", "gpt-5-mini"]).as_deref(), Ok("gpt-5-mini"));
        assert_eq!(chat(ProviderType::Openai, &["text-embedding-x", "qwen"]).as_deref(), Ok("qwen"));
        assert_eq!(chat(ProviderType::Ollama, &["nomic-embed-text:latest", "llama3:8b"]).as_deref(), Ok("llama3:8b"));
        let none = chat(ProviderType::Ollama, &["nomic-embed-text:latest"]).unwrap_err();
        assert!(none.starts_with("x has no model to ask") && none.contains("llm.models.ollama"), "{none}");
        assert_eq!(chat(ProviderType::Keyword, &[]).as_deref(), Ok("keyword-rules"));
    }

    #[test]
    fn embeddings_are_made_by_a_model_that_is_there() {
        let model = |kind, models: &[&str], named| provider(kind, models).embedding_model(named);
        assert_eq!(model(ProviderType::Ollama, &["nomic-embed-text:latest"], None).as_deref(), Some("nomic-embed-text"));
        assert_eq!(model(ProviderType::Ollama, &["llama3:8b"], None), None);
        assert_eq!(model(ProviderType::Ollama, &["llama3:8b"], Some("mine")).as_deref(), Some("mine"));
        assert_eq!(model(ProviderType::Keyword, &[], None).as_deref(), Some("keyword-rules"));
    }
}
