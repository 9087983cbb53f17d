//! Native events, batches of them and heartbeats, from the bytes of a body on.

use serde_json::{Value, value::RawValue};
use taskscope_wire::{BatchForm, Heartbeat, MAX_DEPTH, NativeEvent, TaskEvent, clean, clean_batch, decode_batch, limits};

use crate::{now, postgres};

/// Stands for a long run of letters, so that short inputs reach the limits of what an event may hold.
const LONG: u8 = 0x1f;
/// How long the run is, in letters of two bytes.
const RUN: usize = 40_000;

/// The first byte says how the body is read.
pub fn check(input: &[u8]) {
    let Some((form, body)) = input.split_first() else { return };
    let body = stretched(body);
    let text = cleaned(&body);
    match form {
        b'A' => batch(&body, BatchForm::Array),
        b'L' => batch(&body, BatchForm::Lines),
        b'H' => heartbeat(&text),
        _ => batch(&body, BatchForm::Any),
    }
}

/// The input with its runs, of which there are three at the most.
pub(crate) fn stretched(body: &[u8]) -> Vec<u8> {
    let mut parts = body.splitn(4, |byte| *byte == LONG);
    let mut out = parts.next().unwrap_or_default().to_vec();
    for part in parts {
        out.extend("é".repeat(RUN).bytes());
        out.extend(part);
    }
    out
}

/// Cleans a body: once is enough, and what is JSON to the most lenient reader is JSON to all.
pub(crate) fn cleaned(body: &[u8]) -> String {
    let text = clean(body).into_owned();
    assert_eq!(clean(text.as_bytes()), text, "cleaning what is clean");
    let original = String::from_utf8_lossy(body);
    if serde_json::from_str::<&RawValue>(&original).is_ok() {
        let value: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {original:.200} became {text:.200}"));
        postgres::assert_value(&value, MAX_DEPTH);
    }
    text
}

/// What holds of every event that was taken, whatever it came from.
pub(crate) fn taken(event: &TaskEvent) {
    postgres::assert_storable(event);
    // As in the spool.
    let kept = serde_json::to_string(event).unwrap_or_else(|error| panic!("{event:?} can't be kept: {error}"));
    let read: TaskEvent = serde_json::from_str(&kept).unwrap_or_else(|error| panic!("{kept} can't be read: {error}"));
    assert_eq!(&read, event, "kept as {kept}");
}

fn batch(body: &[u8], form: BatchForm) {
    let text = clean_batch(body, form);
    assert_eq!(clean_batch(text.as_bytes(), form), text, "cleaning what is clean");
    let Ok(events) = decode_batch(&text, form, now()) else { return };
    for event in &events {
        match &event.event {
            Ok(task_event) => {
                taken(task_event);
                native(event.text, task_event);
            }
            Err(error) => assert!(!error.is_empty()),
        }
        assert!(event.event_id.as_ref().is_none_or(|id| id.len() <= limits::NAME));
    }
    if form == BatchForm::Array {
        let texts: Vec<&str> = events.iter().map(|event| event.text).collect();
        let again = format!("[{}]", texts.join(","));
        let again = decode_batch(&again, BatchForm::Any, now()).unwrap_or_else(|error| panic!("{error}"));
        let same = again.iter().zip(&events).all(|(one, other)| one.event == other.event && one.event_id == other.event_id);
        assert!(same && again.len() == events.len(), "{again:?} was {events:?}");
    }
}

/// What a client in Rust would send of the same event means the same.
fn native(text: &str, event: &TaskEvent) {
    let Ok(native) = serde_json::from_str::<NativeEvent>(text) else { panic!("{text} was decoded before") };
    let again = serde_json::to_string(&native).unwrap_or_else(|error| panic!("{error}"));
    if again.len() <= limits::EVENT {
        assert_eq!(NativeEvent::decode(&again, now()).as_ref(), Ok(event), "{text} was written as {again}");
    }
}

fn heartbeat(text: &str) {
    let Ok(beat) = Heartbeat::decode(text) else { return };
    let again = serde_json::to_string(&beat).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(Heartbeat::decode(&again), Ok(beat), "{again}");
}
