//! Sends what was committed to everybody who watches.
//!
//! **Promises.** Messages go out in the order of their numbers, each once; a watcher that comes back gets exactly what it missed, or is
//! told that it must load anew. One slow watcher costs the others nothing: all share one ring, and each has only a place in it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::extract::ws::Utf8Bytes;
use taskscope_wire::{Position, ServerState};
use tokio::sync::{Notify, broadcast, watch};

/// Messages that are kept for those who come back.
const KEPT_MESSAGES: usize = 20_000;
/// Frames that a slow watcher may be behind.
const RING: usize = 2048;

/// One committed batch, written out once and shared by all connections.
#[derive(Debug)]
pub struct Frame {
    /// The number of the first message.
    pub first_seq: i64,
    /// Each message as JSON.
    pub messages: Vec<Utf8Bytes>,
    /// All messages as one JSON array.
    pub array: Utf8Bytes,
}

impl Frame {
    fn new(first_seq: i64, messages: Vec<String>) -> Self {
        let array = format!("[{}]", messages.join(",")).into();
        Self { first_seq, messages: messages.into_iter().map(Into::into).collect(), array }
    }

    /// The number of the last message.
    #[must_use]
    pub fn last_seq(&self) -> i64 {
        self.first_seq + self.messages.len() as i64 - 1
    }
}

/// The place where committed messages become live. Clones share it.
#[derive(Debug, Clone)]
pub struct Hub(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    stream: Mutex<Stream>,
    frames: broadcast::Sender<Arc<Frame>>,
    server: watch::Sender<ServerState>,
    behind: Notify,
}

#[derive(Debug)]
struct Stream {
    position: Position,
    kept: VecDeque<Arc<Frame>>,
    kept_messages: usize,
}

/// What a new watcher gets.
#[derive(Debug)]
pub struct Subscription {
    /// Where the stream stands.
    pub position: Position,
    /// Whether [`Subscription::missed`] is all that was missed.
    pub recovered: bool,
    /// Frames after the watcher's place, oldest first. The first may begin before it.
    pub missed: Vec<Arc<Frame>>,
    /// What comes.
    pub frames: broadcast::Receiver<Arc<Frame>>,
    /// How the server is.
    pub server: watch::Receiver<ServerState>,
}

impl Default for Hub {
    fn default() -> Self {
        let server = ServerState { database_up: true, database_down_since: None, events_waiting: 0 };
        let position = Position { epoch: String::new(), seq: 0 };
        Self(Arc::new(Shared {
            stream: Mutex::new(Stream { position, kept: VecDeque::new(), kept_messages: 0 }),
            frames: broadcast::Sender::new(RING),
            server: watch::Sender::new(server),
            behind: Notify::new(),
        }))
    }
}

impl Hub {
    /// Takes a committed batch. One that is out of turn is left to [`Hub::catch_up`]: another recorder's batch comes before it.
    pub fn publish(&self, position: Position, messages: Vec<String>) {
        if messages.is_empty() {
            return;
        }
        let first_seq = position.seq - messages.len() as i64 + 1;
        let mut stream = self.stream();
        if stream.position.epoch == position.epoch && first_seq == stream.position.seq + 1 {
            self.send(&mut stream, Frame::new(first_seq, messages));
        } else if stream.position.epoch != position.epoch || first_seq > stream.position.seq {
            self.0.behind.notify_one();
        }
    }

    /// Takes batches as they are stored, oldest first, and passes over what is known. Another epoch starts the stream anew.
    pub fn catch_up(&self, position: &Position, batches: Vec<(i64, Vec<String>)>) {
        let mut stream = self.stream();
        if stream.position.epoch != position.epoch {
            let before_first = batches.first().map_or(position.seq, |(first_seq, _)| first_seq - 1);
            *stream = Stream {
                position: Position { epoch: position.epoch.clone(), seq: before_first },
                kept: VecDeque::new(),
                kept_messages: 0,
            };
        }
        for (first_seq, messages) in batches {
            if first_seq == stream.position.seq + 1 {
                self.send(&mut stream, Frame::new(first_seq, messages));
            }
        }
    }

    /// Returns when a batch was out of turn.
    pub async fn behind(&self) {
        self.0.behind.notified().await;
    }

    /// Where the stream stands here.
    #[must_use]
    pub fn position(&self) -> Position {
        self.stream().position.clone()
    }

    /// Begins to watch, after the place that is known, if any.
    #[must_use]
    pub fn subscribe(&self, known: Option<&Position>) -> Subscription {
        // Under the lock, so that nothing is sent between the look at what is kept and the first frame that comes.
        let stream = self.stream();
        let frames = self.0.frames.subscribe();
        let oldest = stream.kept.front().map_or(stream.position.seq + 1, |frame| frame.first_seq);
        let recovered = known.is_some_and(|known| {
            known.epoch == stream.position.epoch && known.seq <= stream.position.seq && known.seq + 1 >= oldest
        });
        let after = known.map_or(i64::MAX, |known| known.seq);
        let missed = stream.kept.iter().filter(|frame| recovered && frame.last_seq() > after).cloned().collect();
        Subscription { position: stream.position.clone(), recovered, missed, frames, server: self.0.server.subscribe() }
    }

    /// Tells everybody how the server is, if that has changed.
    pub fn set_server(&self, state: ServerState) {
        self.0.server.send_if_modified(|known| {
            let changed = *known != state;
            *known = state;
            changed
        });
    }

    /// How the server is.
    #[must_use]
    pub fn server(&self) -> ServerState {
        self.0.server.borrow().clone()
    }

    /// How many watch.
    #[must_use]
    pub fn watchers(&self) -> usize {
        self.0.frames.receiver_count()
    }

    fn send(&self, stream: &mut Stream, frame: Frame) {
        let frame = Arc::new(frame);
        stream.position.seq = frame.last_seq();
        stream.kept_messages += frame.messages.len();
        stream.kept.push_back(Arc::clone(&frame));
        while stream.kept_messages > KEPT_MESSAGES {
            let Some(oldest) = stream.kept.pop_front() else { break };
            stream.kept_messages -= oldest.messages.len();
        }
        // Nobody may be watching.
        let _ = self.0.frames.send(frame);
    }

    fn stream(&self) -> MutexGuard<'_, Stream> {
        self.0.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
