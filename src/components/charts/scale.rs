//! Where the marks of an axis stand: at round values.

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use taskscope_wire::Series;

use crate::components::format;

/// Marks of a vertical axis beside the one at 0.
const ROWS: f64 = 4.0;
/// Marks of a horizontal axis: more don't fit on a phone.
const COLUMNS: i64 = 6;
/// From this share of the width on a label would not fit.
const EDGE: f64 = 0.97;
const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 86_400;

/// A mark of an axis: where it is, as a share of the axis from its left or upper end, and what it says.
pub(super) type Mark = (f64, String);

/// A vertical axis.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Scale {
    /// The value of its upper end.
    pub(super) top: f64,
    /// Its marks.
    pub(super) marks: Vec<Mark>,
}

/// An axis of whole numbers.
pub(super) fn counts(most: i64) -> Scale {
    let least = (most.max(1) as f64 / ROWS).max(1.0);
    let power = 10_f64.powf(least.log10().floor());
    let unit = [1.0, 2.0, 5.0, 10.0].into_iter().map(|digit| digit * power).find(|unit| *unit >= least);
    of(most as f64, unit.unwrap_or(least), |value| format::grouped(value as i64))
}

/// An axis of milliseconds.
pub(super) fn durations(most_ms: f64) -> Scale {
    const UNITS: [i64; 14] = [
        15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 10_800_000, 21_600_000,
        43_200_000, 86_400_000,
    ];
    let least = most_ms / ROWS;
    if least <= 10_000.0 {
        let Scale { top, marks } = counts(most_ms.ceil() as i64);
        let share = |share: f64| short((1.0 - share) * top);
        return Scale { top, marks: marks.into_iter().map(|(at, _)| (at, share(at))).collect() };
    }
    let unit = UNITS.into_iter().map(|unit| unit as f64).find(|unit| *unit >= least);
    of(most_ms, unit.unwrap_or_else(|| (least / 86_400_000.0).ceil() * 86_400_000.0), short)
}

/// An axis from 0 to 100 %.
pub(super) fn percents() -> Scale {
    of(100.0, 25.0, |value| format!("{value}%"))
}

fn of(most: f64, unit: f64, write: impl Fn(f64) -> String) -> Scale {
    let units = (most / unit).ceil().max(1.0);
    let marks = (0..=units as i64).map(|n| n as f64).map(|n| (1.0 - n / units, write(n * unit)));
    Scale { top: units * unit, marks: marks.collect() }
}

/// A round duration: `200ms`, `5s`, `30m`, `2h`.
fn short(ms: f64) -> String {
    let ms = ms.round() as i64;
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")];
    if ms == 0 {
        return "0".to_owned();
    }
    let whole = units.into_iter().find(|(unit, _)| ms % unit == 0 && ms >= *unit);
    match whole {
        Some((unit, name)) => format!("{}{name}", ms / unit),
        None if ms > 1000 => format!("{}s", ms as f64 / 1000.0),
        None => format!("{ms}ms"),
    }
}

/// The horizontal axis of so many steps, in UTC.
pub(super) fn times(start: DateTime<Utc>, step_seconds: u32, steps: usize) -> Vec<Mark> {
    const UNITS: [i64; 15] = [
        5 * MINUTE,
        10 * MINUTE,
        15 * MINUTE,
        30 * MINUTE,
        HOUR,
        2 * HOUR,
        3 * HOUR,
        4 * HOUR,
        6 * HOUR,
        12 * HOUR,
        DAY,
        2 * DAY,
        5 * DAY,
        7 * DAY,
        14 * DAY,
    ];
    let span = i64::from(step_seconds) * steps as i64;
    let unit = UNITS.into_iter().find(|unit| span / unit <= COLUMNS).unwrap_or(30 * DAY);
    let first = start.timestamp().div_euclid(unit) * unit;
    let marks = (0..=COLUMNS + 2).map(|n| first + n * unit - start.timestamp()).filter(|offset| *offset >= 0);
    let marks = marks.map(|offset| (offset as f64 / span.max(1) as f64, start + TimeDelta::seconds(offset)));
    marks.filter(|(at, _)| *at < EDGE).map(|(at, time)| (at, moment(time))).collect()
}

