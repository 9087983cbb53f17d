//! What is counted of one task type and status in an hour or a day.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use taskscope_wire::TaskStatus;

use super::histogram::Histogram;
use crate::server::store::{StoreError, StoredAttempt};

/// How much time a cell covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::server) enum Grain {
    /// An hour, in parts of a minute.
    Hour,
    /// A day (UTC), in parts of an hour.
    Day,
}

impl Grain {
    /// Its word in the database.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// What a cell covers.
    pub(in crate::server) const fn length(self) -> TimeDelta {
        match self {
            Self::Hour => TimeDelta::hours(1),
            Self::Day => TimeDelta::days(1),
        }
    }

    /// What a part of a cell covers.
    pub(in crate::server) const fn part(self) -> TimeDelta {
        match self {
            Self::Hour => TimeDelta::minutes(1),
            Self::Day => TimeDelta::hours(1),
        }
    }

    /// Where the cell that holds this time starts.
    pub(super) fn start_of(self, at: DateTime<Utc>) -> DateTime<Utc> {
        floor(at, self.length())
    }

    /// Which part of its cell holds this time.
    fn part_of(self, at: DateTime<Utc>) -> u8 {
        ((at - self.start_of(at)).num_seconds() / self.part().num_seconds()) as u8
    }
}

/// The last multiple of `step` that is not after `at`.
pub(super) fn floor(at: DateTime<Utc>, step: TimeDelta) -> DateTime<Utc> {
    let step = step.num_seconds().max(1);
    // There is an earlier multiple for all but the first moments of time.
    DateTime::from_timestamp(at.timestamp().div_euclid(step) * step, 0).unwrap_or(at)
}

/// What counts of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server) struct Fact {
    pub(in crate::server) created_at: DateTime<Utc>,
    pub(in crate::server) task_name: String,
    pub(in crate::server) status: TaskStatus,
    pub(in crate::server) duration_ms: Option<i64>,
    /// From queued to started.
    pub(in crate::server) wait_ms: Option<i64>,
}

impl Fact {
    /// What counts of an attempt as the recorder holds it.
    pub(super) fn of(attempt: &StoredAttempt) -> Self {
        Self {
            created_at: attempt.created_at(),
            task_name: attempt.task_name.clone(),
            status: attempt.status(),
            duration_ms: attempt.duration_ms(),
            wait_ms: wait(attempt.queued_at, attempt.started_at),
        }
    }
}

/// How long an execution waited, where both ends are known. Clocks of two machines may say that it started before it was queued.
pub(in crate::server) fn wait(queued_at: Option<DateTime<Utc>>, started_at: Option<DateTime<Utc>>) -> Option<i64> {
    Some((started_at? - queued_at?).num_milliseconds().max(0))
}

/// What is counted of a task type and status in an hour or a day. The numbers may be negative where it says what changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::server) struct Cell {
    pub(in crate::server) parts: Parts,
    /// Run times, of whatever ended.
    pub(in crate::server) run: Histogram,
    /// Waiting times, of whatever started.
    pub(in crate::server) wait: Histogram,
}

impl Cell {
    /// Reads the columns of a cell.
    pub(super) fn decode(parts: &[u8], run: &[u8], wait: &[u8]) -> Result<Self, StoreError> {
        Ok(Self { parts: decode(parts)?, run: decode(run)?, wait: decode(wait)? })
    }

    /// Counts an execution `by` (1 or -1) times.
    pub(super) fn record(&mut self, grain: Grain, fact: &Fact, by: i64) {
        let timed = fact.duration_ms.map_or(0, |_| by);
        let part = Part { total: by, timed, timed_ms: timed * fact.duration_ms.unwrap_or(0) };
        self.parts.add(grain.part_of(fact.created_at), part);
        if let Some(ms) = fact.duration_ms {
            self.run.record(ms, by);
        }
        if let Some(ms) = fact.wait_ms {
            self.wait.record(ms, by);
        }
    }

    /// Adds another cell of the same hour or day.
    pub(super) fn add(&mut self, other: &Self) {
        other.parts.0.iter().for_each(|(place, part)| self.parts.add(*place, *part));
        self.run.add(&other.run);
        self.wait.add(&other.wait);
    }

    /// The cell of an hour as it counts in its day.
    pub(super) fn in_day(&self, hour: DateTime<Utc>) -> Self {
        let mut parts = Parts::default();
        parts.add(Grain::Day.part_of(hour), self.parts.sum());
        Self { parts, run: self.run.clone(), wait: self.wait.clone() }
    }

    /// Whether it says nothing.
    pub(super) const fn is_empty(&self) -> bool {
        self.parts.0.is_empty() && self.run.is_empty() && self.wait.is_empty()
    }
}

/// A minute or an hour of a cell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::server) struct Part {
    /// Executions.
    pub(in crate::server) total: i64,
    /// Those whose run time is known.
    pub(in crate::server) timed: i64,
    /// The sum of their run times.
    pub(in crate::server) timed_ms: i64,
}

/// The parts of a cell that hold anything, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::server) struct Parts(Vec<(u8, Part)>);

impl Parts {
    /// The parts and their places.
    pub(in crate::server) fn iter(&self) -> impl DoubleEndedIterator<Item = (u8, Part)> {
        self.0.iter().copied()
    }

    /// All parts together.
    pub(in crate::server) fn sum(&self) -> Part {
        self.0.iter().fold(Part::default(), |sum, (_, part)| sum.and(*part))
    }

    /// Keeps the parts that begin within these bounds of time.
    pub(super) fn keep(&mut self, grain: Grain, start: DateTime<Utc>, from: DateTime<Utc>, to: DateTime<Utc>) {
        self.0.retain(|(place, _)| {
            let begins = start + grain.part() * i32::from(*place);
            begins >= from && begins < to
        });
    }

    fn add(&mut self, place: u8, part: Part) {
        match self.0.binary_search_by_key(&place, |(known, _)| *known) {
            Ok(index) => {
                self.0[index].1 = self.0[index].1.and(part);
                if self.0[index].1 == Part::default() {
                    self.0.remove(index);
                }
            }
            Err(_) if part == Part::default() => {}
            Err(index) => self.0.insert(index, (place, part)),
        }
    }
}

impl Part {
    const fn and(self, other: Self) -> Self {
        Self { total: self.total + other.total, timed: self.timed + other.timed, timed_ms: self.timed_ms + other.timed_ms }
    }
}

/// A value as its column holds it.
pub(super) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    postcard::to_allocvec(value).map_err(|error| StoreError::Refused(error.to_string()))
}

/// What a column holds.
pub(super) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, StoreError> {
    postcard::from_bytes(bytes).map_err(unreadable)
}

/// A column doesn't hold what it should.
pub(super) fn unreadable(error: postcard::Error) -> StoreError {
    StoreError::Refused(format!("a rollup can't be read, call taskscope check --repair: {error}"))
}
