use std::{iter, vec};

use bytes::Bytes;

use crate::{buffer::Load, event::Event};

/// Events of one request.
pub(crate) const BATCH_EVENTS: usize = 500;
/// Bytes of one request. A single event may have more.
pub(crate) const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Events that are sent in one request.
#[derive(Debug)]
pub(crate) struct Batch {
    entries: Vec<Entry>,
    body: Bytes,
}

/// An event as it is sent.
#[derive(Debug)]
struct Entry {
    json: String,
    /// What it counts in the buffer.
    size: usize,
}

impl Batch {
    fn new(entries: Vec<Entry>) -> Self {
        let length = entries.iter().map(|entry| entry.json.len() + 1).sum::<usize>() + 1;
        let mut body = Vec::with_capacity(length);
        for (entry, separator) in entries.iter().zip(iter::once(b'[').chain(iter::repeat(b','))) {
            body.push(separator);
            body.extend_from_slice(entry.json.as_bytes());
        }
        body.push(b']');
        Self { entries, body: body.into() }
    }

    /// The JSON array. Cloning it costs nothing.
    pub(crate) fn body(&self) -> Bytes {
        self.body.clone()
    }

    pub(crate) fn load(&self) -> Load {
        Load { events: self.entries.len(), bytes: self.entries.iter().map(|entry| entry.size).sum() }
    }

    /// Two batches with half of the events each.
    ///
    /// # Errors
    /// There is only one event: the batch, as it was.
    pub(crate) fn halve(mut self) -> Result<[Self; 2], Self> {
        if self.entries.len() < 2 {
            return Err(self);
        }
        let second = self.entries.split_off(self.entries.len() / 2);
        Ok([Self::new(self.entries), Self::new(second)])
    }
}

/// Makes batches of events, each when it is asked for, so that large events don't all become text at once.
#[derive(Debug)]
pub(crate) struct Batches<'a> {
    events: vec::IntoIter<Event>,
    worker: &'a str,
    /// It didn't fit into the batch before.
    next: Option<Entry>,
}

impl<'a> Batches<'a> {
    pub(crate) fn new(events: Vec<Event>, worker: &'a str) -> Self {
        Self { events: events.into_iter(), worker, next: None }
    }

    fn entry(&mut self) -> Option<Entry> {
        let next = || self.events.next().map(|event| Entry { size: event.size(), json: event.encode(self.worker) });
        self.next.take().or_else(next)
    }
}

impl Iterator for Batches<'_> {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let first = self.entry()?;
        let mut bytes = first.json.len() + 2;
        let mut entries = vec![first];
        while entries.len() < BATCH_EVENTS {
            let Some(entry) = self.entry() else { break };
            bytes += entry.json.len() + 1;
            if bytes > BATCH_BYTES {
                self.next = Some(entry);
                break;
            }
            entries.push(entry);
        }
        Some(Batch::new(entries))
    }
}
