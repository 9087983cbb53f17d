use std::ops::RangeInclusive;

use crate::ServiceError;

/// The most characters of a name.
const LONGEST_NAME: usize = 200;

/// A name: 1 to 200 characters.
pub(super) fn name(field: &str, name: &str) -> Result<(), ServiceError> {
    text(field, name, 1..=LONGEST_NAME)
}

/// A text of so many characters, blank ones at its ends not counted.
pub(super) fn text(field: &str, text: &str, length: RangeInclusive<usize>) -> Result<(), ServiceError> {
    let (least, most) = (length.start(), length.end());
    if length.contains(&text.trim().chars().count()) && text.chars().count() <= most * 2 && !text.contains('\0') {
        return Ok(());
    }
    Err(ServiceError::Invalid(format!("{field} must be {least} to {most} characters without a NUL character")))
}

/// Checks what is given, and leaves out what is not.
pub(super) fn given<T: ?Sized>(
    value: Option<&T>,
    check: impl FnOnce(&T) -> Result<(), ServiceError>,
) -> Result<(), ServiceError> {
    value.map_or(Ok(()), check)
}
