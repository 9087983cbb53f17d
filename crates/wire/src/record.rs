use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Cursor, Json, LiveEvent, Position, REGISTERED_TASK_TYPES, Source, StallReason, TaskStatus};

/// One attempt to run one task: a row of the execution log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Execution {
    /// The row's id.
    pub id: i64,
    /// The task type.
    pub task_name: String,
    /// Where it stands.
    pub status: TaskStatus,
    /// The protocol that reported it.
    #[serde(default)]
    pub source: Source,
    /// The broker's id, the same for all attempts.
    pub task_id: Option<String>,
    /// What it was called with.
    pub params: Option<Json>,
    /// When it was queued.
    pub queued_at: Option<DateTime<Utc>>,
    /// When a worker took it.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub completed_at: Option<DateTime<Utc>>,
    /// How long it ran, in milliseconds.
    pub duration_ms: Option<i64>,
    /// Why it failed.
    pub error_message: Option<String>,
    /// The stack trace.
    pub error_traceback: Option<String>,
    /// The earliest time known of it: what windows, filters and the order of history go by.
    pub created_at: DateTime<Utc>,
    /// When the row last changed.
    pub updated_at: DateTime<Utc>,
    /// The attempt, from 1.
    pub attempt: i32,
    /// How often the task may be retried.
    pub max_retries: Option<i32>,
    /// The queue.
    pub queue: Option<String>,
    /// Who ran it.
    pub worker: Option<String>,
    /// The client's metadata.
    pub labels: Option<Json>,
    /// A preview of what it returned.
    pub result: Option<Json>,
    /// The type of the error.
    #[serde(default)]
    pub error_type: Option<String>,
    /// The same for errors that differ in numbers only.
    pub error_fingerprint: Option<String>,
    /// Why it counts as stalled, if it runs and does.
    #[serde(default)]
    pub stalled: Option<StallReason>,
    /// Whether a later attempt of the same task is known.
    #[serde(default)]
    pub retried: bool,
    /// All attempts of the task, this one among them; filled where one execution is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<AttemptSummary>,
}

impl Execution {
    /// Whether it ended, and Taskscope's own worker can run its task again. Another system's tasks may have the same names, but it doesn't
    /// report as our worker does.
    #[must_use]
    pub fn can_run_again(&self) -> bool {
        self.source == Source::Native && self.status.is_finished() && REGISTERED_TASK_TYPES.contains(&self.task_name.as_str())
    }

    /// The execution without what a table doesn't show, to send less.
    #[must_use]
    pub fn brief(mut self) -> Self {
        self.params = None;
        self.labels = None;
        self.result = None;
        self.error_traceback = None;
        self
    }
}

/// One of the attempts of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AttemptSummary {
    /// The row's id.
    pub id: i64,
    /// The attempt, from 1.
    pub attempt: i32,
    /// Where it stands.
    pub status: TaskStatus,
    /// When a worker took it.
    pub started_at: Option<DateTime<Utc>>,
    /// How long it ran, in milliseconds.
    pub duration_ms: Option<i64>,
    /// Why it failed.
    pub error_message: Option<String>,
}

/// A page of history, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HistoryPage {
    /// Executions that match, exactly.
    pub total_count: i64,
    /// This page, from 1.
    pub page: u32,
    /// Executions a page.
    pub page_size: u32,
    /// How many pages there are; 0 where nothing matches.
    pub total_pages: i64,
    /// The place in the live stream that this page includes: later messages are not in it.
    pub position: Position,
    /// Passed along with the query of another page, it keeps pages and total as they are, whatever arrives meanwhile.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    #[serde(default)]
    pub cursor: Option<Cursor>,
    /// The search ended here because its time was over: executions before this were not looked at, and the total counts those after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub searched_back_to: Option<DateTime<Utc>>,
    /// The executions.
    pub items: Vec<Execution>,
}

/// What the live feed missed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MissedEvents {
    /// The place in the stream after these events.
    pub position: Position,
    /// Whether every event after the place that was asked for is here; otherwise these are the newest ones, and state must be
    /// fetched again.
    pub complete: bool,
    /// The events, oldest first.
    pub events: Vec<LiveEvent>,
}

/// The body of every answer that is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorBody {
    /// What is wrong, and what is allowed.
    pub error: String,
    /// What to quote when asking about an internal failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}
