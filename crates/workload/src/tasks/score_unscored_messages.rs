use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{context::Context, failure::TaskResult, params, scoring};

/// Messages that are scored at once.
const BATCH: usize = 200;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Params {
    /// The most messages to score.
    #[schemars(range(min = 1, max = 100_000))]
    limit: i64,
}

impl Default for Params {
    fn default() -> Self {
        Self { limit: 2000 }
    }
}

impl params::Params for Params {}

#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    scored: usize,
    remaining: i64,
}

pub(crate) async fn run(context: &Context, params: Params) -> TaskResult<Outcome> {
    let ids = sqlx::query_scalar!("select id from messages where score is null order by id limit $1", params.limit)
        .fetch_all(&context.pool)
        .await?;
    let mut scored = 0;
    for batch in ids.chunks(BATCH) {
        scored += scoring::score(&context.pool, batch).await?.len();
    }
    let remaining = sqlx::query_scalar!(r#"select count(*) as "count!" from messages where score is null"#);
    Ok(Outcome { scored, remaining: remaining.fetch_one(&context.pool).await? })
}
