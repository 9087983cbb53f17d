//! The rows of a data set, oldest first, as Postgres' `copy` reads them: the same ones for the same size and end.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    f64::consts::TAU,
    fmt::{Display, Write},
};

use chrono::{DateTime, DurationRound, TimeDelta, Timelike, Utc};
use rand::{RngExt, SeedableRng, distr::weighted::WeightedIndex, rngs::SmallRng};
use rand_distr::{Distribution, LogNormal};
use uuid::Uuid;

use super::{
    failures::Failure,
    kinds::{KINDS, Kind, waits, weights},
};

/// The columns of a row, in their order.
pub(crate) const COLUMNS: &str = "task_name, status, task_id, params, queued_at, started_at, completed_at, duration_ms, error_type, \
    error_message, error_traceback, created_at, updated_at, attempt, max_retries, queue, worker, source";
/// Days that a data set holds.
pub(crate) const DAYS: i64 = 30;

const FAILED: f64 = 0.03;
/// Every so many rows one failure holds the rare term.
const RARE: u64 = 50_000;
const RETRIED: f64 = 0.6;
const ATTEMPTS: u8 = 3;
/// Of the newest rows, how many haven't started or ended yet.
const PENDING: f64 = 0.4;
const RUNNING: f64 = 0.25;

/// An hour, or the part of one at either end, with how many executions are created in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hour {
    pub(crate) start: DateTime<Utc>,
    end: DateTime<Utc>,
    pub(crate) rows: u64,
}

/// Spreads so many rows over the days before `end`, in the rhythm of days and weeks.
pub(crate) fn hours(rows: u64, end: DateTime<Utc>) -> anyhow::Result<Vec<Hour>> {
    let first = end - TimeDelta::days(DAYS);
    let mut starts = vec![first];
    let mut next = first.duration_trunc(TimeDelta::hours(1))? + TimeDelta::hours(1);
    while next < end {
        starts.push(next);
        next += TimeDelta::hours(1);
    }
    let ends = starts.iter().skip(1).copied().chain([end]);
    let spans: Vec<_> = starts.iter().copied().zip(ends).map(|(start, end)| (start, end, liveliness(start, end))).collect();
    let all: f64 = spans.iter().map(|(.., share)| share).sum();
    let (mut passed, mut given) = (0.0, 0);
    let hour = |(start, end, share)| {
        passed += share;
        let until = (rows as f64 * passed / all).round() as u64;
        let rows = until - given;
        given = until;
        Hour { start, end, rows }
    };
    Ok(spans.into_iter().map(hour).collect())
}

/// How much happens in a span, beside others: most in the afternoon, less at weekends.
fn liveliness(start: DateTime<Utc>, end: DateTime<Utc>) -> f64 {
    let weekday = chrono::Datelike::weekday(&start).num_days_from_monday();
    let week = if weekday < 5 { 1.0 } else { 0.55 };
    let day = 1.0 + 0.6 * (TAU * (f64::from(start.hour()) - 9.0) / 24.0).sin();
    week * day * (end - start).as_seconds_f64()
}

/// The maker of rows.
#[derive(Debug)]
pub(crate) struct Rows {
    rng: SmallRng,
    kinds: WeightedIndex<f64>,
    waits: LogNormal<f64>,
    /// When the data set ends: nothing has happened later.
    end: DateTime<Utc>,
    all: u64,
    /// Of the newest rows, so many may be pending or running.
    open: u64,
    made: u64,
    retries: BinaryHeap<Reverse<Retry>>,
}

/// The next attempt of a task that failed.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Retry {
    not_before: DateTime<Utc>,
    task_id: Uuid,
    attempt: u8,
    kind: usize,
    params: Option<String>,
}

/// How an execution went.
struct Course {
    status: &'static str,
    started_at: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
    duration_ms: Option<i64>,
}

impl Rows {
    pub(crate) fn new(all: u64, end: DateTime<Utc>) -> anyhow::Result<Self> {
        Ok(Self {
            rng: SmallRng::seed_from_u64(all),
            kinds: WeightedIndex::new(weights())?,
            waits: waits()?,
            end,
            all,
            open: (all / 500).clamp(200, 6000),
            made: 0,
            retries: BinaryHeap::new(),
        })
    }

    /// Adds the rows of the next hour to a text.
    pub(crate) fn write(&mut self, hour: &Hour, out: &mut String) {
        let span = (hour.end - hour.start).num_microseconds().unwrap_or_default().max(1);
        let mut offsets: Vec<i64> = (0..hour.rows).map(|_| self.rng.random_range(0..span)).collect();
        offsets.sort_unstable();
        for offset in offsets {
            self.write_row(hour.start + TimeDelta::microseconds(offset), out);
        }
    }

