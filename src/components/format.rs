//! Numbers and times as people read them. All times are UTC, so that server and browser write the same.
//!
//! Times are put together from their fields: chrono's language of formats would be four kilobytes of the first page.

use chrono::{DateTime, SecondsFormat, TimeDelta, Timelike, Utc};

/// What stands where there is no value.
pub const NONE: &str = "–";

/// A count: `9999`, then `12,345`.
#[must_use]
pub fn count(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    if n.abs() < 10_000 { n.to_string() } else { format!("{}{}", if n < 0 { "-" } else { "" }, group(&digits)) }
}

/// A count in a sentence: `1,234`.
#[must_use]
pub fn grouped(n: i64) -> String {
    if n < 0 { n.to_string() } else { group(&n.to_string()) }
}

fn group(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A duration in milliseconds: `320ms` up to 9,999ms, then `12.3s`, `4m 05s`, `1h 02m`.
#[must_use]
pub fn duration(ms: f64) -> String {
    let seconds = (ms / 1000.0).round() as i64;
    match ms {
        ms if ms < 9_999.5 => format!("{}ms", decimal(ms)),
        ms if ms < 59_950.0 => format!("{}s", decimal(ms / 1000.0)),
        _ if seconds < 3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A percentile of durations, which is up to 1 % off: `321ms`, without decimals that say nothing.
#[must_use]
pub fn percentile(ms: f64) -> String {
    duration(if ms < 100.0 { ms } else { ms.round() })
}

/// A span that is still counted, in whole seconds: `9s`, `1m 05s`, `1h 02m`. What lies in the future counts as nothing.
#[must_use]
pub fn span(span: TimeDelta) -> String {
    match span.num_seconds().max(0) {
        seconds if seconds < 60 => format!("{seconds}s"),
        seconds => duration(seconds as f64 * 1000.0),
    }
}

/// US dollars with the digits that matter: `$12.30`, `$0.042`, `$0.0007`, and `under $0.0001`.
#[must_use]
pub fn dollars(cost: f64) -> String {
    match cost {
        cost if cost <= 0.0 => "$0".to_owned(),
        cost if cost < 0.000_1 => "under $0.0001".to_owned(),
        cost if cost < 0.009_95 => format!("${cost:.4}"),
        cost if cost < 0.995 => format!("${cost:.3}"),
        cost => format!("${cost:.2}"),
    }
}

/// A share of one in percent: `92%`.
#[must_use]
pub fn share(share: f64) -> String {
    percent(share * 100.0)
}

/// A percentage with at most one decimal: `75%`, `66.7%`. Neither 0 nor 100 is reached by rounding.
#[must_use]
pub fn percent(rate: f64) -> String {
    let rounded = (rate * 10.0).round() / 10.0;
    let shown = match rate {
        rate if rate < 100.0 && rounded >= 100.0 => 99.9,
        rate if rate > 0.0 && rounded <= 0.0 => 0.1,
        _ => rounded,
    };
    format!("{}%", decimal(shown))
}

/// A number with at most one decimal.
fn decimal(n: f64) -> String {
    let text = format!("{n:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// The time of day to the minute: `10:30`.
#[must_use]
pub fn hour_and_minute(time: DateTime<Utc>) -> String {
    format!("{:02}:{:02}", time.hour(), time.minute())
}

/// The time of day: `10:30:00`.
#[must_use]
pub fn clock(time: DateTime<Utc>) -> String {
    format!("{}:{:02}", hour_and_minute(time), time.second())
}

/// Date and time to the second: `2026-11-21 10:30:00`.
#[must_use]
pub fn stamp(time: DateTime<Utc>) -> String {
    format!("{} {}", time.date_naive(), clock(time))
}

/// Date and time to the minute: `2026-11-21 10:30`.
#[must_use]
pub fn minute(time: DateTime<Utc>) -> String {
    format!("{} {}", time.date_naive(), hour_and_minute(time))
}

/// From when to when: `2026-11-20 10:30 – 2026-11-21 10:30`, and within a day `2026-11-21 10:30 – 11:30`.
#[must_use]
pub fn window(start: DateTime<Utc>, end: DateTime<Utc>) -> String {
    match start.date_naive() == end.date_naive() {
        true => format!("{} – {}", minute(start), hour_and_minute(end)),
        false => format!("{} – {}", minute(start), minute(end)),
    }
}

/// Date and time to the millisecond, with the zone: `2026-11-21 10:30:00.123 UTC`.
#[must_use]
pub fn precise(time: DateTime<Utc>) -> String {
    format!("{}.{:03} UTC", stamp(time), time.timestamp_subsec_millis())
}

/// The whole time for machines: `2026-11-21T10:30:00.123456Z`.
#[must_use]
pub fn iso(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// The value of a `datetime-local` input.
#[must_use]
pub fn input_value(time: DateTime<Utc>) -> String {
    format!("{}T{}", time.date_naive(), hour_and_minute(time))
}

/// How long ago a time is: `3 minutes ago`.
#[must_use]
pub fn relative(time: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let ago = now - time;
    let (n, unit) = match ago.abs() {
        span if span < TimeDelta::minutes(1) => (span.num_seconds(), "second"),
        span if span < TimeDelta::hours(1) => (span.num_minutes(), "minute"),
        span if span < TimeDelta::days(2) => (span.num_hours(), "hour"),
        span => (span.num_days(), "day"),
    };
    let plural = if n == 1 { "" } else { "s" };
    if ago < TimeDelta::zero() { format!("in {n} {unit}{plural}") } else { format!("{n} {unit}{plural} ago") }
}

/// A text cut to so many characters.
#[must_use]
pub fn cut(text: &str, characters: usize) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    if line.chars().count() <= characters {
        return line.to_owned();
    }
    line.chars().take(characters).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_from_ten_thousand() {
        assert_eq!([0, 9_999, 10_000, 1_234_567].map(count), ["0", "9999", "10,000", "1,234,567"]);
        assert_eq!([999, 1_234].map(grouped), ["999", "1,234"]);
    }

    #[test]
    fn durations_are_milliseconds_up_to_ten_seconds() {
        let cases = [
            (0.0, "0ms"),
            (200.0, "200ms"),
            (33.333, "33.3ms"),
            (1250.0, "1250ms"),
            (9_999.0, "9999ms"),
            (9_999.9, "10s"),
            (12_340.0, "12.3s"),
            (59_949.0, "59.9s"),
            (59_960.0, "1m 00s"),
            (245_000.0, "4m 05s"),
            (3_720_000.0, "1h 02m"),
        ];
        for (ms, text) in cases {
            assert_eq!(duration(ms), text);
        }
    }

    #[test]
    fn percentiles_have_no_needless_decimals() {
        assert_eq!([0.0, 33.5, 321.5, 12_345.6].map(percentile), ["0ms", "33.5ms", "322ms", "12.3s"]);
    }

    #[test]
    fn spans_are_whole_seconds() {
        let spans = [-5, 9, 65, 3_723].map(|seconds| span(TimeDelta::seconds(seconds)));
        assert_eq!(spans, ["0s", "9s", "1m 05s", "1h 02m"]);
    }

    #[test]
    fn small_sums_keep_their_digits() {
        let sums = [0.0, 0.000_04, 0.000_7, 0.009_96, 0.042, 0.996, 12.3].map(dollars);
        assert_eq!(sums, ["$0", "under $0.0001", "$0.0007", "$0.010", "$0.042", "$1.00", "$12.30"]);
    }

    #[test]
    fn a_window_within_a_day_names_the_day_once() {
        let start = DateTime::from_timestamp(1_795_257_000, 0).unwrap();
        assert_eq!(window(start, start + TimeDelta::hours(1)), "2026-11-21 10:30 – 11:30");
        assert_eq!(window(start, start + TimeDelta::days(1)), "2026-11-21 10:30 – 2026-11-22 10:30");
    }

    #[test]
    fn percentages_have_one_decimal_and_no_false_hundred() {
        let cases = [(75.0, "75%"), (200.0 / 3.0, "66.7%"), (99.99, "99.9%"), (100.0, "100%"), (0.01, "0.1%"), (0.0, "0%")];
        for (rate, text) in cases {
            assert_eq!(percent(rate), text);
        }
    }

    #[test]
    fn times_are_utc() {
        let time = DateTime::from_timestamp(1_795_257_000, 5_000_000).unwrap();
        assert_eq!(clock(time), "10:30:00");
        assert_eq!(stamp(time), "2026-11-21 10:30:00");
        assert_eq!(precise(time), "2026-11-21 10:30:00.005 UTC");
        assert_eq!(iso(time), "2026-11-21T10:30:00.005Z");
        assert_eq!(input_value(time), "2026-11-21T10:30");
        assert_eq!(relative(time, time + TimeDelta::minutes(3)), "3 minutes ago");
        assert_eq!(relative(time, time - TimeDelta::seconds(1)), "in 1 second");
    }

    #[test]
    fn long_texts_are_cut_to_one_line() {
        assert_eq!(cut("a\nb", 9), "a");
        assert_eq!(cut("ééé", 2), "éé…");
    }
}
