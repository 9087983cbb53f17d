//! Rows of the log as executions, and single ones.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{FromRow, Postgres, QueryBuilder, Transaction};
use taskscope_wire::{AttemptSummary, Execution, Json, Source, StallReason, TaskStatus};

use super::{Store, StoreError, read};

/// Columns of an [`ExecutionRow`], from the log as `e`.
pub(super) const COLUMNS: &str = "
    e.id, e.task_name, e.status, e.source, e.task_id, e.params::text as params, e.queued_at, e.started_at, e.completed_at, e.duration_ms,
    e.error_message, e.error_traceback, e.created_at, e.updated_at, e.attempt, e.max_retries, e.queue, e.worker,
    e.labels::text as labels, e.result::text as result, e.error_type, e.error_fingerprint,
    case when e.status = 'running' then (select a.stalled from task_active a where a.id = e.id) end as stalled";

/// How much later than an attempt the next one is looked for. Without a bound every partition since would be.
const NEXT_ATTEMPT: TimeDelta = TimeDelta::days(7);

impl Store {
    /// One execution, whole, with all attempts of its task.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn execution(&self, id: i64) -> Result<Option<Execution>, StoreError> {
        match self.read_past(|tx| execution(tx, id)).await? {
            Some(execution) => Ok(Some(execution)),
            // One that was told live a moment ago isn't on a replica yet.
            None => read(async { execution(self.snapshot().await?, id).await }).await,
        }
    }
}

async fn execution(mut tx: Transaction<'static, Postgres>, id: i64) -> Result<Option<Execution>, StoreError> {
    let mut query = QueryBuilder::new(format!("select {COLUMNS} from task_execution_logs e where e.id = "));
    query.push_bind(id);
    let row: Option<ExecutionRow> = query.build_query_as().fetch_optional(&mut *tx).await?;
    let Some(row) = row else { return Ok(None) };
    let mut execution = Execution::from(row);
    mark_retried(&mut tx, std::slice::from_mut(&mut execution)).await?;
    let attempts = sqlx::query!(
        r#"select id, attempt, status, started_at, duration_ms, error_message
                   from task_execution_logs
                   where id = $1 or task_id = $2
                   order by attempt, created_at, id
                   limit 200"#,
        id,
        execution.task_id,
    )
    .fetch_all(&mut *tx)
    .await?;
    execution.attempts = attempts
        .into_iter()
        .map(|row| AttemptSummary {
            id: row.id,
            attempt: row.attempt,
            status: status(&row.status),
            started_at: row.started_at,
            duration_ms: row.duration_ms,
            error_message: row.error_message,
        })
        .collect();
    Ok(Some(execution))
}

/// Says of failed executions whether a later attempt is known.
pub(super) async fn mark_retried(
    tx: &mut Transaction<'static, Postgres>,
    executions: &mut [Execution],
) -> Result<(), StoreError> {
    let failed = executions.iter().filter(|execution| execution.status == TaskStatus::Failed);
    let (ids, times): (Vec<&str>, Vec<_>) = failed.filter_map(|it| Some((it.task_id.as_deref()?, it.created_at))).unzip();
    let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else { return Ok(()) };
    let attempts = sqlx::query!(
        r#"select task_id as "task_id!", created_at, attempt from task_execution_logs
           where task_id = any($1) and attempt > 1 and created_at >= $2 and created_at < $3"#,
        &ids as _,
        *first,
        *last + NEXT_ATTEMPT,
    )
    .fetch_all(&mut **tx)
    .await?;
    for execution in executions.iter_mut().filter(|execution| execution.status == TaskStatus::Failed) {
        execution.retried = attempts.iter().any(|other| {
            Some(&other.task_id) == execution.task_id.as_ref()
                && other.attempt > execution.attempt
                && other.created_at >= execution.created_at
        });
    }
    Ok(())
}

#[derive(FromRow)]
pub(super) struct ExecutionRow {
    id: i64,
    task_name: String,
    status: String,
    source: String,
    task_id: Option<String>,
    params: Option<String>,
    queued_at: Option<DateTime<Utc>>,
    started_at: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
    duration_ms: Option<i64>,
    error_message: Option<String>,
    error_traceback: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    attempt: i32,
    max_retries: Option<i32>,
    queue: Option<String>,
    worker: Option<String>,
    labels: Option<String>,
    result: Option<String>,
    error_type: Option<String>,
    error_fingerprint: Option<String>,
    stalled: Option<String>,
}

impl From<ExecutionRow> for Execution {
    fn from(row: ExecutionRow) -> Self {
        Self {
            id: row.id,
            task_name: row.task_name,
            status: status(&row.status),
            source: Source::parse(&row.source).unwrap_or_default(),
            task_id: row.task_id,
            params: json(row.params),
            queued_at: row.queued_at,
            started_at: row.started_at,
            completed_at: row.completed_at,
            duration_ms: row.duration_ms,
            error_message: row.error_message,
            error_traceback: row.error_traceback,
            created_at: row.created_at,
            updated_at: row.updated_at,
            attempt: row.attempt,
            max_retries: row.max_retries,
            queue: row.queue,
            worker: row.worker,
            labels: json(row.labels),
            result: json(row.result),
            error_type: row.error_type,
            error_fingerprint: row.error_fingerprint,
            stalled: row.stalled.as_deref().and_then(StallReason::parse),
            retried: false,
            attempts: Vec::new(),
        }
    }
}

/// A status column, whose constraint allows the four words only.
pub(super) fn status(word: &str) -> TaskStatus {
    word.parse().unwrap_or(TaskStatus::Pending)
}

/// A `jsonb` column read as text, which is always JSON.
pub(super) fn json(text: Option<String>) -> Option<Json> {
    text.and_then(|text| Json::parse(text).ok())
}
