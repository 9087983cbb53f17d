//! The history and single executions.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection, Postgres, QueryBuilder};
use taskscope_wire::{AttemptSummary, Execution, HistoryPage, HistoryQuery, Json, Source, StallReason, TaskStatus};

use super::{
    Store, StoreError,
    filter::Filter,
    position, read,
    scan::{Wanted, scan},
};

/// How long a query of the history may look through the log, so that its answer takes less than a second.
const SEARCH_BUDGET: Duration = Duration::from_millis(850);

/// Columns of an [`ExecutionRow`], from the log as `e`. A later attempt was created later, which spares most partitions.
const COLUMNS: &str = "
    e.id, e.task_name, e.status, e.source, e.task_id, e.params::text as params, e.queued_at, e.started_at, e.completed_at, e.duration_ms,
    e.error_message, e.error_traceback, e.created_at, e.updated_at, e.attempt, e.max_retries, e.queue, e.worker,
    e.labels::text as labels, e.result::text as result, e.error_type, e.error_fingerprint,
    case when e.status = 'running' then (select a.stalled from task_active a where a.id = e.id) end as stalled,
    e.status = 'failed' and exists (
        select from task_execution_logs later
        where later.task_id = e.task_id and later.created_at >= e.created_at and later.attempt > e.attempt
    ) as retried";

impl Store {
    /// A page of the history, newest first, with the number of executions that match: exactly, unless the page says how far back it looked.
    ///
    /// # Errors
    /// Postgres doesn't answer, or not in time.
    pub async fn history(&self, query: &HistoryQuery) -> Result<HistoryPage, StoreError> {
        self.history_within(query, SEARCH_BUDGET).await
    }

    /// [`Store::history`] that looks through the log for so long.
    ///
    /// # Errors
    /// Postgres doesn't answer, or not in time.
    pub async fn history_within(&self, query: &HistoryQuery, budget: Duration) -> Result<HistoryPage, StoreError> {
        let filter = Filter::new(query)?;
        let page_size = i64::from(query.page_size);
        let wanted = Wanted { offset: i64::from(query.page - 1) * page_size, limit: page_size };
        read(async {
            let mut tx = self.snapshot().await?;
            let position = position(&mut tx).await?;
            let found = scan(&mut tx, &filter, wanted, budget).await?;
            let items = rows_of(&mut tx, &found.keys).await?;
            Ok(HistoryPage {
                total_count: found.total,
                page: query.page,
                page_size: query.page_size,
                total_pages: (found.total + page_size - 1) / page_size,
                position,
                cursor: query.cursor,
                searched_back_to: found.back_to,
                items,
            })
        })
        .await
    }

    /// One execution, whole, with all attempts of its task.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn execution(&self, id: i64) -> Result<Option<Execution>, StoreError> {
        let mut query = QueryBuilder::new(format!("select {COLUMNS} from task_execution_logs e where e.id = "));
        query.push_bind(id);
        read(async {
            let mut tx = self.snapshot().await?;
            let row: Option<ExecutionRow> = query.build_query_as().fetch_optional(&mut *tx).await?;
            let Some(row) = row else { return Ok(None) };
            let mut execution = Execution::from(row);
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
        })
        .await
    }
}

/// The executions with these keys, newest first as the keys are. Their times tell Postgres which partitions to look at.
async fn rows_of(tx: &mut PgConnection, keys: &[(DateTime<Utc>, i64)]) -> Result<Vec<Execution>, sqlx::Error> {
    let (Some(newest), Some(oldest)) = (keys.first(), keys.last()) else { return Ok(Vec::new()) };
    let (times, ids): (Vec<_>, Vec<_>) = keys.iter().copied().unzip();
    let mut sql = QueryBuilder::<Postgres>::new(format!("select {COLUMNS} from task_execution_logs e join unnest("));
    sql.push_bind(times)
        .push(", ")
        .push_bind(ids)
        .push(") as k (created_at, id) using (created_at, id) where e.created_at between ");
    sql.push_bind(oldest.0).push(" and ").push_bind(newest.0).push(" order by e.created_at desc, e.id desc");
    let rows: Vec<ExecutionRow> = sql.build_query_as().fetch_all(tx).await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

#[derive(FromRow)]
struct ExecutionRow {
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
    retried: bool,
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
            retried: row.retried,
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
