//! Sample work that trickles in, so that there is something to watch. It is all real: messages are saved and scored, and what fails fails
//! for the reason that it says.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::{Queue, TriggerError};

/// How often it is looked whether sample data came.
const LOOK: Duration = Duration::from_secs(10);
/// Messages that come and are edited in turn, so that the sample doesn't grow for ever.
const MESSAGES: i64 = 200;
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
const ROUND: [Step; 16] = [
    Step::Save,
    Step::ScoreSample,
    Step::Task("score_unscored_messages_task"),
    Step::Ingest,
    Step::Task("scheduled_daily_digest_task"),
    Step::Task("scheduled_notification_alert_task"),
    Step::Task("cleanup_old_task_logs"),
    Step::ScoreNothing,
    Step::Save,
    Step::ScoreSample,
    Step::ScoreSample,
    Step::Save,
    Step::ScoreSample,
    Step::Save,
    Step::ScoreSample,
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

async fn take(queue: &Queue, step: Step, number: i64) -> Result<(), TriggerError> {
    let (name, params) = match step {
        Step::Save => ("save_telegram_message", update(number, Utc::now())),
        Step::ScoreSample => ("score_message_task", json!({"message_id": any_sample(queue).await?})),
        Step::ScoreNothing => ("score_message_task", json!({"message_id": 1_000_000_000 + number})),
        Step::Ingest => ("ingest_telegram_messages_task", json!({"source": "sample"})),
        Step::Task(name) => (name, json!({})),
    };
    queue.push(name, params, None).await?;
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

async fn any_sample(queue: &Queue) -> Result<i64, TriggerError> {
    sqlx::query_scalar!("select id from messages where sample order by random() limit 1")
        .fetch_one(queue.pool())
        .await
        .map_err(TriggerError::Database)
}

/// An answer that doesn't come counts as no.
async fn has_sample(queue: &Queue) -> bool {
    let found = sqlx::query_scalar!(r#"select exists (select from messages where sample) as "exists!""#);
    found.fetch_one(queue.pool()).await.unwrap_or(false)
}
