//! Queries that no count answers: looked for in the log itself, from newest to oldest, for as long as a query may take.
//!
//! The log is read in slices of time that grow. A slice that takes too long is given up and a shorter one tried, down to an hour. When the
//! time is over, what was found so far is the answer, and it says how far back that reaches; nothing in that range is missing.

use std::time::{Duration, Instant};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use sqlx::{Acquire, PgConnection, Postgres, QueryBuilder};

use super::filter::{Filter, push_cursor};

/// Hours of the first slice.
const FIRST: i64 = 24;
/// Less time than this is not worth another slice.
const LEAST: Duration = Duration::from_millis(10);
/// Postgres' code for a statement that was given up.
const QUERY_CANCELED: &str = "57014";

/// The rows of a page: how many matching ones stand before it, and how many it holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) offset: i64,
    pub(super) limit: i64,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// How many match.
    pub(super) total: i64,
    /// The keys of the rows of the page, newest first.
    pub(super) keys: Vec<(DateTime<Utc>, i64)>,
    /// Where the time was over: what was created before this was not looked at.
    pub(super) back_to: Option<DateTime<Utc>>,
}

/// Counts what matches and finds the rows of a page, within `budget`. `tx` must be in a transaction, whose rows it sees.
///
/// # Errors
/// Postgres doesn't answer.
pub(super) async fn scan(
    tx: &mut PgConnection,
    filter: &Filter<'_>,
    wanted: Wanted,
    budget: Duration,
) -> Result<Found, sqlx::Error> {
    let deadline = Instant::now() + budget;
    let mut found = Found::default();
    let Some(mut slices) = slices(tx, filter).await? else { return Ok(found) };
    // What a plan is best for changes from slice to slice: each has other partitions.
    sqlx::query!("set local plan_cache_mode = force_custom_plan").execute(&mut *tx).await?;
    while let Some((start, end)) = slices.next() {
        let left = deadline.saturating_duration_since(Instant::now());
        let limit = if slices.is_shortest() { left } else { left / 2 };
        if limit < LEAST {
            found.back_to = Some(end);
            break;
        }
        let rest = Wanted { offset: (wanted.offset - found.total).max(0), limit: wanted.limit - found.keys.len() as i64 };
        match slice(tx, filter, (start, end), rest, limit).await? {
            Some(slice) => {
                found.total += slice.total;
                found.keys.extend(slice.keys);
                slices.take(start);
            }
            None => slices.shorten(),
        }
    }
    Ok(found)
}

