//! What Postgres, and those who read what it keeps, accept of an event.

use serde_json::Value;
use taskscope_wire::{EventKind, Json, MAX_DEPTH, TaskEvent, limits};

/// What a cut adds behind a text, at the most.
const CUT: usize = 64;

/// Panics if the event can't be stored, or is larger than what is promised.
pub fn assert_storable(event: &TaskEvent) {
    assert!(!event.task_id.is_empty(), "an event has a task");
    let finish = match &event.kind {
        EventKind::Finished(finish) => Some(finish),
        EventKind::Queued | EventKind::Started => None,
    };
    let error_type = finish.and_then(|finish| finish.error_type.as_ref());
    let names = [Some(&event.task_id), event.task_name.as_ref(), event.queue.as_ref(), event.worker.as_ref(), error_type];
    for name in names.into_iter().flatten() {
        assert_text(name, limits::NAME);
    }
    let jsons = [(event.params.as_ref(), limits::JSON), (event.labels.as_ref(), limits::JSON)];
    for (json, most) in jsons.into_iter().chain([(finish.and_then(|finish| finish.result.as_ref()), limits::RESULT)]) {
        if let Some(json) = json {
            assert_json(json, most);
        }
    }
    if let Some(finish) = finish {
        for text in [&finish.error_message, &finish.error_traceback].into_iter().flatten() {
            assert_text(text, limits::TEXT + CUT);
        }
        assert!(finish.duration_ms.is_none_or(|ms| (0..=1_000_000_000_000_000).contains(&ms)), "{:?}", finish.duration_ms);
    }
    assert!(event.earliest().timestamp() >= 0 && event.at <= crate::now() + limits::CLOCK_AHEAD, "{}", event.at);
}

fn assert_text(text: &str, most: usize) {
    assert!(text.len() <= most && !text.contains('\0'), "{} bytes, {text:.100}", text.len());
}

/// The text is cut before it becomes a JSON string, where a character can take six.
fn assert_json(json: &Json, most: usize) {
    let text = json.as_str();
    assert!(text.len() <= most || text.len() <= 6 * (most + CUT) && text.starts_with('"'), "{} bytes", text.len());
    let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text:.200}"));
    // Positional arguments are wrapped in two levels.
    assert_value(&value, MAX_DEPTH + 2);
}

/// Panics where a value holds a NUL character, or is nested deeper than this.
pub fn assert_value(value: &Value, depth: usize) {
    assert!(depth > 0 || !(value.is_array() || value.is_object()), "nested too deep");
    match value {
        Value::String(text) => assert!(!text.contains('\0'), "a NUL character"),
        Value::Array(items) => items.iter().for_each(|item| assert_value(item, depth - 1)),
        Value::Object(members) => {
            for (name, member) in members {
                assert!(!name.contains('\0'), "a NUL character in a name");
                assert_value(member, depth - 1);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
