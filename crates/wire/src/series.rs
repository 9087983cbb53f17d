//! How a task type did over time: what charts draw.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Position, TaskStatus};

/// How long things took: the times below which half, 95 % and 99 % of them lie, by nearest rank, at most 1 % off.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Quantiles {
    /// How many were measured.
    pub count: i64,
    /// The median, in milliseconds.
    pub p50_ms: f64,
    /// In milliseconds.
    pub p95_ms: f64,
    /// In milliseconds.
    pub p99_ms: f64,
}

/// How one task type, or all together, did over a window that ends now, in equal steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Series {
    /// The task type; none where all are counted together.
    pub task_name: Option<String>,
    /// Where the first step begins.
    pub start: DateTime<Utc>,
    /// When this was worked out: the last step still fills.
    pub generated_at: DateTime<Utc>,
    /// The place in the live stream that the counts include: later messages are not in them.
    pub position: Position,
    /// Seconds of a step of counts.
    pub step_seconds: u32,
    /// The steps, oldest first; the last one holds `generated_at`.
    pub steps: Vec<SeriesStep>,
    /// Seconds of a step of times. It may be longer than one of counts: times are kept by the hour.
    pub times_step_seconds: u32,
    /// Run and waiting times, oldest first, from `start` too.
    pub times: Vec<TimesStep>,
    /// Executions that wait now.
    pub waiting: i64,
    /// Since when the oldest of them waits.
    pub oldest_waiting_since: Option<DateTime<Utc>>,
}

/// The executions that were created in a step, and what waited at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SeriesStep {
    /// Of these, still queued.
    pub pending: i64,
    /// Of these, active.
    pub running: i64,
    /// Of these, succeeded.
    pub success: i64,
    /// Of these, failed.
    pub failed: i64,
    /// The most that waited at once, as far as it was looked; null where nobody looked.
    pub queue_depth: Option<i64>,
    /// The longest that one had waited by then, in milliseconds.
    pub oldest_waiting_ms: Option<i64>,
}

impl SeriesStep {
    /// All executions of the step.
    #[must_use]
    pub const fn total(&self) -> i64 {
        self.pending + self.running + self.success + self.failed
    }

    /// success / total × 100; none without executions.
    #[must_use]
    pub fn success_rate(&self) -> Option<f64> {
        (self.total() > 0).then(|| self.success as f64 / self.total() as f64 * 100.0)
    }

    /// The count of a status, to be changed.
    pub const fn count_mut(&mut self, status: TaskStatus) -> &mut i64 {
        match status {
            TaskStatus::Pending => &mut self.pending,
            TaskStatus::Running => &mut self.running,
            TaskStatus::Success => &mut self.success,
            TaskStatus::Failed => &mut self.failed,
        }
    }
}

/// How long executions of a step ran and waited; null where none was measured.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TimesStep {
    /// Run times of the successful ones.
    pub run: Option<Quantiles>,
    /// From queued to started.
    pub wait: Option<Quantiles>,
}
