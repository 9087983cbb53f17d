//! What anybody may ask for, where Postgres takes less than Rust.

use chrono::{DateTime, Datelike, Utc};

use crate::ServiceError;

/// A time that Postgres, and everybody else, can tell.
pub(crate) fn time(field: &str, time: DateTime<Utc>) -> Result<(), ServiceError> {
    if (1..=9999).contains(&time.year()) {
        return Ok(());
    }
    Err(ServiceError::Invalid(format!("{field} must be in the years 1 to 9999, not {}", time.year())))
}

/// A text to look for, if there is one.
pub(crate) fn search(field: &str, text: Option<&str>) -> Result<(), ServiceError> {
    if text.is_some_and(|text| text.contains('\0')) {
        return Err(ServiceError::Invalid(format!("{field} must be text without a NUL character")));
    }
    Ok(())
}