/// The slices of a filter over what the log holds; none where it holds nothing.
async fn slices(tx: &mut PgConnection, filter: &Filter<'_>) -> Result<Option<Slices>, sqlx::Error> {
    let log = sqlx::query!(r#"select min(created_at) as "first", max(created_at) as "last" from task_execution_logs"#);
    let log = log.fetch_one(tx).await?;
    let (Some(first), Some(last)) = (log.first, log.last) else { return Ok(None) };
    let after_last = last + TimeDelta::microseconds(1);
    let (start, end) = filter.range();
    let slices = Slices {
        oldest: start.map_or(first, |start| start.max(first)),
        end: end.map_or(after_last, |end| end.min(after_last)),
        hours: if filter.is_by_id() { i64::MAX } else { FIRST },
        grows: true,
    };
    Ok(Some(slices))
}

#[derive(sqlx::FromRow)]
struct Slice {
    total: i64,
    times: Vec<DateTime<Utc>>,
    ids: Vec<i64>,
}

/// Looks through one slice; none where it took longer than `limit`.
async fn slice(
    tx: &mut PgConnection,
    filter: &Filter<'_>,
    (start, end): (DateTime<Utc>, DateTime<Utc>),
    wanted: Wanted,
    limit: Duration,
) -> Result<Option<Found>, sqlx::Error> {
    let mut sql =
        QueryBuilder::<Postgres>::new("with found as materialized (select e.created_at, e.id from task_execution_logs e");
    filter.push(&mut sql);
    push_cursor(&mut sql, filter.query.cursor);
    sql.push(" and e.created_at >= ").push_bind(start).push(" and e.created_at < ").push_bind(end);
    sql.push("), page as (select * from found order by created_at desc, id desc limit ").push_bind(wanted.limit);
    sql.push(" offset ").push_bind(wanted.offset);
    sql.push(
        ") select (select count(*) from found) as total,
            coalesce(array_agg(created_at order by created_at desc, id desc), '{}') as times,
            coalesce(array_agg(id order by created_at desc, id desc), '{}') as ids
        from page",
    );
    let mut savepoint = tx.begin().await?;
    let limit = limit.as_millis().to_string();
    sqlx::query!("select set_config('statement_timeout', $1, true)", limit).fetch_one(&mut *savepoint).await?;
    match sql.build_query_as::<Slice>().fetch_one(&mut *savepoint).await {
        Ok(slice) => {
            // Takes the limit back too.
            savepoint.rollback().await?;
            let keys = slice.times.into_iter().zip(slice.ids).collect();
            Ok(Some(Found { total: slice.total, keys, back_to: None }))
        }
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(QUERY_CANCELED) => {
            savepoint.rollback().await?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Slices of time from `end` back to `oldest`.
#[derive(Debug)]
struct Slices {
    oldest: DateTime<Utc>,
    end: DateTime<Utc>,
    /// How long the next one is.
    hours: i64,
    /// Whether none took too long yet.
    grows: bool,
}

impl Slices {
    /// The next slice: its start, and its end, which is not in it. It begins with a day, or with an hour.
    fn next(&self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let last = self.end - TimeDelta::microseconds(1);
        if last < self.oldest {
            return None;
        }
        let (grain, more) =
            if self.hours % 24 == 0 { (TimeDelta::days(1), self.hours - 24) } else { (TimeDelta::hours(1), self.hours - 1) };
        let start =
            last.duration_trunc(grain).ok().zip(TimeDelta::try_hours(more)).and_then(|(at, more)| at.checked_sub_signed(more));
        Some((start.unwrap_or(self.oldest).max(self.oldest), self.end))
    }

    /// The slice from here was looked through.
    fn take(&mut self, start: DateTime<Utc>) {
        // The second is as long as the first, which was the rest of a day.
        let is_first = self.hours == FIRST && self.end - start < TimeDelta::hours(FIRST);
        self.end = start;
        if self.grows && !is_first {
            self.hours = self.hours.saturating_mul(2);
        }
    }

    /// The next slice took too long. One of an hour that did is tried again for as long as there is time.
    fn shorten(&mut self) {
        self.grows = false;
        let most = (self.end - self.oldest).num_hours() + 1;
        self.hours = (self.hours.min(most) / 2).max(1);
    }

    fn is_shortest(&self) -> bool {
        self.hours == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        taskscope_wire::time::parse(text).unwrap()
    }

    fn starts(mut slices: Slices) -> Vec<String> {
        let mut starts = Vec::new();
        while let Some((start, end)) = slices.next() {
            assert!(start < end && end == slices.end);
            starts.push(start.format("%d %H:%M").to_string());
            slices.take(start);
        }
        starts
    }

    fn slices(oldest: &str, end: &str) -> Slices {
        Slices { oldest: at(oldest), end: at(end), hours: FIRST, grows: true }
    }

    #[test]
    fn slices_begin_with_days_and_grow() {
        let month = slices("2026-11-01T07:30", "2026-11-24T10:00");
        assert_eq!(starts(month), ["24 00:00", "23 00:00", "21 00:00", "17 00:00", "09 00:00", "01 07:30"]);
        assert_eq!(starts(slices("2026-11-24T09:00", "2026-11-24T10:00")), ["24 09:00"]);
        assert_eq!(starts(slices("2026-11-24T10:00", "2026-11-24T10:00")), [""; 0]);
    }

    #[test]
    fn a_slice_that_took_too_long_is_halved_down_to_an_hour() {
        let mut slices = slices("2026-11-01T00:00", "2026-11-24T10:30");
        let mut lengths = Vec::new();
        while !slices.is_shortest() {
            slices.shorten();
            let (start, end) = slices.next().unwrap();
            lengths.push((end - start).num_minutes());
        }
        assert_eq!(lengths, [690, 330, 150, 30]);
        slices.take(at("2026-11-24T10:00"));
        assert_eq!(slices.next(), Some((at("2026-11-24T09:00"), at("2026-11-24T10:00"))), "it doesn't grow again");
    }

    #[test]
    fn one_slice_holds_all_that_is_found_by_id() {
        let all = Slices { hours: i64::MAX, ..slices("2016-11-01T00:00", "2026-11-24T10:30") };
        assert_eq!(all.next(), Some((at("2016-11-01T00:00"), at("2026-11-24T10:30"))));
    }
}
