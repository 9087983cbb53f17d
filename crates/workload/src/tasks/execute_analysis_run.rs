use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    analysis::{self, Outcome},
    context::Context,
    failure::TaskResult,
    params,
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// The analysis run to execute.
    #[schemars(with = "String", extend("format" = "uuid"))]
    run_id: Uuid,
}

impl params::Params for Params {}

pub(crate) async fn run(context: &Context, params: Params) -> TaskResult<Outcome> {
    analysis::execute(context, params.run_id).await
}

/// The task has failed for good, and so has its run, if it has not told so itself.
pub(crate) async fn give_up(context: &Context, params: Params, reason: String) -> TaskResult<()> {
    analysis::give_up(&context.pool, params.run_id, &context.task_id, reason).await
}
