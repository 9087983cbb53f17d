//! What our own Python middleware sends (`fixtures/python`, kept true by its tests), and what it must mean.

use std::{fs, path::PathBuf};

use serde_json::value::RawValue;
use taskscope_wire::{EventKind, NativeEvent, Source, TaskEvent, clean, time};

fn events(name: &str) -> Vec<TaskEvent> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/python").join(format!("{name}.json"));
    let body = fs::read(path).unwrap_or_else(|error| panic!("{name}: {error}"));
    let text = clean(&body);
    let events: Vec<&RawValue> = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let now = time::parse("2027-01-01").unwrap_or_default();
    let decode = |event: &RawValue| match NativeEvent::decode_with_id(event.get(), now) {
        (Some(_), Ok(event)) => event,
        (id, outcome) => panic!("{name}: {id:?} {outcome:?}"),
    };
    events.into_iter().map(decode).collect()
}

#[test]
fn every_fixture_is_accepted_and_every_end_names_its_start() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/python");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned();
        let events = events(&name);
        assert!(events.iter().all(|event| event.source == Source::Taskiq && event.task_name.is_some()), "{name}");
        for event in &events {
            if let EventKind::Finished(finish) = &event.kind {
                let start = events.iter().find(|other| other.kind == EventKind::Started && Some(other.at) == finish.started_at);
                assert!(start.is_some_and(|start| start.attribution == event.attribution), "{name}");
            }
        }
        count += 1;
    }
    assert!(count >= 10, "{count} fixtures");
}

#[test]
fn an_attempt_that_is_retried_tells_its_real_cause() {
    for event in events("retry") {
        if let EventKind::Finished(finish) = event.kind
            && finish.failed
        {
            let cause = finish.error_message.unwrap();
            assert!(!cause.contains("NoResultError"), "{cause}");
            assert!(finish.error_traceback.unwrap().contains(", line "));
        }
    }
}
