use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    context::Context,
    failure::{Failure, TaskResult},
    params,
    webhook::Post,
};

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Params {}

impl params::Params for Params {}

#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    /// The alert of this time, if there was something to tell.
    alert_id: Option<i64>,
    sent: u32,
}

/// Makes one alert of all failures that none has told. An alert that could not be sent is sent first, as the same one; meanwhile failures
/// gather for the next, so that a receiver that was away for long gets two and no flood.
pub(crate) async fn run(context: &Context, _: Params) -> TaskResult<Outcome> {
    let left = send_pending(context).await?;
    let alert_id = collect(context).await?;
    Ok(Outcome { alert_id, sent: left + send_pending(context).await? })
}

async fn send_pending(context: &Context) -> TaskResult<u32> {
    let mut sent = 0;
    while context.config.alert.webhook_url.is_some() && send_next(context).await? {
        sent += 1;
    }
    Ok(sent)
}

/// Failures of this task are left out: they would be told in the next alert, which would fail.
async fn collect(context: &Context) -> TaskResult<Option<i64>> {
    let config = &context.config.alert;
    let status = if config.webhook_url.is_some() { "pending" } else { "recorded" };
    let mut tx = context.pool.begin().await?;
    // Two at once would tell the same.
    sqlx::query!("select pg_advisory_xact_lock(hashtext('taskscope.alerts'))").execute(&mut *tx).await?;
    let id = sqlx::query_scalar!(
        r#"with fresh as materialized (
               select l.id, l.task_name, coalesce(l.error_fingerprint, '') as fingerprint, l.error_message, l.failed_at
               from task_execution_logs l
               where l.failed_at is not null and l.created_at > now() - interval '2 days'
                 and l.task_name <> 'scheduled_notification_alert_task'
                 and not exists (select from alerted_failures a where a.execution_id = l.id)
           ), groups as materialized (
               select task_name, fingerprint, count(*) as failures, min(failed_at) as first, max(failed_at) as last,
                      (array_agg(error_message order by failed_at desc))[1] as example,
                      (array_agg(id order by failed_at desc))[1] as execution_id
               from fresh f group by task_name, fingerprint
               having not exists (
                   select from alerted_failures a
                   where a.task_name = f.task_name and a.error_fingerprint = f.fingerprint
                     and a.alerted_at > now() - $2 * interval '1 second'
               )
           ), alert as (
               insert into alerts (status, failures, groups)
               select $1, sum(failures), jsonb_agg(jsonb_build_object(
                   'task_name', task_name, 'failures', failures, 'error_message', left(example, 2000), 'execution_id', execution_id,
                   'first_failed_at', first, 'last_failed_at', last
               ) order by failures desc, task_name)
               from groups having count(*) > 0
               returning id
           ), told as (
               insert into alerted_failures (execution_id, alert_id, task_name, error_fingerprint)
               select f.id, alert.id, f.task_name, f.fingerprint from fresh f join groups using (task_name, fingerprint) cross join alert
           )
           select id from alert"#,
        status,
        f64::from(config.cooldown_seconds),
    )
    .fetch_optional(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(id)
}

/// Whether there was one to send.
async fn send_next(context: &Context) -> TaskResult<bool> {
    let mut tx = context.pool.begin().await?;
    let alert = sqlx::query!(
        "select id, created_at, failures, groups from alerts where status = 'pending' order by id limit 1 for update skip locked"
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(alert) = alert else { return Ok(false) };
    let body = json!({
        "event": "task_failures", "alert_id": alert.id, "created_at": alert.created_at, "failures": alert.failures,
        "text": summary(alert.failures, &alert.groups), "groups": alert.groups,
    });
    let post = Post { event: "task_failures", delivery: format!("alert-{}", alert.id), body: &body };
    let outcome = post.send(&context.http, &context.config.alert.webhook()).await;
    let error = outcome.as_ref().err().map(Failure::message);
    sqlx::query!(
        "update alerts set last_error = $2, status = case when $2::text is null then 'sent' else status end,
                sent_at = case when $2::text is null then now() end
         where id = $1",
        alert.id,
        error,
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    outcome.map(|()| true)
}

/// A sentence for people, such as a chat shows it.
fn summary(failures: i64, groups: &Value) -> String {
    let groups = groups.as_array().map(Vec::as_slice).unwrap_or_default();
    let line = |group: &Value| {
        let text = |key: &str| group[key].as_str().unwrap_or("no message").lines().next().unwrap_or_default().to_owned();
        format!("\n• {} × {}: {}", group["failures"], text("task_name"), text("error_message"))
    };
    let word = if failures == 1 { "task failed" } else { "tasks failed" };
    std::iter::once(format!("{failures} {word}")).chain(groups.iter().take(10).map(line)).collect()
}
