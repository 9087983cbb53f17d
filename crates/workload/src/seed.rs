use anyhow::Context;
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use taskscope_wire::Triggered;

use crate::{
    Queue, demo, messages, sample,
    telegram::export::{self, Input},
};

/// How many of the seeded messages are scored by tasks of their own.
const SCORED_APART: i64 = 20;

/// What seeding did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SeedOutcome {
    /// Sample messages that are new.
    pub messages_added: usize,
    /// Tasks that were queued.
    pub tasks: Vec<Triggered>,
}

/// Brings in the sample messages but for those of the last day, and queues a first round of work on them, of which a task brings in the
/// rest. All of it is marked as sample data. A second time within a day changes nothing. `progress` hears how many messages of how many
/// were looked at.
///
/// # Errors
/// Postgres doesn't answer, or the program's own tables are not there yet.
pub async fn seed(queue: &Queue, mut progress: impl FnMut(i64, i64)) -> anyhow::Result<SeedOutcome> {
    queue.setup().await?;
    let input = Input::Bundled(sample::EXPORT);
    let total = export::count(&input).context("the sample export can't be read")?;
    let (moved, last_day) = (Utc::now() - sample::end(), Utc::now() - TimeDelta::days(1));
    let mut outcome = SeedOutcome::default();
    let mut done = 0;
    let mut batches = export::read(input);
    while let Some(batch) = batches.recv().await {
        let mut batch = batch.context("the sample export can't be read")?.later(moved);
        done += i64::try_from(batch.messages.len())? + batch.skipped;
        batch.messages.retain(|message| message.sent_at < last_day);
        let mut db = queue.pool().acquire().await?;
        outcome.messages_added += messages::store(&mut db, "sample", batch.messages).await?.added.len();
        progress(done, total);
    }
    outcome.tasks = first_round(queue).await?;
    Ok(outcome)
}

async fn first_round(queue: &Queue) -> anyhow::Result<Vec<Triggered>> {
    let apart = sqlx::query_scalar!("select id from messages where sample order by sent_at desc, id desc limit $1", SCORED_APART)
        .fetch_all(queue.pool())
        .await?;
    let mut round: Vec<(&str, Value)> = vec![("ingest_telegram_messages_task", json!({"source": "sample", "score_each": true}))];
    round.extend((0..5).map(|number| ("save_telegram_message", demo::update(number, Utc::now()))));
    round.extend(apart.into_iter().map(|id| ("score_message_task", json!({"message_id": id}))));
    let without_params = [
        "score_unscored_messages_task",
        "scheduled_daily_digest_task",
        "scheduled_notification_alert_task",
        "cleanup_old_task_logs",
        "scheduled_knowledge_extraction_task",
        "embed_messages_batch_task",
    ];
    round.extend(without_params.map(|name| (name, json!({}))));
    let mut queued = Vec::new();
    for (number, (name, params)) in round.into_iter().enumerate() {
        queued.extend(queue.push_once(name, params, &format!("seed@{number}")).await?);
    }
    demo::analyse(queue, TimeDelta::days(7)).await?;
    Ok(queued)
}
