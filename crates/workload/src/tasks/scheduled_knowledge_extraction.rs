use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::{
    context::Context,
    failure::TaskResult,
    knowledge::{
        embeddings::MOST_NAMED,
        extraction::{self, Outcome as Extracted},
    },
    params,
};

/// Messages between which what was found is kept and told on.
const ROUND: usize = 200;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Params {
    /// The most messages to look through.
    #[schemars(range(min = 1, max = 10_000))]
    limit: i64,
    /// The provider; without it the configured one, else the built-in rules.
    provider_id: Option<Uuid>,
}

impl Default for Params {
    fn default() -> Self {
        Self { limit: 1000, provider_id: None }
    }
}

impl params::Params for Params {}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Outcome {
    messages: usize,
    /// Messages about which the provider gave no answer that fits.
    messages_unfit: usize,
    topics: usize,
    atoms_created: usize,
    atoms_changed: usize,
    tasks_queued: usize,
    remaining: i64,
}

/// Looks through the messages that nobody has looked through yet, oldest first, and has embeddings and summaries of what is new made. One at
/// a time: two would ask about the same messages.
pub(crate) async fn run(context: &Context, params: Params) -> TaskResult<Outcome> {
    let mut turn = context.pool.begin().await?;
    let mine = sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock(hashtext('taskscope.extraction')) as "mine!""#);
    let outcome = if mine.fetch_one(&mut *turn).await? { extract(context, &params).await? } else { Outcome::default() };
    turn.rollback().await?;
    let remaining = sqlx::query_scalar!(r#"select count(*) as "count!" from messages where extracted_at is null"#);
    Ok(Outcome { remaining: remaining.fetch_one(&context.pool).await?, ..outcome })
}

async fn extract(context: &Context, params: &Params) -> TaskResult<Outcome> {
    let ids = sqlx::query_scalar!("select id from messages where extracted_at is null order by id limit $1", params.limit)
        .fetch_all(&context.pool)
        .await?;
    let mut outcome = Outcome::default();
    if ids.is_empty() {
        return Ok(outcome);
    }
    let provider = extraction::provider(context, params.provider_id).await?;
    for round in ids.chunks(ROUND) {
        let passed = extraction::topics_that_fit(context, &provider, round).await?;
        outcome.tasks_queued += tell_on(context, params, round, &passed.outcome).await?;
        if let Some(failure) = passed.failure {
            // It may be the model rather than the messages, so somebody must hear of it.
            return Err(failure.passing(format!("{} messages are passed over", passed.unfit)));
        }
        outcome.add(&passed.outcome, passed.unfit);
    }
    Ok(outcome)
}

/// Queues what follows from a round, and says how many tasks that is.
async fn tell_on(context: &Context, params: &Params, messages: &[i64], extracted: &Extracted) -> TaskResult<usize> {
    let provider_id = params.provider_id;
    let mut tasks = vec![("embed_messages_batch_task", json!({"message_ids": messages, "provider_id": provider_id}))];
    for atoms in extracted.atoms.chunks(MOST_NAMED) {
        tasks.push(("embed_atoms_batch_task", json!({"atom_ids": atoms, "provider_id": provider_id})));
    }
    for topic in &extracted.topics {
        tasks.push(("generate_topic_summary_task", json!({"topic_id": topic, "provider_id": provider_id})));
    }
    let count = tasks.len();
    for (name, task) in tasks {
        context.later(name, task).await?;
    }
    Ok(count)
}

impl Outcome {
    fn add(&mut self, extracted: &Extracted, unfit: usize) {
        self.messages_unfit += unfit;
        self.messages += extracted.messages;
        self.topics += extracted.topics.len();
        self.atoms_created += extracted.atoms_created;
        self.atoms_changed += extracted.atoms_changed;
    }
}
