//! What a token may report of.

use taskscope_wire::{Heartbeat, TaskEvent};

/// Names of task types and workers, `*` at the end standing for any rest. All, where there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources(Vec<String>);

impl Sources {
    /// The ones that a token names.
    #[must_use]
    pub fn new(patterns: &[String]) -> Self {
        Self(patterns.to_vec())
    }

    /// Checks an event. TaskIQ's ends name neither task type nor worker: they only end what somebody else has begun, by an id that can't be guessed.
    ///
    /// # Errors
    /// A sentence that names what the token may not report of.
    pub fn check_event(&self, event: &TaskEvent) -> Result<(), String> {
        let names = [event.task_name.as_deref(), event.worker.as_deref()];
        if self.0.is_empty() || names == [None, None] || names.iter().flatten().any(|name| self.hold(name)) {
            return Ok(());
        }
        let [task_name, worker] = names.map(Option::unwrap_or_default);
        Err(format!("this token may not report of task_name {task_name:?} or worker {worker:?}: it may of {}", self.0.join(", ")))
    }

    /// Checks a worker's sign of life.
    ///
    /// # Errors
    /// A sentence that names the worker that the token may not report of.
    pub fn check_heartbeat(&self, beat: &Heartbeat) -> Result<(), String> {
        if self.0.is_empty() || self.hold(&beat.worker) {
            return Ok(());
        }
        Err(format!("this token may not report of worker {:?}: it may of {}", beat.worker, self.0.join(", ")))
    }

    fn hold(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == pattern,
        })
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use taskscope_wire::NativeEvent;

    use super::*;

    fn sources(patterns: &[&str]) -> Sources {
        Sources(patterns.iter().map(|pattern| (*pattern).to_owned()).collect())
    }

    fn event(task_name: &str) -> TaskEvent {
        let text = format!(
            r#"{{"type": "task_started", "task_id": "1", "task_name": "{task_name}", "worker": "w1", "timestamp": "2026-11-20T00:00:00Z"}}"#
        );
        NativeEvent::decode(&text, Utc::now()).unwrap()
    }

    #[test]
    fn names_are_compared_whole_and_from_the_beginning() {
        for (patterns, task_name, holds) in [
            (&[][..], "a", true),
            (&["a"], "a", true),
            (&["a"], "ab", false),
            (&["a"], "ba", false),
            (&["a*"], "ab", true),
            (&["a*"], "ba", false),
            (&["*"], "x", true),
            (&["x", "b.*"], "b.c", true),
            (&["b.*"], "bxc", false),
            (&["w*"], "a", true),
        ] {
            assert_eq!(sources(patterns).check_event(&event(task_name)).is_ok(), holds, "{patterns:?} {task_name}");
        }
        let told = sources(&["b.*"]).check_event(&event("a")).unwrap_err();
        assert!(told.contains("\"a\"") && told.contains("b.*"), "{told}");
    }
}
