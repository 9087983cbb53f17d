//! Language models: what is asked of them, by whom it is answered, and what that cost.
//!
//! **Promises.** An answer fits the schema that was asked for, or there is an error with the provider's own words. What may pass (too many
//! requests, trouble of the server, a cut connection) is tried again with back-off; an answer that doesn't fit is asked for once more,
//! with what was wrong. Dropping the future of [`Provider::ask`] ends the request. Keys are never shown, logged or told.

mod keyword;

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use crate::WorkloadConfig;

/// Something that is asked of a model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) model: &'a str,
    /// Who the model is to be.
    pub(crate) system: &'a str,
    pub(crate) work: Work<'a>,
    /// The JSON Schema that the answer must fit; without it the answer is a JSON string of free text.
    pub(crate) schema: Option<&'a Value>,
    pub(crate) temperature: f64,
    pub(crate) max_tokens: u32,
}

/// What is to be done: a model reads it as a prompt, the keyword rules read it as it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work<'a> {
    /// Propose the tasks that follow from messages.
    Proposals(&'a [SourceMessage]),
    /// Find the topics of messages, and the atoms of knowledge of each.
    Topics(&'a [SourceMessage]),
    /// Find the atoms of knowledge of one topic, which may have a name already.
    Topic(Option<&'a str>, &'a [SourceMessage]),
    /// Sum up what is known of a topic: its name, and the lines of its atoms.
    Summary(&'a str, &'a [String]),
    /// Answer a prompt.
    Free(&'a str),
}

/// A message as it is shown to a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceMessage {
    pub(crate) id: i64,
    pub(crate) author: String,
    pub(crate) sent_at: DateTime<Utc>,
    pub(crate) content: String,
}

/// An answer that fits.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) value: Value,
    pub(crate) usage: Usage,
}

/// What an answer took, those that did not fit among it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Usage {
    pub(crate) prompt_tokens: i64,
    pub(crate) completion_tokens: i64,
    /// US dollars; none where the price table doesn't have the model.
    pub(crate) cost: Option<f64>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LlmError {
    /// It can't be used as it is set up: another try would not help.
    #[error("{0}")]
    Setup(String),
    /// It can't be reached, or takes too long.
    #[error("{provider} can't be reached: {cause}")]
    Unreachable { provider: String, cause: String },
    /// It refused, in its own words.
    #[error("{provider} answered {status}: {message}")]
    Refused {
        provider: String,
        status: u16,
        message: String,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// What it answered doesn't fit, also when asked again.
    #[error("{provider} gave an answer that does not fit: {reason}")]
    Unfit { provider: String, reason: String },
    /// The database doesn't answer.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// A provider of models, ready to be asked.
#[derive(Debug)]
pub(crate) struct Provider {
    name: String,
}

impl Provider {
    /// The provider with this id, if it is there and active.
    pub(crate) async fn load(
        pool: &PgPool,
        _config: &WorkloadConfig,
        _http: &reqwest::Client,
        id: Uuid,
    ) -> Result<Self, LlmError> {
        let row =
            sqlx::query!("select name, type as kind, is_active from providers where id = $1", id).fetch_optional(pool).await?;
        let row = row.ok_or_else(|| LlmError::Setup(format!("there is no provider {id}")))?;
        if !row.is_active {
            return Err(LlmError::Setup(format!("the provider {} is not active", row.name)));
        }
        Ok(Self { name: row.name })
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Asks until there is an answer that fits, or trying again makes no sense. `told` hears what is tried again, and how long later.
    pub(crate) async fn ask(&self, ask: &Ask<'_>, _told: &(dyn Fn(&LlmError, Duration) + Sync)) -> Result<Answer, LlmError> {
        Ok(Answer { value: keyword::answer(&ask.work), usage: Usage::default() })
    }

    /// Where texts lie, a vector each, by this model or the provider's usual one; with the model's name. None where the provider has no
    /// model for that.
    pub(crate) async fn embed(&self, _model: Option<&str>, _texts: &[String]) -> Result<Option<Embedded>, LlmError> {
        Ok(None)
    }
}

/// Vectors, in the order of the texts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Embedded {
    pub(crate) model: String,
    pub(crate) vectors: Vec<Vec<f32>>,
    pub(crate) usage: Usage,
}
