//! Which part of a window is answered by which table.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::cell::{Grain, floor};

/// Where a stretch of time is counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// Cells of whole days or hours.
    Cells(Grain),
    /// Whole minutes of one hour's cells.
    Minutes,
    /// The log.
    Log,
}

/// A stretch of time, from its start on and before its end, and where it is counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) from: DateTime<Utc>,
    pub(super) to: DateTime<Utc>,
    pub(super) source: Source,
}

/// Splits `from..to` into stretches, oldest first: days where they are whole and their cells hold, hours at the edges, minutes in the hours that are
/// cut, and the log for what remains and for marked hours. Without `days` nothing is coarser than an hour.
pub(super) fn plan(from: DateTime<Utc>, to: DateTime<Utc>, dirty: &BTreeSet<DateTime<Utc>>, days: bool) -> Vec<Stretch> {
    let mut plan = Vec::new();
    if from >= to {
        return plan;
    }
    let (first, last) = (ceil(from, Grain::Hour.length()), floor(to, Grain::Hour.length()));
    if first > last {
        cut_hour(from, to, dirty, &mut plan);
        return plan;
    }
    cut_hour(from, first, dirty, &mut plan);
    whole_hours(first, last, dirty, days, &mut plan);
    cut_hour(last, to, dirty, &mut plan);
    plan
}

/// A part of one hour.
fn cut_hour(from: DateTime<Utc>, to: DateTime<Utc>, dirty: &BTreeSet<DateTime<Utc>>, plan: &mut Vec<Stretch>) {
    let minute = Grain::Hour.part();
    let (first, last) = (ceil(from, minute), floor(to, minute));
    if first > last || dirty.contains(&Grain::Hour.start_of(from)) {
        push(from, to, Source::Log, plan);
        return;
    }
    push(from, first, Source::Log, plan);
    push(first, last, Source::Minutes, plan);
    push(last, to, Source::Log, plan);
}

fn whole_hours(from: DateTime<Utc>, to: DateTime<Utc>, dirty: &BTreeSet<DateTime<Utc>>, days: bool, plan: &mut Vec<Stretch>) {
    let (hour, day) = (Grain::Hour.length(), Grain::Day.length());
    // Every marked hour is counted from the log, and the rest of its day by the hour.
    let mut at = from;
    while at < to {
        let next_dirty = dirty.range(at..to).next().copied();
        let until = next_dirty.map_or(to, |dirty| Grain::Day.start_of(dirty).max(at));
        let (first_day, last_day) = (ceil(at, day), floor(until, day));
        if days && first_day < last_day {
            push(at, first_day, Source::Cells(Grain::Hour), plan);
            push(first_day, last_day, Source::Cells(Grain::Day), plan);
            push(last_day, until, Source::Cells(Grain::Hour), plan);
        } else {
            push(at, until, Source::Cells(Grain::Hour), plan);
        }
        at = until;
        if let Some(dirty_hour) = next_dirty {
            push(at, dirty_hour, Source::Cells(Grain::Hour), plan);
            push(dirty_hour, (dirty_hour + hour).min(to), Source::Log, plan);
            at = dirty_hour + hour;
            // The rest of that day is not a whole one.
            let rest = (Grain::Day.start_of(dirty_hour) + day).min(to);
            let rest = dirty.range(at..rest).next().copied().unwrap_or(rest);
            push(at, rest, Source::Cells(Grain::Hour), plan);
            at = rest;
        }
    }
}

/// Adds a stretch, if it is one, to the one before where it goes on with it.
fn push(from: DateTime<Utc>, to: DateTime<Utc>, source: Source, plan: &mut Vec<Stretch>) {
    match plan.last_mut() {
        _ if from >= to => {}
        // Minutes are of one hour.
        Some(last) if last.source == source && last.to == from && source != Source::Minutes => last.to = to,
        _ => plan.push(Stretch { from, to, source }),
    }
}

/// The first multiple of `step` that is not before `at`.
fn ceil(at: DateTime<Utc>, step: TimeDelta) -> DateTime<Utc> {
    let before = floor(at, step);
    if before == at { at } else { before + step }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_764_000_000 / 86_400 * 86_400 + seconds, 0).unwrap()
    }

    fn stretches(from: i64, to: i64, dirty: &[i64], days: bool) -> Vec<(i64, i64, Source)> {
        let dirty = dirty.iter().map(|hour| at(hour * 3600)).collect();
        let seconds = |time: DateTime<Utc>| (time - at(0)).num_seconds();
        plan(at(from), at(to), &dirty, days).into_iter().map(|it| (seconds(it.from), seconds(it.to), it.source)).collect()
    }

    const HOUR: i64 = 3600;
    const DAY: i64 = 86_400;

    #[test]
    fn a_window_is_days_between_hours_between_minutes() {
        assert_eq!(
            stretches(HOUR - 90, 3 * DAY + HOUR + 61, &[], true),
            [
                (HOUR - 90, HOUR - 60, Source::Log),
                (HOUR - 60, HOUR, Source::Minutes),
                (HOUR, DAY, Source::Cells(Grain::Hour)),
                (DAY, 3 * DAY, Source::Cells(Grain::Day)),
                (3 * DAY, 3 * DAY + HOUR, Source::Cells(Grain::Hour)),
                (3 * DAY + HOUR, 3 * DAY + HOUR + 60, Source::Minutes),
                (3 * DAY + HOUR + 60, 3 * DAY + HOUR + 61, Source::Log),
            ]
        );
    }

    #[test]
    fn a_marked_hour_is_read_from_the_log_and_breaks_its_day() {
        assert_eq!(
            stretches(0, 3 * DAY, &[25], true),
            [
                (0, DAY, Source::Cells(Grain::Day)),
                (DAY, DAY + HOUR, Source::Cells(Grain::Hour)),
                (DAY + HOUR, DAY + 2 * HOUR, Source::Log),
                (DAY + 2 * HOUR, 2 * DAY, Source::Cells(Grain::Hour)),
                (2 * DAY, 3 * DAY, Source::Cells(Grain::Day)),
            ]
        );
        assert_eq!(stretches(60, 180, &[0], true), [(60, 180, Source::Log)]);
        assert_eq!(stretches(60, 180, &[], true), [(60, 180, Source::Minutes)]);
        assert_eq!(stretches(61, 62, &[], true), [(61, 62, Source::Log)]);
        assert_eq!(stretches(5, 5, &[], true), []);
    }

    proptest! {
        #[test]
        fn nothing_is_counted_twice_or_left_out(
            from in 0..4 * DAY, length in 0..4 * DAY, dirty in prop::collection::vec(0..200_i64, 0..6), days: bool,
        ) {
            let plan = stretches(from, from + length, &dirty, days);
            let mut at = from;
            for (start, end, source) in plan {
                prop_assert_eq!(start, at);
                prop_assert!(end > start);
                let touches = dirty.iter().any(|hour| hour * HOUR < end && (hour + 1) * HOUR > start);
                match source {
                    Source::Cells(grain) => {
                        let length = grain.length().num_seconds();
                        prop_assert!(start % length == 0 && end % length == 0 && !touches && (days || grain == Grain::Hour));
                    }
                    Source::Minutes => prop_assert!(start % 60 == 0 && end % 60 == 0 && start / HOUR == (end - 1) / HOUR && !touches),
                    Source::Log => {}
                }
                at = end;
            }
            prop_assert_eq!(at, from + length);
        }
    }
}
