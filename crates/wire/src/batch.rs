//! Batches of native events as they arrive: bodies of `POST /api/v1/events`, and messages of an event stream.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;

use crate::{NativeEvent, TaskEvent, clean};

/// Events in one batch.
pub const LARGEST_BATCH: usize = 10_000;

/// How the events of a batch stand in its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchForm {
    /// As a JSON array.
    Array,
    /// One JSON object a line.
    Lines,
    /// Either, or one JSON object however it is laid out: by what the text begins with.
    Any,
}

/// An event of a batch.
#[derive(Debug)]
pub struct BatchEvent<'a> {
    /// As it stands in the batch.
    pub text: &'a str,
    /// The id that its reporter gave it.
    pub event_id: Option<String>,
    /// What it says, or a sentence about what is wrong with it.
    pub event: Result<TaskEvent, String>,
}

/// Why nothing of a batch can be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The text is no batch.
    #[error("{0}")]
    Invalid(String),
    /// It has too many events.
    #[error("a batch must have at most {LARGEST_BATCH} events, this one has {0}")]
    TooLarge(usize),
}

/// Cleans a batch as [`clean`] does, lines one by one: what one of them leaves open has no say in the others.
#[must_use]
pub fn clean_batch(body: &[u8], form: BatchForm) -> Cow<'_, str> {
    let whole = clean(body);
    let is_one = match form {
        BatchForm::Array => true,
        BatchForm::Lines => false,
        BatchForm::Any => whole.trim_start().starts_with('[') || serde_json::from_str::<&RawValue>(&whole).is_ok(),
    };
    // What needed no cleaning needs none line by line.
    if is_one || matches!(whole, Cow::Borrowed(_)) {
        return whole;
    }
    let lines: Vec<Cow<'_, str>> = body.split(|byte| *byte == b'\n').map(clean).collect();
    Cow::Owned(lines.join("\n"))
}

/// Takes a text that was cleaned by [`clean_batch`] apart into its events. One that is wrong costs no other.
///
/// # Errors
/// The text is no batch, or too large a one.
pub fn decode_batch(text: &str, form: BatchForm, now: DateTime<Utc>) -> Result<Vec<BatchEvent<'_>>, BatchError> {
    let texts = match form {
        BatchForm::Array => array(text)?,
        BatchForm::Lines => lines(text),
        BatchForm::Any if text.trim_start().starts_with('[') => array(text)?,
        BatchForm::Any => match serde_json::from_str::<&RawValue>(text) {
            Ok(one) => vec![one.get()],
            Err(_) => lines(text),
        },
    };
    if texts.len() > LARGEST_BATCH {
        return Err(BatchError::TooLarge(texts.len()));
    }
    let decode = |text| {
        let (event_id, event) = NativeEvent::decode_with_id(text, now);
        BatchEvent { text, event_id, event }
    };
    Ok(texts.into_iter().map(decode).collect())
}

fn array(text: &str) -> Result<Vec<&str>, BatchError> {
    let events: Vec<&RawValue> = serde_json::from_str(text)
        .map_err(|error| BatchError::Invalid(format!("the body must be a JSON array of events: {error}")))?;
    Ok(events.into_iter().map(RawValue::get).collect())
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str, form: BatchForm) -> Result<(usize, usize), BatchError> {
        let events = decode_batch(text, form, crate::time::parse("2026-11-22").unwrap())?;
        let taken = events.iter().filter(|event| event.event.is_ok()).count();
        Ok((taken, events.len() - taken))
    }

    #[test]
    fn any_form_is_told_by_its_text() {
        let one = r#"{"type": "task_started", "task_id": "1", "task_name": "t", "timestamp": "2026-11-21"}"#;
        let tall = one.replace(", ", ",\n");
        let cases = [
            (one.to_owned(), (1, 0)),
            (tall.clone(), (1, 0)),
            (format!(" [{one}, {tall}]"), (2, 0)),
            (format!("{one}\n\n{one}\n"), (2, 0)),
            (format!("{one}\nnonsense\n{one}"), (2, 1)),
            ("nonsense".to_owned(), (0, 1)),
            (String::new(), (0, 0)),
        ];
        for (text, counts) in cases {
            assert_eq!(count(&text, BatchForm::Any), Ok(counts), "{text}");
        }
        assert!(matches!(count("[nonsense", BatchForm::Any), Err(BatchError::Invalid(_))));
    }

    #[test]
    fn what_a_line_leaves_open_has_no_say_in_the_others() {
        let good = r#"{"type": "task_completed", "task_id": "1", "timestamp": "2026-11-21", "result": "a\u0000b"}"#;
        let open = format!(r#"{{"type": "{}"#, "[{".repeat(crate::MAX_DEPTH));
        let text = format!("{open}\n{}\n{good}\n{open}\n{good}", "[".repeat(crate::MAX_DEPTH + 1));
        for form in [BatchForm::Lines, BatchForm::Any] {
            let text = clean_batch(text.as_bytes(), form);
            let events = decode_batch(&text, form, crate::time::parse("2026-11-22").unwrap()).unwrap();
            let texts: Vec<_> = events.iter().filter(|event| event.event.is_ok()).map(|event| event.text).collect();
            assert_eq!((events.len(), texts), (5, vec![good.replace("\\u", "\\\\u").as_str(); 2]), "{form:?}");
        }
    }

    #[test]
    fn a_batch_has_a_limit() {
        let text = "x\n".repeat(LARGEST_BATCH + 1);
        assert_eq!(count(&text, BatchForm::Lines), Err(BatchError::TooLarge(LARGEST_BATCH + 1)));
    }
}
