//! An attempt as a row: how it is read, and its two ways in.

use chrono::{DateTime, Utc};
use taskscope_wire::{Source, TaskStatus};

use super::{
    End, Memo, RowKey, StoredAttempt,
    attempt::{Described, FinishText},
    copy::CopyRows,
    executions,
    rollup::{Fact, wait},
};

/// The way in for new rows, whose fields [`to_copy`] gives in this order.
pub(super) const COPY: &str = "copy task_execution_logs (
    id, created_at, source, task_id, task_name, status, attempt, queued_at, started_at, completed_at, duration_ms, reported_ms, params,
    labels, queue, worker, max_retries, error_type, error_message, error_traceback, result, memo
) from stdin (format binary)";
/// The number of these columns.
const FIELDS: i16 = 22;
/// About what a row takes.
const USUAL_BYTES: usize = 512;

/// A row as the recorder reads it.
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
    pub(super) source: String,
    pub(super) task_id: String,
    pub(super) task_name: String,
    pub(super) status: String,
    pub(super) attempt: i32,
    pub(super) queued_at: Option<DateTime<Utc>>,
    pub(super) started_at: Option<DateTime<Utc>>,
    pub(super) completed_at: Option<DateTime<Utc>>,
    pub(super) duration_ms: Option<i64>,
    pub(super) reported_ms: Option<i64>,
    pub(super) params: Option<String>,
    pub(super) labels: Option<String>,
    pub(super) queue: Option<String>,
    pub(super) worker: Option<String>,
    pub(super) max_retries: Option<i32>,
    pub(super) error_type: Option<String>,
    pub(super) error_message: Option<String>,
    pub(super) error_traceback: Option<String>,
    pub(super) result: Option<String>,
    pub(super) memo: Option<String>,
}

impl From<&Row> for Fact {
    fn from(row: &Row) -> Self {
        Self {
            created_at: row.created_at,
            task_name: row.task_name.clone(),
            status: executions::status(&row.status),
            duration_ms: row.duration_ms,
            wait_ms: wait(row.queued_at, row.started_at),
        }
    }
}

impl From<Row> for StoredAttempt {
    fn from(row: Row) -> Self {
        let status = executions::status(&row.status);
        let finish = FinishText {
            failed: status == TaskStatus::Failed,
            reported_ms: row.reported_ms,
            error_type: row.error_type,
            error_message: row.error_message,
            error_traceback: row.error_traceback,
            result: row.result,
        };
        let memo: Memo = row.memo.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let mut described = Described {
            params: row.params,
            labels: row.labels,
            queue: row.queue,
            worker: row.worker,
            max_retries: row.max_retries,
        };
        // A column holds what the end said only where nothing else did.
        if let Some(from_end) = &memo.from_end {
            described.leave_out(from_end);
        }
        Self {
            key: Some(RowKey { id: row.id, created_at: row.created_at }),
            source: Source::parse(&row.source).unwrap_or(Source::Taskiq),
            task_id: row.task_id,
            task_name: row.task_name,
            number: row.attempt,
            queued_at: row.queued_at,
            started_at: row.started_at,
            end: status.is_finished().then(|| End { at: row.completed_at.unwrap_or(row.updated_at), of: None, finish }),
            described,
            memo,
        }
    }
}

/// Rows for [`COPY`].
pub(super) fn to_copy(attempts: &[StoredAttempt]) -> Vec<u8> {
    let mut rows = CopyRows::with_capacity(attempts.len() * USUAL_BYTES);
    for (attempt, key) in attempts.iter().filter_map(|attempt| Some((attempt, attempt.key?))) {
        let row = Fields::of(attempt);
        rows.begin(FIELDS);
        rows.bigint(Some(key.id));
        rows.time(Some(row.created_at));
        rows.text(Some(row.source));
        rows.text(Some(row.task_id));
        rows.text(Some(row.task_name));
        rows.text(Some(row.status));
        rows.integer(Some(row.attempt));
        rows.time(row.queued_at);
        rows.time(row.started_at);
        rows.time(row.completed_at);
        rows.bigint(row.duration_ms);
        rows.bigint(row.reported_ms);
        rows.jsonb(row.params);
        rows.jsonb(row.labels);
        rows.text(row.queue);
        rows.text(row.worker);
        rows.integer(row.max_retries);
        rows.text(row.error_type);
        rows.text(row.error_message);
        rows.text(row.error_traceback);
        rows.jsonb(row.result);
        rows.jsonb(row.memo.as_deref());
    }
    rows.finish()
}

