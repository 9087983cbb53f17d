//! Timestamps as clients write them.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Utc};
use serde::{Serialize, Serializer};

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

/// Writes a time as chrono does, for `#[serde(serialize_with = …)]`. Every event has a time and every live message three, and chrono's own
/// way takes each through `fmt`, piece by piece.
///
/// # Errors
/// Those of the serializer.
pub(crate) fn write<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    let micros = time.timestamp_subsec_micros();
    let usual = (0..=9999).contains(&time.year()) && time.nanosecond().is_multiple_of(1000) && micros < 1_000_000;
    if !usual {
        return time.serialize(serializer);
    }
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    put(&mut text[0..4], time.year().unsigned_abs());
    put(&mut text[5..7], time.month());
    put(&mut text[8..10], time.day());
    put(&mut text[11..13], time.hour());
    put(&mut text[14..16], time.minute());
    put(&mut text[17..19], time.second());
    put(&mut text[20..26], micros);
    let length = match micros {
        0 => 20,
        micros if micros.is_multiple_of(1000) => 24,
        _ => 27,
    };
    text[length - 1] = b'Z';
    // Digits and signs only.
    str::from_utf8(&text[..length]).map_err(serde::ser::Error::custom)?.serialize(serializer)
}

/// Fills the place with the digits of a number that fits.
fn put(place: &mut [u8], mut number: u32) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn times_are_written_as_chrono_does(seconds in -70_000_000_000_i64..300_000_000_000, nanos in 0..2_000_000_000_u32, unit in 0..4_usize) {
            let nanos = nanos / [1, 1000, 1_000_000, 1_000_000_000][unit] * [1, 1000, 1_000_000, 1_000_000_000][unit];
            prop_assume!(DateTime::from_timestamp(seconds, nanos).is_some());
            let time = DateTime::from_timestamp(seconds, nanos).unwrap();
            let written = write(&time, serde_json::value::Serializer).unwrap();
            prop_assert_eq!(written, serde_json::to_value(time).unwrap());
        }
    }

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