/// A time of the day; midnight is the day.
fn moment(time: DateTime<Utc>) -> String {
    if time.timestamp() % DAY == 0 { day(time) } else { format::hour_and_minute(time) }
}

fn day(time: DateTime<Utc>) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    format!("{} {}", time.day(), MONTHS[time.month0() as usize])
}

/// From when to when a step is: `10:30 – 10:45`, with the day where the series has several, and the day alone where it is the step.
pub(super) fn step_in_words(start: DateTime<Utc>, step_seconds: u32, steps: usize) -> String {
    let length = i64::from(step_seconds);
    if length >= DAY {
        return day(start);
    }
    let [from, to] = [start, start + TimeDelta::seconds(length)].map(format::hour_and_minute);
    if length * steps as i64 > DAY { format!("{}, {from} – {to}", day(start)) } else { format!("{from} – {to}") }
}

/// The horizontal axis of a series' counts.
pub(super) fn steps_of(series: &Series) -> Vec<Mark> {
    times(series.start, series.step_seconds, series.steps.len())
}

/// A step of a series' counts in words, and whether it still fills.
pub(super) fn step_of(series: &Series, step: usize) -> String {
    let words = step_in_words(series.step_start(step), series.step_seconds, series.steps.len());
    with_state(words, step, series.steps.len())
}

/// Adds whether a step still fills.
pub(super) fn with_state(words: String, step: usize, steps: usize) -> String {
    if step + 1 == steps { format!("{words} (still filling)") } else { words }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale) -> Vec<&str> {
        scale.marks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn counts_are_round_and_whole() {
        assert_eq!(labels(&counts(0)), ["0", "1"]);
        assert_eq!(labels(&counts(3)), ["0", "1", "2", "3"]);
        assert_eq!(labels(&counts(7)), ["0", "2", "4", "6", "8"]);
        assert_eq!(labels(&counts(41)), ["0", "20", "40", "60"]);
        assert_eq!((counts(8_400).top, labels(&counts(8_400)).len()), (10_000.0, 3));
        assert_eq!(counts(7).marks[0].0, 1.0, "0 is at the lower end");
    }

    #[test]
    fn durations_are_round_in_their_own_units() {
        assert_eq!(labels(&durations(320.0)), ["0", "100ms", "200ms", "300ms", "400ms"]);
        assert_eq!(labels(&durations(7_300.0)), ["0", "2s", "4s", "6s", "8s"]);
        assert_eq!(labels(&durations(50_000.0)), ["0", "15s", "30s", "45s", "1m"]);
        assert_eq!(labels(&durations(5.0e6)), ["0", "30m", "1h", "90m"]);
        assert_eq!(labels(&durations(4.0e8)), ["0", "2d", "4d", "6d"]);
        assert_eq!(labels(&durations(0.0)), ["0", "1ms"]);
    }

    #[test]
    fn times_are_at_round_hours_and_days() {
        let start = DateTime::from_timestamp(1_795_257_000, 0).unwrap();
        let words = |step, steps| times(start, step, steps).into_iter().map(|(_, label)| label).collect::<Vec<_>>();
        assert_eq!(words(60, 61), ["10:30", "10:40", "10:50", "11:00", "11:10", "11:20"]);
        assert_eq!(words(900, 97), ["12:00", "16:00", "20:00", "22 Nov", "04:00", "08:00"]);
        assert_eq!(words(21_600, 121).len(), 6);
        assert!(times(start, 900, 97).iter().all(|(at, _)| (0.0..EDGE).contains(at)));
    }

    #[test]
    fn a_step_says_its_day_where_there_are_several() {
        let start = DateTime::from_timestamp(1_795_257_000, 0).unwrap();
        assert_eq!(step_in_words(start, 900, 96), "10:30 – 10:45");
        assert_eq!(step_in_words(start, 3600, 168), "21 Nov, 10:30 – 11:30");
        assert_eq!(step_in_words(start, 86_400, 30), "21 Nov");
        assert_eq!(with_state("x".to_owned(), 1, 2), "x (still filling)");
    }
}
