//! What TaskIQ's stock middlewares send: a path and a body.

use taskscope_wire::{
    Attribution,
    taskiq::{Step, decode, split_path, stored_counters},
};

use crate::{events, now};

/// The first line is what follows `tasks/` in the path, the rest is the body.
pub fn check(input: &[u8]) {
    let mut parts = input.splitn(2, |byte| *byte == b'\n');
    let path = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let body = events::cleaned(&events::stretched(parts.next().unwrap_or_default()));
    let Ok((task_id, step)) = split_path(&path) else { return };
    let event = match decode(task_id, step, &body, now()) {
        Ok(event) => event,
        Err(error) => return assert!(!error.is_empty()),
    };
    events::taken(&event);
    assert_eq!(event.task_id, task_id);
    match event.attribution {
        Attribution::Counters { retries, requeues } => {
            assert!(step != Step::Executed && retries >= 0 && requeues >= 0);
            assert_eq!(stored_counters(event.labels.as_ref()), (retries, requeues), "what is stored says the same");
        }
        Attribution::Unknown => assert_eq!(step, Step::Executed),
        Attribution::Attempt(_) => panic!("TaskIQ numbers no attempts"),
    }
    let again = decode(task_id, step, &events::cleaned(body.as_bytes()), now());
    assert_eq!(again, Ok(event));
}
