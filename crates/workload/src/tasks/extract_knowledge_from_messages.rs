use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    context::Context,
    failure::TaskResult,
    knowledge::extraction::{self, MOST_MESSAGES, Outcome},
    params,
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// The messages.
    message_ids: Vec<i64>,
    /// The provider; without it the configured one, else the built-in rules.
    #[serde(default)]
    provider_id: Option<Uuid>,
}

impl params::Params for Params {
    fn check(&self) -> Result<(), String> {
        params::check_count("message_ids", self.message_ids.len(), MOST_MESSAGES)
    }
}

pub(crate) async fn run(context: &Context, params: Params) -> TaskResult<Outcome> {
    let provider = extraction::provider(context, params.provider_id).await?;
    let outcome = extraction::topics(context, &provider, &params.message_ids).await;
    outcome.map_err(|failure| failure.passing("extracting topics and atoms"))
}
