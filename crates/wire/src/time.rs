//! Timestamps as clients write them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};

/// Reads an ISO 8601 timestamp. Without an offset it is UTC (TaskIQ sends naive UTC times, without a fraction where the
/// microseconds are 0); a bare date is its midnight. The result is cut to microseconds, which is what Postgres keeps.
#[must_use]
pub fn parse(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    let time = DateTime::parse_from_rfc3339(text)
        .map(|time| time.with_timezone(&Utc))
        .or_else(|_| text.parse::<DateTime<Utc>>())
        .or_else(|_| text.parse::<NaiveDateTime>().map(|naive| naive.and_utc()))
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").map(|naive| naive.and_utc()))
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M").map(|naive| naive.and_utc()))
        .or_else(|_| text.parse::<NaiveDate>().map(|date| date.and_time(NaiveTime::MIN).and_utc()))
        .ok()?;
    DateTime::from_timestamp_micros(time.timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn naive_times_are_utc_and_may_lack_a_fraction() {
        let with = parse("2026-11-21T23:16:57.934264").unwrap();
        assert_eq!(with.to_rfc3339(), "2026-11-21T23:16:57.934264+00:00");
        assert_eq!(parse("2026-11-21T23:16:57").unwrap().timestamp_subsec_micros(), 0);
        assert_eq!(parse("2026-11-22T01:16:57+02:00"), parse("2026-11-21T23:16:57Z"));
        assert_eq!(parse("2026-11-21T23:16:57.934264999Z"), Some(with));
        assert_eq!(parse("2026-11-21"), parse("2026-11-21T00:00:00Z"));
        assert_eq!(parse("2026-11-21T23:16"), parse("2026-11-21T23:16:00Z"));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "invalid", "2026-13-01", "2026-11-21T25:00:00", "1763766000"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
