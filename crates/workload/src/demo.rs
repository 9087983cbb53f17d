//! Sample work that trickles in, so that there is something to watch. It is all real: messages are saved and scored, and what fails fails
//! for the reason that it says.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use taskscope_wire::{NewRun, TriggerType};
use uuid::Uuid;

use crate::{Queue, analysis};

/// How often it is looked whether sample data came.
const LOOK: Duration = Duration::from_secs(10);
/// Messages that come and are edited in turn, so that the sample doesn't grow for ever.
const MESSAGES: i64 = 200;
/// Sample messages that knowledge is extracted from at once.
const EXTRACTED_TOGETHER: i64 = 12;
/// How long one analysis of samples is enough.
const RUNS_APART: Duration = Duration::from_secs(10 * 60);
/// Message ids of the sample export end far below.
const FIRST_MESSAGE_ID: i64 = 1_000_000;
/// The sample chat, as the Bot API names it.
const CHAT: i64 = -1_001_900_000_001;

const AUTHORS: [(&str, &str); 5] =
    [("Olena", "Kovalenko"), ("Taras", "Melnyk"), ("Marta", "Lind"), ("Sofia", "Reyes"), ("Jonas", "Weber")];

const TEXTS: [&str; 16] = [
    "Build 2301 of main passed in 7m 18s",
    "does anyone know why the nightly report is empty?",
    "HRB-445 is ready for review: https://git.harbor.example/pull/1971",
    "import-worker-2 reports timeouts again, I am looking",
    "decided: the limit per customer is 5000 files an hour",
    "deploy of 4.20.0 to staging is done, please test",
    "thanks, that helped!",
    "bug: the progress bar jumps back to 0 % after a retry",
    "@marta can you check the disk of the database server? it is at 81 %",
    "the customer with the big import is happy, no further questions",
    "sprint 25: 14 tickets, 31 points, two of them risky",
    "who has coffee beans left?",
    "rollback of the flag took 40 seconds, no import was lost",
    "security update of the base image is merged",
    "не працює вхід на стейджингу, хтось ще бачить?",
    "I would like to split `store_rows` before we add the third case",
];

/// What comes round after round. Whoever looks sees every task type pass within a minute.
const ROUND: [Step; 20] = [
    Step::Save,
    Step::ScoreSample,
    Step::Task("score_unscored_messages_task"),
    Step::Ingest,
    Step::Analyse,
    Step::Task("scheduled_knowledge_extraction_task"),
    Step::Extract("extract_knowledge_from_messages_task"),
    Step::Task("scheduled_daily_digest_task"),
    Step::Extract("extract_topic_and_atoms_task"),
    Step::Task("embed_messages_batch_task"),
    Step::Task("embed_atoms_batch_task"),
    Step::Summarize,
    Step::Task("scheduled_notification_alert_task"),
    Step::Task("scheduled_auto_approval_task"),
    Step::Task("cleanup_old_task_logs"),
    Step::ScoreNothing,
    Step::Save,
    Step::ScoreSample,
    Step::ExtractNothing,
    Step::Save,
];

