use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{WebhookConfig, context::Context, failure::TaskResult, params, webhook::Post};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Params {
    /// Hours to sum up.
    #[schemars(range(min = 1, max = 720))]
    hours: u16,
}

impl Default for Params {
    fn default() -> Self {
        Self { hours: 24 }
    }
}

impl params::Params for Params {}

#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    digest_id: i64,
    posted: bool,
}

/// A further attempt posts the digest that the first one made.
pub(crate) async fn run(context: &Context, params: Params) -> TaskResult<Outcome> {
    let digest = match find(context).await? {
        Some(digest) => digest,
        None => make(context, params.hours).await?,
    };
    let webhook = webhook(context);
    let posted = webhook.webhook_url.is_some();
    if posted && !digest.posted {
        let post = Post { event: "daily_digest", delivery: format!("digest-{}", digest.id), body: &digest.body };
        post.send(&context.http, &webhook).await?;
        sqlx::query!("update digests set posted_at = now() where id = $1", digest.id).execute(&context.pool).await?;
    }
    Ok(Outcome { digest_id: digest.id, posted })
}

/// Its own webhook, or that of the alerts.
fn webhook(context: &Context) -> WebhookConfig {
    if context.config.digest.webhook_url.is_some() { context.config.digest.clone() } else { context.config.alert.webhook() }
}

struct Digest {
    id: i64,
    body: Value,
    posted: bool,
}

async fn find(context: &Context) -> TaskResult<Option<Digest>> {
    let digest = sqlx::query_as!(
        Digest,
        r#"select id, content as body, posted_at is not null as "posted!" from digests where task_id = $1"#,
        context.task_id,
    );
    Ok(digest.fetch_optional(&context.pool).await?)
}

async fn make(context: &Context, hours: u16) -> TaskResult<Digest> {
    let end = Utc::now();
    let start = end - TimeDelta::hours(hours.into());
    let body = content(context, start, end).await?;
    let id = sqlx::query_scalar!(
        "insert into digests (task_id, window_start, window_end, content) values ($1, $2, $3, $4) returning id",
        context.task_id,
        start,
        end,
        body,
    )
    .fetch_one(&context.pool)
    .await?;
    Ok(Digest { id, body, posted: false })
}

async fn content(context: &Context, start: DateTime<Utc>, end: DateTime<Utc>) -> TaskResult<Value> {
    let tasks = tasks(context, start, end).await?;
    let total = |key: &str| tasks.iter().filter_map(|task| task[key].as_i64()).sum::<i64>();
    let (executions, failed) = (total("executions"), total("failed"));
    let messages = messages(context, start, end).await?;
    Ok(json!({
        "event": "daily_digest", "window_start": start, "window_end": end,
        "text": format!("{executions} executions, {failed} failed, {} messages", messages["total"]),
        "executions": executions, "succeeded": total("succeeded"), "failed": failed, "tasks": tasks,
        "slowest": slowest(context, start, end).await?,
        "failures": failures(context, start, end).await?,
        "messages": messages,
    }))
}

async fn tasks(context: &Context, start: DateTime<Utc>, end: DateTime<Utc>) -> TaskResult<Vec<Value>> {
    let rows = sqlx::query!(
        r#"select task_name, count(*) as "executions!", count(*) filter (where status = 'success') as "succeeded!",
                  count(*) filter (where status = 'failed') as "failed!",
                  (avg(duration_ms) filter (where status = 'success'))::float8 as avg_duration_ms
           from task_execution_logs where created_at >= $1 and created_at < $2 group by task_name order by 2 desc, 1"#,
        start,
        end,
    )
    .fetch_all(&context.pool)
    .await?;
    let entries = rows.into_iter().map(|row| {
        json!({
            "task_name": row.task_name, "executions": row.executions, "succeeded": row.succeeded, "failed": row.failed,
            "avg_duration_ms": row.avg_duration_ms,
        })
    });
    Ok(entries.collect())
}

async fn slowest(context: &Context, start: DateTime<Utc>, end: DateTime<Utc>) -> TaskResult<Vec<Value>> {
    let rows = sqlx::query!(
        r#"select id, task_name, status, duration_ms as "duration_ms!" from task_execution_logs
           where created_at >= $1 and created_at < $2 and duration_ms is not null order by duration_ms desc limit 5"#,
        start,
        end,
    )
    .fetch_all(&context.pool)
    .await?;
    let entries = rows.into_iter().map(
        |row| json!({"execution_id": row.id, "task_name": row.task_name, "status": row.status, "duration_ms": row.duration_ms}),
    );
    Ok(entries.collect())
}

async fn failures(context: &Context, start: DateTime<Utc>, end: DateTime<Utc>) -> TaskResult<Vec<Value>> {
    let rows = sqlx::query!(
        r#"select task_name, count(*) as "failures!", (array_agg(left(error_message, 500) order by failed_at desc))[1] as error_message
           from task_execution_logs where failed_at is not null and created_at >= $1 and created_at < $2
           group by task_name, error_fingerprint order by 2 desc, 1 limit 10"#,
        start,
        end,
    )
    .fetch_all(&context.pool)
    .await?;
    let entries = rows
        .into_iter()
        .map(|row| json!({"task_name": row.task_name, "failures": row.failures, "error_message": row.error_message}));
    Ok(entries.collect())
}

async fn messages(context: &Context, start: DateTime<Utc>, end: DateTime<Utc>) -> TaskResult<Value> {
    let total =
        sqlx::query_scalar!(r#"select count(*) as "count!" from messages where sent_at >= $1 and sent_at < $2"#, start, end)
            .fetch_one(&context.pool)
            .await?;
    let top = sqlx::query!(
        r#"select id, author, left(content, 300) as "content!", score as "score!" from messages
           where sent_at >= $1 and sent_at < $2 and score is not null order by score desc, id desc limit 5"#,
        start,
        end,
    )
    .fetch_all(&context.pool)
    .await?;
    let entries = top
        .into_iter()
        .map(|row| json!({"message_id": row.id, "author": row.author, "content": row.content, "score": row.score}));
    Ok(json!({"total": total, "top": entries.collect::<Vec<_>>()}))
}
