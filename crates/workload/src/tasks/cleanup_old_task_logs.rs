use std::path::PathBuf;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use futures::TryStreamExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Postgres, Transaction};

use crate::{
    archive::{Archive, Archived},
    context::Context,
    failure::{Failure, TaskResult},
    params,
};

/// Rows that are archived are those that are deleted, whatever others write meanwhile. Deleting says that it is no news for the live view,
/// and may take its time.
const BEGIN: &str = "begin isolation level repeatable read;
    set local taskscope.recorder = 'on';
    set local statement_timeout = 0";

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Params {
    /// Days that executions are kept; otherwise as configured.
    #[schemars(range(min = 1, max = 3650))]
    retention_days: Option<u32>,
}

impl params::Params for Params {}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Outcome {
    days: u32,
    deleted: u64,
    archives: Vec<PathBuf>,
    /// Tasks that the queue forgot.
    forgotten: u64,
}

/// Goes day by day, the oldest first, so that what is done stays done.
pub(crate) async fn run(context: &Context, params: Params) -> TaskResult<Outcome> {
    let kept = params.retention_days.unwrap_or(context.config.retention.days);
    let cutoff = (Utc::now() - Days::new(kept.into())).date_naive();
    let mut outcome = Outcome::default();
    while let Some(day) = oldest_day(context, cutoff).await? {
        let (deleted, archive) = clear(context, day).await?;
        outcome.days += 1;
        outcome.deleted += deleted;
        outcome.archives.extend(archive);
    }
    sqlx::query!("delete from alerted_failures where alerted_at < now() - interval '3 days'").execute(&context.pool).await?;
    outcome.forgotten = context.queue.tidy().await?;
    Ok(outcome)
}

/// The first day before the cutoff that has executions.
async fn oldest_day(context: &Context, cutoff: NaiveDate) -> TaskResult<Option<NaiveDate>> {
    let oldest = sqlx::query_scalar!("select min(created_at) from task_execution_logs where created_at < $1", start_of(cutoff));
    Ok(oldest.fetch_one(&context.pool).await?.map(|time| time.date_naive()))
}

/// Archives a day where told to, and deletes it: both, or none.
async fn clear(context: &Context, day: NaiveDate) -> TaskResult<(u64, Option<PathBuf>)> {
    let mut tx = context.pool.begin_with(BEGIN).await?;
    let archived = match &context.config.retention.archive_dir {
        Some(directory) => Some(archive(&mut tx, Archive::begin(directory.clone(), day)?, day).await?),
        None => None,
    };
    let deleted = delete(&mut tx, day).await?;
    if let Some(archived) = archived.as_ref().filter(|archived| archived.rows != deleted) {
        let rows = archived.rows;
        return Err(Failure::new(format!("{rows} executions of {day} were archived, but {deleted} would be deleted")));
    }
    finish(tx, archived, deleted).await
}

/// The archive takes its name before the rows go: a crash in between leaves them twice, never nowhere.
async fn finish(tx: Transaction<'_, Postgres>, archived: Option<Archived>, deleted: u64) -> TaskResult<(u64, Option<PathBuf>)> {
    let path = archived.map(Archived::publish).transpose()?;
    tx.commit().await?;
    Ok((deleted, path))
}

async fn archive(db: &mut PgConnection, mut archive: Archive, day: NaiveDate) -> TaskResult<Archived> {
    let mut rows = sqlx::query_scalar!(
        r#"select to_jsonb(l)::text as "row!" from task_execution_logs l where created_at >= $1 and created_at < $2 order by created_at, id"#,
        start_of(day),
        start_of(next(day)),
    )
    .fetch(db);
    while let Some(row) = rows.try_next().await? {
        if !archive.write(row).await {
            break;
        }
    }
    Ok(archive.finish().await?)
}

/// Deletes a day's rows. No trigger tells that they go, so the hours are marked here: what was counted of them goes too.
async fn delete(db: &mut PgConnection, day: NaiveDate) -> TaskResult<u64> {
    sqlx::query!(
        "select taskscope_mark_hour(hour) from generate_series($1::timestamptz, $2::timestamptz - interval '1 hour', interval '1 hour') hour",
        start_of(day),
        start_of(next(day)),
    )
    .fetch_all(&mut *db)
    .await?;
    let deleted = sqlx::query!(
        "delete from task_execution_logs where created_at >= $1 and created_at < $2",
        start_of(day),
        start_of(next(day)),
    );
    Ok(deleted.execute(db).await?.rows_affected())
}

fn start_of(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

fn next(day: NaiveDate) -> NaiveDate {
    day.checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX)
}