#[derive(Clone, Copy)]
enum Step {
    /// A message comes through the webhook, and is scored.
    Save,
    /// A sample message is scored anew.
    ScoreSample,
    /// A message that doesn't exist is to be scored, which fails.
    ScoreNothing,
    /// The sample export is read again.
    Ingest,
    /// The newest messages are analysed, where that was not done a short while ago.
    Analyse,
    /// Knowledge is extracted from some sample messages by this task.
    Extract(&'static str),
    /// Knowledge is to be extracted from no messages, which fails.
    ExtractNothing,
    /// A topic is summed up.
    Summarize,
    /// What runs by the clock, out of turn.
    Task(&'static str),
}

/// Trickles in as soon as it is wanted: always, never, or where there is sample data.
pub(crate) async fn if_wanted(queue: Queue, wanted: Option<bool>) {
    if wanted == Some(false) {
        return;
    }
    while wanted.is_none() && !has_sample(&queue).await {
        tokio::time::sleep(LOOK).await;
    }
    demo_work(queue).await;
}

/// Queues a task every few seconds, for ever.
pub async fn demo_work(queue: Queue) {
    for (number, step) in (0..).zip(ROUND.into_iter().cycle()) {
        if let Err(error) = take(&queue, step, number).await {
            tracing::debug!(%error, "sample work waits");
        }
        tokio::time::sleep(Duration::from_millis(rand::random_range(1000..3000))).await;
    }
}

async fn take(queue: &Queue, step: Step, number: i64) -> anyhow::Result<()> {
    let (name, params) = match step {
        Step::Save => ("save_telegram_message", update(number, Utc::now())),
        Step::ScoreSample => ("score_message_task", json!({"message_id": any_sample(queue).await?})),
        Step::ScoreNothing => ("score_message_task", json!({"message_id": 1_000_000_000 + number})),
        Step::Ingest => ("ingest_telegram_messages_task", json!({"source": "sample"})),
        Step::Analyse => return analyse(queue, TimeDelta::days(1)).await,
        Step::Extract(name) => (name, json!({"message_ids": some_samples(queue).await?})),
        Step::ExtractNothing => ("extract_knowledge_from_messages_task", json!({"message_ids": []})),
        Step::Summarize => match any_topic(queue).await? {
            Some(topic) => ("generate_topic_summary_task", json!({"topic_id": topic})),
            None => return Ok(()),
        },
        Step::Task(name) => (name, json!({})),
    };
    queue.push(name, params, None).await?;
    Ok(())
}

/// Makes and starts an analysis of the messages of this last while, unless there was a run lately.
pub(crate) async fn analyse(queue: &Queue, last: TimeDelta) -> anyhow::Result<()> {
    let lately = sqlx::query_scalar!(
        r#"select exists (select from analysis_runs where created_at > now() - $1 * interval '1 second') as "lately!""#,
        RUNS_APART.as_secs_f64(),
    );
    if lately.fetch_one(queue.pool()).await? {
        return Ok(());
    }
    let now = Utc::now();
    let new = NewRun {
        time_window_start: now - last,
        time_window_end: now,
        agent_assignment_id: analysis::BUILT_IN_ASSIGNMENT,
        trigger_type: TriggerType::Custom,
        project_config_id: None,
    };
    let run = analysis::create_run(queue.pool(), &new).await?;
    analysis::start_run(queue, run.id).await?;
    Ok(())
}

/// Params of `save_telegram_message`: an update as Telegram would send it.
pub(crate) fn update(number: i64, now: DateTime<Utc>) -> Value {
    let pick = |length: usize| usize::try_from(number).unwrap_or_default() % length;
    let (first_name, last_name) = AUTHORS[pick(AUTHORS.len())];
    let message = json!({
        "message_id": FIRST_MESSAGE_ID + number % MESSAGES, "date": now.timestamp(), "edit_date": now.timestamp(),
        "chat": {"id": CHAT, "type": "supergroup", "title": "Harbor backend (sample)"},
        "from": {"id": 5_100_000 + number % 5, "is_bot": false, "first_name": first_name, "last_name": last_name},
        "text": TEXTS[pick(TEXTS.len())],
    });
    json!({"sample": true, "update": {"update_id": number, "edited_message": message}})
}

async fn any_sample(queue: &Queue) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!("select id from messages where sample order by random() limit 1").fetch_one(queue.pool()).await
}

/// Some sample messages that follow each other.
async fn some_samples(queue: &Queue) -> Result<Vec<i64>, sqlx::Error> {
    let from = any_sample(queue).await?;
    sqlx::query_scalar!("select id from messages where sample and id >= $1 order by id limit $2", from, EXTRACTED_TOGETHER)
        .fetch_all(queue.pool())
        .await
}

async fn any_topic(queue: &Queue) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar!("select id from topics order by random() limit 1").fetch_optional(queue.pool()).await
}

/// An answer that doesn't come counts as no.
async fn has_sample(queue: &Queue) -> bool {
    let found = sqlx::query_scalar!(r#"select exists (select from messages where sample) as "exists!""#);
    found.fetch_one(queue.pool()).await.unwrap_or(false)
}
