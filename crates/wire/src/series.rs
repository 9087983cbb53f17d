//! How a task type did over time: what charts draw.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{InvalidQuery, Position, TaskStatus};

/// The steps that a series may be asked for in.
pub mod series_step {
    use super::InvalidQuery;

    /// Seconds, shortest first. Longer ones hold a whole number of shorter ones, and days begin at midnight UTC.
    pub const ALL: [u32; 7] = [60, 300, 900, 3600, 10_800, 21_600, 86_400];
    /// Steps that a screen shows well.
    const FITTING: u32 = 120;
    /// Steps that are answered at most.
    pub const MOST: u32 = 1000;

    /// The shortest step of which a screen holds a whole window.
    #[must_use]
    pub fn choose(time_window: u32) -> u32 {
        ALL.into_iter().find(|step| time_window * 3600 / step <= FITTING).unwrap_or(86_400)
    }

    /// Checks a step for a window of so many hours.
    ///
    /// # Errors
    /// What is allowed.
    pub fn check(seconds: i64, time_window: u32) -> Result<u32, InvalidQuery> {
        let refuse =
            |allowed: String| InvalidQuery { parameter: "step".to_owned(), allowed, value: seconds.to_string(), at: None };
        let known = ALL.into_iter().find(|step| i64::from(*step) == seconds);
        let step =
            known.ok_or_else(|| refuse(format!("must be one of {} seconds", ALL.map(|step| step.to_string()).join(", "))))?;
        if time_window * 3600 / step > MOST {
            let least = ALL.into_iter().find(|step| time_window * 3600 / step <= MOST).unwrap_or(86_400);
            return Err(refuse(format!("must be {least} seconds or more for a window of {time_window} hours")));
        }
        Ok(step)
    }
}

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
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
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
    /// Where the first step of times begins: at `start`, or at the start of its hour.
    pub times_start: DateTime<Utc>,
    /// Seconds of a step of times. It may be longer than one of counts: times are kept by the hour.
    pub times_step_seconds: u32,
    /// Run and waiting times, oldest first.
    pub times: Vec<TimesStep>,
    /// The times of all steps together.
    pub all_times: TimesStep,
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

impl Series {
    /// Where a step begins.
    #[must_use]
    pub fn step_start(&self, step: usize) -> DateTime<Utc> {
        self.start + TimeDelta::seconds(i64::from(self.step_seconds) * step as i64)
    }

    /// The step that holds a time. What was created later than the last step counts in it: somebody's clock is ahead.
    #[must_use]
    pub fn step_of(&self, at: DateTime<Utc>) -> Option<usize> {
        let seconds = (at - self.start).num_milliseconds().div_euclid(1000);
        let step = usize::try_from(seconds / i64::from(self.step_seconds.max(1))).ok().filter(|_| seconds >= 0)?;
        self.steps.len().checked_sub(1).map(|last| step.min(last))
    }

    /// The counts of all steps together.
    #[must_use]
    pub fn sum(&self) -> SeriesStep {
        let mut sum = SeriesStep::default();
        for step in &self.steps {
            TaskStatus::ALL.into_iter().for_each(|status| *sum.count_mut(status) += step.count(status));
        }
        sum
    }
}

impl SeriesStep {
    /// The count of a status.
    #[must_use]
    pub const fn count(&self, status: TaskStatus) -> i64 {
        match status {
            TaskStatus::Pending => self.pending,
            TaskStatus::Running => self.running,
            TaskStatus::Success => self.success,
            TaskStatus::Failed => self.failed,
        }
    }

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

/// Executions of a task type by the hour they were created in: whole hours only, so that every hour of the week counts as often as
/// any other.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HourCounts {
    /// Where the first hour begins.
    pub start: DateTime<Utc>,
    /// Executions, an hour after the other.
    pub total: Vec<i64>,
    /// Of these, failed.
    pub failed: Vec<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_as_many_steps_as_a_screen_shows() {
        let chosen = [1, 2, 3, 6, 10, 24, 30, 31, 168, 720].map(series_step::choose);
        assert_eq!(chosen, [60, 60, 300, 300, 300, 900, 900, 3600, 10_800, 21_600]);
    }

    #[test]
    fn steps_that_are_unknown_or_too_many_are_refused() {
        assert_eq!(series_step::check(3600, 720), Ok(3600));
        assert_eq!(series_step::check(60, 16), Ok(60));
        let refused = series_step::check(60, 17).unwrap_err();
        assert_eq!(refused.allowed, "must be 300 seconds or more for a window of 17 hours");
        for seconds in [0, -60, 61, i64::MAX] {
            assert!(series_step::check(seconds, 1).unwrap_err().allowed.starts_with("must be one of 60, 300"));
        }
    }

    #[test]
    fn a_time_is_in_the_step_that_begins_at_or_before_it() {
        let series = Series { step_seconds: 60, steps: vec![SeriesStep::default(); 3], ..Series::default() };
        let at = |ms| series.step_of(series.start + TimeDelta::milliseconds(ms));
        assert_eq!([-1, 0, 59_999, 60_000, 179_999, 999_999].map(at), [None, Some(0), Some(0), Some(1), Some(2), Some(2)]);
        assert_eq!(Series::default().step_of(series.start), None);
    }
}
