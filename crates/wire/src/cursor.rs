use std::{fmt, str::FromStr};

use chrono::{DateTime, Datelike, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment of the log that pages are counted by: what is created or arrives later doesn't shift them. Its text is for passing on, not
/// for reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Executions created later are not in the pages.
    pub until: DateTime<Utc>,
    /// Nor are those whose row got its id later.
    pub last_id: i64,
}

/// A text is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cursor is what a page of history gave")]
pub struct ParseCursorError;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.until.timestamp_micros(), self.last_id)
    }
}

impl FromStr for Cursor {
    type Err = ParseCursorError;

    fn from_str(text: &str) -> Result<Self, ParseCursorError> {
        let (micros, last_id) = text.trim().split_once('.').ok_or(ParseCursorError)?;
        let until = micros.parse().ok().and_then(DateTime::from_timestamp_micros).ok_or(ParseCursorError)?;
        // No page of history has another year, and arithmetic with such a time, and Postgres, have their ends.
        let until = Some(until).filter(|until| (1970..=9999).contains(&until.year())).ok_or(ParseCursorError)?;
        let last_id = last_id.parse().map_err(|_| ParseCursorError)?;
        Ok(Self { until, last_id })
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text() {
        let cursor = Cursor { until: DateTime::from_timestamp_micros(1_764_028_740_123_456).unwrap(), last_id: 17 };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        let json = serde_json::to_string(&cursor).unwrap();
        assert_eq!(serde_json::from_str::<Cursor>(&json).unwrap(), cursor);
        for bad in ["", "17", "x.1", "1.x", "9223372036854775807.1", "8210266876799999999.1", "-1.1", "1.1.1"] {
            assert_eq!(bad.parse::<Cursor>(), Err(ParseCursorError), "{bad}");
        }
    }
}
