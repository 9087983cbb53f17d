use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    context::Context,
    failure::TaskResult,
    knowledge::summary::{self, Outcome},
    params,
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// The topic.
    topic_id: Uuid,
    /// The provider; without it the configured one, else the built-in rules.
    #[serde(default)]
    provider_id: Option<Uuid>,
}

impl params::Params for Params {}

pub(crate) async fn run(context: &Context, params: Params) -> TaskResult<Outcome> {
    summary::write(context, params.topic_id, params.provider_id).await
}
