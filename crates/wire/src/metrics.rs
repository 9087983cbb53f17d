use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Position, Quantiles, TaskStatus};

/// Bounds of the window that metrics are counted over, in hours.
pub mod time_window {
    /// The window where none is asked for.
    pub const DEFAULT: u32 = 24;
    /// The longest: the retention.
    pub const MOST: u32 = 720;

    /// Checks a window.
    ///
    /// # Errors
    /// A sentence that names the parameter and what is allowed.
    pub fn check(hours: i64) -> Result<u32, String> {
        u32::try_from(hours)
            .ok()
            .filter(|hours| (1..=MOST).contains(hours))
            .ok_or_else(|| format!("time_window must be a whole number of hours from 1 to {MOST}, not {hours}"))
    }
}

/// How every task type did in a window that ends now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Metrics {
    /// The length of the window.
    pub time_window_hours: u32,
    /// Its end.
    pub generated_at: DateTime<Utc>,
    /// The place in the live stream that the counts include: later messages are not in them.
    pub position: Position,
    /// One entry a task type, those that are registered first, then by name.
    pub metrics: Vec<TaskMetrics>,
}

/// How one task type did.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskMetrics {
    /// The task type.
    pub task_name: String,
    /// Executions in the window, whatever their status.
    pub total_executions: i64,
    /// Of these, queued: the queue depth.
    pub pending: i64,
    /// Of these, active.
    pub running: i64,
    /// Of these, succeeded.
    pub success: i64,
    /// Of these, failed.
    pub failed: i64,
    /// Of the active ones, those that stalled: their worker is gone, or they run longer than their kind usually does.
    #[serde(default)]
    pub stalled: i64,
    /// Mean run time of the successful ones, in milliseconds; null without any.
    pub avg_duration_ms: Option<f64>,
    /// success / total × 100; null without executions.
    pub success_rate: Option<f64>,
    /// Successful executions whose run time is known: the divisor of the mean.
    #[serde(default)]
    pub timed: i64,
    /// The sum of their run times, in milliseconds.
    #[serde(default)]
    pub timed_duration_ms: i64,
    /// How long the successful ones ran; null without any whose run time is known.
    #[serde(default)]
    pub run: Option<Quantiles>,
    /// How long executions waited, from queued to started; null where that isn't known of any.
    #[serde(default)]
    pub wait: Option<Quantiles>,
    /// Since when the oldest of those that wait now does.
    #[serde(default)]
    pub oldest_waiting_since: Option<DateTime<Utc>>,
    /// Executions over time: [`TaskMetrics::TREND_STEPS`] equal steps, oldest first.
    #[serde(default)]
    pub trend: Vec<TrendPoint>,
}

/// One step of a trend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TrendPoint {
    /// Executions created in the step.
    pub total: i64,
    /// Of these, failed.
    pub failed: i64,
}

impl TaskMetrics {
    /// Steps of a trend.
    pub const TREND_STEPS: usize = 24;

    /// A task type without executions.
    #[must_use]
    pub fn empty(task_name: impl Into<String>) -> Self {
        Self { task_name: task_name.into(), trend: vec![TrendPoint::default(); Self::TREND_STEPS], ..Self::default() }
    }

    /// The count of one status.
    #[must_use]
    pub const fn count(&self, status: TaskStatus) -> i64 {
        match status {
            TaskStatus::Pending => self.pending,
            TaskStatus::Running => self.running,
            TaskStatus::Success => self.success,
            TaskStatus::Failed => self.failed,
        }
    }

    /// Adds `by` (1 or -1) executions of a status, and keeps mean and rate right.
    pub fn add(&mut self, status: TaskStatus, duration_ms: Option<i64>, by: i64) {
        self.total_executions += by;
        match status {
            TaskStatus::Pending => self.pending += by,
            TaskStatus::Running => self.running += by,
            TaskStatus::Success => self.success += by,
            TaskStatus::Failed => self.failed += by,
        }
        if let (TaskStatus::Success, Some(ms)) = (status, duration_ms) {
            self.timed += by;
            self.timed_duration_ms += by * ms;
        }
        self.derive();
    }

    /// Sets mean and rate from the counts. The mean counts successful executions only; the rate is of all executions.
    pub fn derive(&mut self) {
        self.avg_duration_ms = (self.timed > 0).then(|| self.timed_duration_ms as f64 / self.timed as f64);
        self.success_rate = (self.total_executions > 0).then(|| self.success as f64 / self.total_executions as f64 * 100.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenario_5_mean_excludes_failures_and_rate_is_of_all() {
        let mut metrics = TaskMetrics::empty("test_task");
        assert_eq!((metrics.avg_duration_ms, metrics.success_rate), (None, None));
        for ms in [100, 200, 300] {
            metrics.add(TaskStatus::Success, Some(ms), 1);
        }
        metrics.add(TaskStatus::Failed, Some(150), 1);
        assert_eq!((metrics.total_executions, metrics.success, metrics.failed), (4, 3, 1));
        assert_eq!((metrics.avg_duration_ms, metrics.success_rate), (Some(200.0), Some(75.0)));
    }

    #[test]
    fn windows_outside_the_bounds_are_refused() {
        assert_eq!(time_window::check(720), Ok(720));
        for hours in [0, -1, 721, i64::MAX] {
            assert!(time_window::check(hours).unwrap_err().contains("time_window"));
        }
    }
}
