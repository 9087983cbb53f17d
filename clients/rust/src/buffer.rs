//! Between the tasks and the sender.
//!
//! **Promises.** [`Buffer::push`] is a short lock and at most one wake-up; it neither waits nor allocates more than the place of one
//! event, now and then that of a chunk. Events leave in the order in which they came. What was taken counts until it is settled, so that
//! the limits hold for all that the reporter keeps.

use std::{
    collections::VecDeque,
    mem,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Notify, watch};

use crate::{
    batch::{BATCH_BYTES, BATCH_EVENTS},
    event::Event,
};

#[derive(Debug)]
pub(crate) struct Buffer {
    most: Load,
    queue: Mutex<Queue>,
    /// The sender has a reason to look.
    wake: Notify,
    /// Somebody waits for the buffer to be flushed.
    hurry: Notify,
    progress: watch::Sender<Progress>,
    dropped: AtomicU64,
}

/// So many events with so many bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
}

#[derive(Debug)]
struct Queue {
    /// All but the last have [`BATCH_EVENTS`], so that the sender takes a batch by one move.
    chunks: VecDeque<Chunk>,
    /// In the chunks.
    waiting: Load,
    /// In the chunks, or taken and not settled.
    held: Load,
    /// Events that came in.
    pushed: u64,
    /// Events up to this one are not to wait for company.
    urgent: u64,
    open: bool,
}

#[derive(Debug, Default)]
struct Chunk {
    events: Vec<Event>,
    bytes: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    /// Events of which it is known what became of them.
    settled: u64,
    /// There is no sender any more.
    abandoned: bool,
}

impl Buffer {
    pub(crate) fn new(most: Load) -> Self {
        let queue =
            Queue { chunks: VecDeque::new(), waiting: Load::default(), held: Load::default(), pushed: 0, urgent: 0, open: true };
        Self {
            most,
            queue: Mutex::new(queue),
            wake: Notify::new(),
            hurry: Notify::new(),
            progress: watch::Sender::new(Progress::default()),
            dropped: AtomicU64::new(0),
        }
    }

    /// Takes an event, or drops and counts it if there is no room.
    pub(crate) fn push(&self, event: Event) {
        let bytes = event.size();
        let mut queue = self.lock();
        let full = queue.held.events >= self.most.events || queue.held.bytes.saturating_add(bytes) > self.most.bytes;
        if full || !queue.open {
            // The event itself is freed after the lock.
            drop(queue);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let news = queue.push(event, bytes);
        drop(queue);
        if news {
            self.wake.notify_one();
        }
    }

    /// Waits for events, then for more of them until a batch is full or `interval` has gone by, and takes them.
    pub(crate) async fn take(&self, interval: Duration) -> Vec<Event> {
        self.wait_until(|queue| queue.waiting.events > 0).await;
        // It ends early or in time; there are events either way.
        let _ = tokio::time::timeout(interval, self.wait_until(Queue::is_due)).await;
        self.lock().take().events
    }

    /// It is known what became of these events.
    pub(crate) fn settle(&self, load: Load) {
        let mut queue = self.lock();
        queue.held.events = queue.held.events.saturating_sub(load.events);
        queue.held.bytes = queue.held.bytes.saturating_sub(load.bytes);
        drop(queue);
        self.progress.send_modify(|progress| progress.settled += load.events as u64);
    }

    /// Waits until it is known what became of all events that are there now. False if nobody sends them any more.
    pub(crate) async fn flushed(&self) -> bool {
        let target = self.make_urgent();
        self.wake.notify_one();
        self.hurry.notify_one();
        let done = |progress: &Progress| progress.abandoned || progress.settled >= target;
        self.progress.subscribe().wait_for(done).await.is_ok_and(|progress| progress.settled >= target)
    }

    /// Somebody called [`Buffer::flushed`] since this was awaited last.
    pub(crate) async fn hurried(&self) {
        self.hurry.notified().await;
    }

    /// Takes no more events.
    pub(crate) fn close(&self) {
        self.lock().open = false;
    }

    /// Takes no more events, and drops what is there: there is no sender.
    pub(crate) fn abandon(&self) {
        let mut queue = self.lock();
        queue.open = false;
        let lost = mem::take(&mut queue.held).events;
        queue.waiting = Load::default();
        let chunks = mem::take(&mut queue.chunks);
        drop(queue);
        drop(chunks);
        self.dropped.fetch_add(lost as u64, Ordering::Relaxed);
        self.progress.send_modify(|progress| progress.abandoned = true);
    }

    /// What it keeps.
    pub(crate) fn held(&self) -> Load {
        self.lock().held
    }

    /// Events that were dropped since the start.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn make_urgent(&self) -> u64 {
        let mut queue = self.lock();
        queue.urgent = queue.pushed;
        queue.pushed
    }