/// What the columns of an attempt's row hold.
struct Fields<'a> {
    created_at: DateTime<Utc>,
    source: &'static str,
    task_id: &'a str,
    task_name: &'a str,
    status: &'static str,
    attempt: i32,
    queued_at: Option<DateTime<Utc>>,
    started_at: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
    duration_ms: Option<i64>,
    reported_ms: Option<i64>,
    params: Option<&'a str>,
    labels: Option<&'a str>,
    queue: Option<&'a str>,
    worker: Option<&'a str>,
    max_retries: Option<i32>,
    error_type: Option<&'a str>,
    error_message: Option<&'a str>,
    error_traceback: Option<&'a str>,
    result: Option<&'a str>,
    memo: Option<String>,
}

impl<'a> Fields<'a> {
    fn of(attempt: &'a StoredAttempt) -> Self {
        let end = attempt.end.as_ref();
        let finish = end.map(|end| &end.finish);
        Self {
            created_at: attempt.created_at(),
            source: attempt.source.as_str(),
            task_id: &attempt.task_id,
            task_name: &attempt.task_name,
            status: attempt.status().as_str(),
            attempt: attempt.number,
            queued_at: attempt.queued_at,
            started_at: attempt.started_at,
            completed_at: end.map(|end| end.at),
            duration_ms: attempt.duration_ms(),
            reported_ms: finish.and_then(|finish| finish.reported_ms),
            params: attempt.params(),
            labels: attempt.labels(),
            queue: attempt.queue(),
            worker: attempt.worker(),
            max_retries: attempt.max_retries(),
            error_type: finish.and_then(|finish| finish.error_type.as_deref()),
            error_message: finish.and_then(|finish| finish.error_message.as_deref()),
            error_traceback: finish.and_then(|finish| finish.error_traceback.as_deref()),
            result: finish.and_then(|finish| finish.result.as_deref()),
            memo: (attempt.memo != Memo::default()).then(|| serde_json::to_string(&attempt.memo).unwrap_or_default()),
        }
    }
}

/// Attempts turned by 90 degrees, for `unnest`.
#[derive(Default)]
pub(super) struct Columns<'a> {
    pub(super) id: Vec<i64>,
    pub(super) created_at: Vec<DateTime<Utc>>,
    pub(super) source: Vec<&'static str>,
    pub(super) task_id: Vec<&'a str>,
    pub(super) task_name: Vec<&'a str>,
    pub(super) status: Vec<&'static str>,
    pub(super) attempt: Vec<i32>,
    pub(super) queued_at: Vec<Option<DateTime<Utc>>>,
    pub(super) started_at: Vec<Option<DateTime<Utc>>>,
    pub(super) completed_at: Vec<Option<DateTime<Utc>>>,
    pub(super) duration_ms: Vec<Option<i64>>,
    pub(super) reported_ms: Vec<Option<i64>>,
    pub(super) params: Vec<Option<&'a str>>,
    pub(super) labels: Vec<Option<&'a str>>,
    pub(super) queue: Vec<Option<&'a str>>,
    pub(super) worker: Vec<Option<&'a str>>,
    pub(super) max_retries: Vec<Option<i32>>,
    pub(super) error_type: Vec<Option<&'a str>>,
    pub(super) error_message: Vec<Option<&'a str>>,
    pub(super) error_traceback: Vec<Option<&'a str>>,
    pub(super) result: Vec<Option<&'a str>>,
    pub(super) memo: Vec<Option<String>>,
}

impl<'a> Columns<'a> {
    pub(super) fn of(attempts: &'a [StoredAttempt]) -> Self {
        let mut columns = Self::default();
        for (attempt, key) in attempts.iter().filter_map(|attempt| Some((attempt, attempt.key?))) {
            columns.id.push(key.id);
            columns.push(Fields::of(attempt));
        }
        columns
    }

    fn push(&mut self, row: Fields<'a>) {
        self.created_at.push(row.created_at);
        self.source.push(row.source);
        self.task_id.push(row.task_id);
        self.task_name.push(row.task_name);
        self.status.push(row.status);
        self.attempt.push(row.attempt);
        self.queued_at.push(row.queued_at);
        self.started_at.push(row.started_at);
        self.completed_at.push(row.completed_at);
        self.duration_ms.push(row.duration_ms);
        self.reported_ms.push(row.reported_ms);
        self.params.push(row.params);
        self.labels.push(row.labels);
        self.queue.push(row.queue);
        self.worker.push(row.worker);
        self.max_retries.push(row.max_retries);
        self.error_type.push(row.error_type);
        self.error_message.push(row.error_message);
        self.error_traceback.push(row.error_traceback);
        self.result.push(row.result);
        self.memo.push(row.memo);
    }
}
