//! What is read from the spool.

use taskscope_wire::TaskEvent;

/// Batches by their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ids {
    /// Those after this one,
    pub after: i64,
    /// up to and with this one.
    pub up_to: i64,
}

impl Ids {
    /// Whether this one is among them.
    #[must_use]
    pub const fn hold(self, id: i64) -> bool {
        self.after < id && id <= self.up_to
    }
}

/// Events in the order in which they were accepted.
#[derive(Debug, Default)]
pub struct Spooled {
    /// To be given to [`Spool::forget`](super::Spool::forget) once the events are stored.
    pub last_id: i64,
    /// The events.
    pub events: Vec<TaskEvent>,
    /// Lines that are no events, each with the reason: written by another version, or damaged.
    pub unreadable: Vec<(String, String)>,
}

/// Batches in the order of their ids.
#[derive(Debug)]
pub(super) struct Raw {
    pub(super) last_id: i64,
    pub(super) batches: Vec<Batch>,
}

#[derive(Debug)]
pub(super) enum Batch {
    /// As it came.
    Held(Vec<TaskEvent>),
    /// As it is in the file, one event a line.
    Lines(String),
}

impl Raw {
    pub(super) fn decode(self) -> Spooled {
        let mut spooled = Spooled { last_id: self.last_id, ..Spooled::default() };
        for batch in self.batches {
            match batch {
                Batch::Held(events) => spooled.events.extend(events),
                Batch::Lines(lines) => lines.lines().for_each(|line| spooled.decode(line)),
            }
        }
        spooled
    }
}

impl Spooled {
    fn decode(&mut self, line: &str) {
        match serde_json::from_str(line) {
            Ok(event) => self.events.push(event),
            Err(error) => self.unreadable.push((line.to_owned(), error.to_string())),
        }
    }
}