    /// Only the sender waits here, so that one permit of `wake` is enough.
    async fn wait_until(&self, ready: impl Fn(&Queue) -> bool) {
        while !ready(&self.lock()) {
            self.wake.notified().await;
        }
    }

    /// Nothing that holds the lock can panic half-way, so that a poisoned queue is a whole one.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Whether the sender should look: there is something at last, or a batch is full.
    fn push(&mut self, event: Event, bytes: usize) -> bool {
        let was_full = self.is_full();
        match self.chunks.back_mut() {
            Some(chunk) if chunk.events.len() < BATCH_EVENTS => chunk.push(event, bytes),
            _ => self.chunks.push_back(Chunk { events: vec![event], bytes }),
        }
        self.waiting.add(bytes);
        self.held.add(bytes);
        self.pushed += 1;
        self.waiting.events == 1 || self.is_full() != was_full
    }

    fn take(&mut self) -> Chunk {
        let chunk = self.chunks.pop_front().unwrap_or_default();
        self.waiting.events -= chunk.events.len();
        self.waiting.bytes -= chunk.bytes;
        chunk
    }

    fn is_full(&self) -> bool {
        self.waiting.events >= BATCH_EVENTS || self.waiting.bytes >= BATCH_BYTES
    }

    fn is_due(&self) -> bool {
        let taken = self.pushed - self.waiting.events as u64;
        self.is_full() || taken < self.urgent
    }
}

impl Chunk {
    fn push(&mut self, event: Event, bytes: usize) {
        self.events.push(event);
        self.bytes += bytes;
    }
}

impl Load {
    fn add(&mut self, bytes: usize) {
        self.events += 1;
        self.bytes += bytes;
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, sync::Arc};

    use futures::{FutureExt, future::join};

    use super::*;
    use crate::{Work, event::Step};

    const LONG: Duration = Duration::from_secs(60);

    fn buffer_with_an_event() -> Buffer {
        let buffer = Buffer::new(Load { events: 10, bytes: 10_000 });
        let at = chrono::DateTime::UNIX_EPOCH;
        buffer.push(Event { work: Arc::new(Work::new("1", "t")), at, step: Step::Queued });
        buffer
    }

    #[test]
    fn a_flush_ends_the_pause_of_the_sender() {
        let buffer = buffer_with_an_event();
        let mut hurried = pin!(buffer.hurried());
        assert_eq!(hurried.as_mut().now_or_never(), None);
        assert_eq!(buffer.flushed().now_or_never(), None, "nothing is settled");
        assert_eq!(hurried.now_or_never(), Some(()));
    }

    #[tokio::test]
    async fn a_flush_ends_when_all_is_settled() {
        let buffer = buffer_with_an_event();
        let settle = async { buffer.settle(buffer.held()) };
        assert_eq!(tokio::time::timeout(LONG, join(buffer.flushed(), settle)).await, Ok((true, ())));
        assert_eq!(buffer.held(), Load::default());
    }

    #[tokio::test]
    async fn a_flush_ends_when_nobody_sends_any_more() {
        let buffer = buffer_with_an_event();
        let abandon = async { buffer.abandon() };
        assert_eq!(tokio::time::timeout(LONG, join(buffer.flushed(), abandon)).await, Ok((false, ())));
        assert_eq!((buffer.held(), buffer.dropped()), (Load::default(), 1));
    }
}
