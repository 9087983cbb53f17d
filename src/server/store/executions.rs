//! The history and single executions.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, QueryBuilder};
use taskscope_wire::{AttemptSummary, Execution, HistoryPage, HistoryQuery, Json, Source, StallReason, TaskStatus};

use super::{Store, StoreError, filter::push_filters, position, read};

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
    /// A page of the history, newest first, with the exact number of executions that match.
    ///
    /// # Errors
    /// Postgres doesn't answer, or not in time.
    pub async fn history(&self, query: &HistoryQuery) -> Result<HistoryPage, StoreError> {
        let offset = i64::from(query.page - 1) * i64::from(query.page_size);
        let mut count = QueryBuilder::new("select count(*) from task_execution_logs e");
        push_filters(&mut count, query);
        // The rows of the page first, then what is worked out for them: not for every row that the offset passes over.
        let mut page = QueryBuilder::new(format!("select {COLUMNS} from (select * from task_execution_logs e"));
        push_filters(&mut page, query);
        page.push(" order by e.created_at desc, e.id desc limit ").push_bind(i64::from(query.page_size));
        page.push(" offset ").push_bind(offset).push(") e order by e.created_at desc, e.id desc");
        read(async {
            let mut tx = self.snapshot().await?;
            let position = position(&mut tx).await?;
            let total_count: i64 = count.build_query_scalar().fetch_one(&mut *tx).await?;
            let rows: Vec<ExecutionRow> =
                if offset < total_count { page.build_query_as().fetch_all(&mut *tx).await? } else { Vec::new() };
            Ok(HistoryPage {
                total_count,
                page: query.page,
                page_size: query.page_size,
                total_pages: (total_count + i64::from(query.page_size) - 1) / i64::from(query.page_size),
                position,
                cursor: query.cursor,
                searched_back_to: None,
                items: rows.into_iter().map(Into::into).collect(),
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
