use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{context::Context, failure::TaskResult, params};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Params {
    /// Atoms with this confidence or more are approved.
    #[schemars(range(min = 0, max = 1))]
    threshold: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self { threshold: 0.8 }
    }
}

impl params::Params for Params {}

#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    approved: u64,
    pending: i64,
}

/// Approves what is sure enough and nobody has decided about.
pub(crate) async fn run(context: &Context, params: Params) -> TaskResult<Outcome> {
    let approved = sqlx::query!(
        "update atoms set status = 'approved', auto_approved = true, updated_at = now()
         where status = 'pending' and reviewed_at is null and confidence >= $1",
        params.threshold
    );
    let approved = approved.execute(&context.pool).await?.rows_affected();
    let pending = sqlx::query_scalar!(r#"select count(*) as "count!" from atoms where status = 'pending'"#);
    Ok(Outcome { approved, pending: pending.fetch_one(&context.pool).await? })
}
