use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    context::Context,
    failure::{Failure, TaskResult},
    params,
    scoring::{self, Score},
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// The message to score.
    #[schemars(range(min = 1))]
    message_id: i64,
}

impl params::Params for Params {}

pub(crate) async fn run(context: &Context, params: Params) -> TaskResult<Score> {
    let scores = scoring::score(&context.pool, &[params.message_id]).await?;
    let score = scores.into_iter().next();
    score.ok_or_else(|| Failure::permanent(format!("there is no message {}", params.message_id)))
}