    fn write_row(&mut self, queued_at: DateTime<Utc>, out: &mut String) {
        let Retry { task_id, attempt, kind: number, params, .. } = self.task(queued_at);
        let kind = &KINDS[number];
        let rare = self.made % RARE == RARE / 2;
        let failed = rare || self.rng.random_bool(FAILED);
        let course = self.course(kind, queued_at, failed);
        self.made += 1;
        let failure =
            (course.status == "failed").then(|| if rare { Failure::rare(&mut self.rng) } else { Failure::random(&mut self.rng) });
        let worker = course.started_at.map(|_| format!("{}-worker-{}", kind.queue, self.rng.random_range(1..=3)));
        let updated_at = course.completed_at.or(course.started_at).unwrap_or(queued_at);
        let mut line = Line(out);
        line.text(kind.name).text(course.status).text(task_id).optional(params.as_deref());
        line.time(Some(queued_at)).time(course.started_at).time(course.completed_at).optional(course.duration_ms);
        line.optional(failure.as_ref().map(|failure| failure.error_type));
        line.escaped(failure.as_ref().map(|failure| &*failure.message))
            .escaped(failure.as_ref().map(|failure| &*failure.traceback));
        line.time(Some(queued_at)).time(Some(updated_at)).text(attempt).text(ATTEMPTS).text(kind.queue).optional(worker);
        out.push_str("native\n");
        if let Some(ended) =
            course.completed_at.filter(|_| failure.is_some() && attempt < ATTEMPTS && self.rng.random_bool(RETRIED))
        {
            let pause = TimeDelta::seconds(10 * 4_i64.pow(u32::from(attempt)));
            self.retries.push(Reverse(Retry { not_before: ended + pause, task_id, attempt: attempt + 1, kind: number, params }));
        }
    }

    /// The retry that is due, or a new task.
    fn task(&mut self, now: DateTime<Utc>) -> Retry {
        if self.retries.peek().is_some_and(|Reverse(retry)| retry.not_before <= now)
            && let Some(Reverse(retry)) = self.retries.pop()
        {
            return retry;
        }
        let kind = self.kinds.sample(&mut self.rng);
        let params = KINDS[kind].params(&mut self.rng, self.all / 2);
        let task_id = uuid::Builder::from_random_bytes(self.rng.random()).into_uuid();
        Retry { not_before: now, task_id, attempt: 1, kind, params }
    }

    fn course(&mut self, kind: &Kind, queued_at: DateTime<Utc>, failed: bool) -> Course {
        let wait_ms: f64 = self.waits.sample(&mut self.rng);
        let duration_ms = kind.duration_ms(&mut self.rng);
        let started_at = queued_at + TimeDelta::microseconds((wait_ms * 1000.0) as i64);
        let completed_at = started_at + TimeDelta::milliseconds(duration_ms);
        let place: f64 = if self.made + self.open >= self.all { self.rng.random() } else { 1.0 };
        if started_at > self.end || place < PENDING {
            return Course { status: "pending", started_at: None, completed_at: None, duration_ms: None };
        }
        if completed_at > self.end || place < PENDING + RUNNING {
            return Course { status: "running", started_at: Some(started_at), completed_at: None, duration_ms: None };
        }
        let status = if failed { "failed" } else { "success" };
        Course { status, started_at: Some(started_at), completed_at: Some(completed_at), duration_ms: Some(duration_ms) }
    }
}

/// Writes the fields of a row, each with the tab behind it.
struct Line<'a>(&'a mut String);

impl Line<'_> {
    fn text(&mut self, value: impl Display) -> &mut Self {
        // Writing to a string can't fail.
        let _ = write!(self.0, "{value}\t");
        self
    }

    fn optional(&mut self, value: Option<impl Display>) -> &mut Self {
        match value {
            Some(value) => self.text(value),
            None => self.text("\\N"),
        }
    }

    /// A time of UTC, without saying so: that is how the session reads it.
    fn time(&mut self, at: Option<DateTime<Utc>>) -> &mut Self {
        self.optional(at.map(|at| at.naive_utc()))
    }

    fn escaped(&mut self, value: Option<&str>) -> &mut Self {
        self.optional(value.map(|value| value.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(rows: u64, end: DateTime<Utc>) -> String {
        let mut made = Rows::new(rows, end).unwrap();
        let mut out = String::new();
        hours(rows, end).unwrap().iter().for_each(|hour| made.write(hour, &mut out));
        out
    }

    #[test]
    fn a_set_has_its_size_order_and_mix() {
        let end = DateTime::from_timestamp(1_764_028_740, 0).unwrap();
        let text = set(60_000, end);
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
        assert_eq!(rows.len(), 60_000);
        assert!(rows.iter().all(|row| row.len() == COLUMNS.split(',').count()));
        assert!(rows.is_sorted_by_key(|row| row[11]), "oldest first");
        let with = |place: usize, value: &str| rows.iter().filter(|row| row[place] == value).count();
        assert!((1500..2100).contains(&with(1, "failed")), "3 % failed");
        assert!(with(1, "pending") > 50 && with(1, "running") > 30);
        assert!(with(13, "2") > 500 && with(13, "3") > 5, "retries");
        assert_eq!(rows.iter().filter(|row| row[9].contains("zygomorphic")).count(), 1);
        let end = end.naive_utc().to_string();
        assert!(rows.iter().all(|row| row[5..7].iter().all(|time| *time == "\\N" || *time <= &*end)), "nothing is in the future");
    }

    #[test]
    fn a_set_is_the_same_each_time() {
        let end = DateTime::from_timestamp(1_764_028_740, 0).unwrap();
        assert_eq!(set(2000, end), set(2000, end));
    }
}
