//! Language models: what is asked of them, by whom it is answered, and what that cost.
//!
//! **Promises.** An answer fits the schema that was asked for, or there is an error with the provider's own words. What may pass (too many
//! requests, trouble of the server, a cut connection) is tried again with back-off; an answer that doesn't fit is asked for once more,
//! with what was wrong. Dropping the future of [`Provider::ask`] ends the request. Keys are never shown, logged or told.
//!
//! Two wire formats are spoken, each with and without streaming: OpenAI's chat completions, which many servers understand, and Ollama's own.

mod clean;
mod config;
mod endpoint;
mod fit;
pub(crate) mod keys;
mod keyword;
mod ollama;
mod openai;
mod prompt;
mod provider;
mod settings;
mod stream;

use std::{ops::AddAssign, time::Duration};

use chrono::{DateTime, Utc};
use serde_json::Value;

pub use self::{
    config::{LlmConfig, Price},
    settings::ProviderType,
};
pub(crate) use self::{endpoint::settle_base_url, provider::Provider, settings::Settings};
use crate::failure::Failure;

/// The most tokens that one answer counts for.
const MOST_TOKENS: i64 = 1_000_000_000;

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
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
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

impl Usage {
    /// What a provider says that it took. Nobody can take more than a billion.
    fn counted(prompt_tokens: i64, completion_tokens: i64) -> Self {
        let [prompt_tokens, completion_tokens] = [prompt_tokens, completion_tokens].map(|count| count.clamp(0, MOST_TOKENS));
        Self { prompt_tokens, completion_tokens, cost: None }
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
        self.cost = match (self.cost, other.cost) {
            (Some(one), Some(other)) => Some(one + other),
            (one, other) => one.or(other),
        };
    }
}

/// Vectors, in the order of the texts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Embedded {
    pub(crate) model: String,
    pub(crate) vectors: Vec<Vec<f32>>,
    pub(crate) usage: Usage,
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
    /// It refused, in its own words. A status of 200 means that it did so in the middle of its answer.
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

impl LlmError {
    /// Whether the same request may be answered later.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Database(_) => true,
            Self::Refused { status, .. } => matches!(status, 200 | 408 | 429 | 500..),
            Self::Setup(_) | Self::Unfit { .. } => false,
        }
    }

    /// Whether it is what was asked, rather than the provider, that gets no answer of use: others may.
    pub(crate) fn is_about_question(&self) -> bool {
        matches!(self, Self::Unfit { .. } | Self::Refused { status: 400 | 413 | 422, .. })
    }

    /// The failure of a task: for good where trying again can't help, else not before the provider wants to be asked again.
    #[track_caller]
    pub(crate) fn into_failure(self) -> Failure {
        let (may_pass, pause) = (self.may_pass(), self.retry_after());
        let failure = Failure::from(self);
        match pause {
            _ if !may_pass => failure.never_again(),
            Some(pause) => failure.retry_after(pause),
            None => failure,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Retry;

    #[test]
    fn usage_adds_up() {
        let mut sum = Usage::default();
        sum += Usage { prompt_tokens: 2, completion_tokens: 1, cost: Some(0.5) };
        sum += Usage { prompt_tokens: 3, completion_tokens: 1, cost: Some(0.25) };
        assert_eq!(sum, Usage { prompt_tokens: 5, completion_tokens: 2, cost: Some(0.75) });
    }

    #[test]
    fn tokens_that_nobody_can_take_are_not_counted() {
        assert_eq!(Usage::counted(-7, i64::MAX), Usage { prompt_tokens: 0, completion_tokens: MOST_TOKENS, cost: None });
    }

    #[test]
    fn tasks_are_tried_again_where_that_can_help() {
        let refused = |status, pause| {
            let (provider, message) = ("x".to_owned(), "no".to_owned());
            LlmError::Refused { provider, status, message, retry_after: pause }.into_failure().retry()
        };
        let pause = Some(Duration::from_secs(9));
        assert_eq!(refused(429, pause), Retry::After(Duration::from_secs(9)));
        assert_eq!((refused(503, None), refused(401, pause), refused(400, None)), (Retry::Usual, Retry::Never, Retry::Never));
        assert_eq!(LlmError::Setup("no key".to_owned()).into_failure().retry(), Retry::Never);
    }
}
