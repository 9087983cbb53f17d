use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    context::Context,
    failure::TaskResult,
    knowledge::extraction::{self, MOST_MESSAGES, Outcome},
    params,
};

const LONGEST_TOPIC: usize = 200;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// The messages, which belong to one topic.
    message_ids: Vec<i64>,
    /// The topic's name; without it the provider gives it one.
    #[serde(default)]
    topic: Option<String>,
    /// The provider; without it the configured one, else the built-in rules.
    #[serde(default)]
    provider_id: Option<Uuid>,
}

impl params::Params for Params {
    fn check(&self) -> Result<(), String> {
        if let Some(topic) = &self.topic
            && (topic.trim().is_empty() || topic.chars().count() > LONGEST_TOPIC)
        {
            return Err(format!("topic must have 1 to {LONGEST_TOPIC} characters"));
        }
        params::check_count("message_ids", self.message_ids.len(), MOST_MESSAGES)
    }
}

pub(crate) async fn run(context: &Context, params: Params) -> TaskResult<Outcome> {
    let provider = extraction::provider(context, params.provider_id).await?;
    let outcome = extraction::topic(context, &provider, &params.message_ids, params.topic.as_deref()).await;
    outcome.map_err(|failure| failure.passing("extracting one topic and its atoms"))
}
