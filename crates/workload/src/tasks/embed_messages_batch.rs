use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    context::Context,
    failure::TaskResult,
    knowledge::embeddings::{self, Counts, MOST_NAMED, Wanted},
    params,
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Params {
    /// The messages; without it those that have no embedding.
    message_ids: Option<Vec<i64>>,
    /// The most messages, where they are not named.
    #[schemars(range(min = 1, max = 100_000))]
    limit: i64,
    /// The provider; without it the configured one, else the built-in rules.
    provider_id: Option<Uuid>,
}

impl Default for Params {
    fn default() -> Self {
        Self { message_ids: None, limit: 1000, provider_id: None }
    }
}

impl params::Params for Params {
    fn check(&self) -> Result<(), String> {
        params::check_count("message_ids", self.message_ids.as_ref().map_or(0, Vec::len), MOST_NAMED)
    }
}

pub(crate) async fn run(context: &Context, params: Params) -> TaskResult<Counts> {
    let wanted = params.message_ids.map_or(Wanted::Missing(params.limit), Wanted::Named);
    embeddings::messages(context, wanted, params.provider_id).await
}
