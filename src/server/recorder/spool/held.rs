use std::{collections::BTreeMap, ops::Bound};

use taskscope_wire::TaskEvent;

use super::Ids;

/// Bytes in the file of the events that are held in memory too, where they take about twice as much.
const HELD_BYTES: usize = 12 * 1024 * 1024;

/// Events in memory by the ids of their batches. What doesn't fit is read from the file.
#[derive(Debug, Default)]
pub(super) struct Held {
    batches: BTreeMap<i64, (usize, Vec<TaskEvent>)>,
    bytes: usize,
}

impl Held {
    pub(super) fn keep(&mut self, id: i64, bytes: usize, events: Vec<TaskEvent>) {
        if self.bytes + bytes <= HELD_BYTES {
            self.bytes += bytes;
            self.batches.insert(id, (bytes, events));
        }
    }

    /// Whoever reads gets them; one who reads them again gets them from the file.
    pub(super) fn take(&mut self, id: i64) -> Option<Vec<TaskEvent>> {
        let (bytes, events) = self.batches.remove(&id)?;
        self.bytes -= bytes;
        Some(events)
    }

    pub(super) fn forget(&mut self, ids: Ids) {
        let between = (Bound::Excluded(ids.after), Bound::Included(ids.up_to));
        for (_, (bytes, _)) in self.batches.extract_if(between, |_, _| true) {
            self.bytes -= bytes;
        }
    }
}
