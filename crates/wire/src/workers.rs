use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::Position;

/// The workers, and what waits for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Workers {
    /// When this was so.
    pub generated_at: DateTime<Utc>,
    /// The place in the live stream that this includes.
    pub position: Position,
    /// Every worker that sends heartbeats: those that are alive first, then by name.
    pub workers: Vec<WorkerState>,
    /// Every queue in which something waits or from which a living worker takes, by name.
    pub queues: Vec<QueueState>,
    /// Events that were accepted and couldn't be stored: `/api/v1/dead-letters` has them.
    #[serde(default)]
    pub dead_letters: i64,
}

/// A worker that sends heartbeats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkerState {
    /// Its name, which its events carry.
    pub worker: String,
    /// How it is.
    pub health: WorkerHealth,
    /// The machine.
    pub host: String,
    /// The process.
    pub pid: i64,
    /// What reports for it.
    pub client: String,
    /// The application's own version.
    pub version: Option<String>,
    /// The queues that it takes tasks from.
    pub queues: Vec<String>,
    /// How many tasks it runs at once at the most.
    pub concurrency: Option<i64>,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// Its last heartbeat, by the server's clock.
    pub last_seen: DateTime<Utc>,
    /// Events that waited in it then.
    pub buffered: i64,
    /// Events that it had to drop since it started.
    pub dropped: i64,
    /// How many executions it runs now.
    pub running_count: i64,
    /// The oldest of these, at most [`WorkerState::SHOWN_RUNNING`].
    pub running: Vec<RunningTask>,
}

impl WorkerState {
    /// How many of its running executions are listed.
    pub const SHOWN_RUNNING: usize = 20;
}

/// An execution that a worker runs now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunningTask {
    /// The id of the row in the execution log.
    pub id: i64,
    /// The task type.
    pub task_name: String,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// Why it counts as stalled, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stalled: Option<StallReason>,
}

/// How a worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum WorkerHealth {
    /// Its heartbeats come.
    Alive,
    /// It said that it ends.
    Stopped,
    /// Two heartbeats are missing, and it didn't say that it ends.
    Gone,
}

impl WorkerHealth {
    /// The word in the API and `data-health`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Stopped => "stopped",
            Self::Gone => "gone",
        }
    }

    /// The word that people read.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Alive => "Alive",
            Self::Stopped => "Stopped",
            Self::Gone => "Gone",
        }
    }
}

/// Why a running execution counts as stalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum StallReason {
    /// The heartbeats of its worker stopped.
    WorkerGone,
    /// It runs longer than 99 % of its task type's executions did, and longer than the configured floor.
    Overdue,
}

impl StallReason {
    /// The word in the database and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WorkerGone => "worker_gone",
            Self::Overdue => "overdue",
        }
    }

    /// What it means, for people.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::WorkerGone => "its worker is gone",
            Self::Overdue => "longer than 99 % of its kind",
        }
    }

    /// Reads the word in the database.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::WorkerGone, Self::Overdue].into_iter().find(|reason| reason.as_str() == word)
    }
}

/// What waits in a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueueState {
    /// Its name; empty for executions whose reporter names no queue.
    pub queue: String,
    /// Executions that wait in it.
    pub pending: i64,
    /// Since when the oldest of them waits.
    pub oldest_pending_at: Option<DateTime<Utc>>,
    /// Executions from it that run.
    pub running: i64,
    /// Living workers that take from it.
    pub workers: i64,
}
