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
const RING: usize = 1024;
/// Bytes from which on a frame takes no further message: a connection's buffer stays as large as the largest frame it ever sent.
const FRAME: usize = 32 * 1024;

/// Committed messages, written out once and shared by all connections.
#[derive(Debug)]
pub struct Frame {
    /// The number of the first message.
    pub first_seq: i64,
    /// All messages as one JSON array.
    pub array: Utf8Bytes,
    /// Where each message ends in it.
    ends: Vec<usize>,
}

impl Frame {
    /// Frames of a batch whose first message has this number.
    fn of(mut first_seq: i64, messages: &[String]) -> Vec<Self> {
        let mut frames = Vec::new();
        let mut rest = messages;
        while !rest.is_empty() {
            let (mut array, mut ends) = (String::with_capacity(FRAME + 1024), Vec::new());
            while let Some(message) = rest.split_off_first() {
                array.push(if ends.is_empty() { '[' } else { ',' });
                array.push_str(message);
                ends.push(array.len());
                if array.len() >= FRAME {
                    break;
                }
            }
            array.push(']');
            array.shrink_to_fit();
            let count = ends.len() as i64;
            frames.push(Self { first_seq, array: array.into(), ends });
            first_seq += count;
        }
        frames
    }

    /// The number of the last message.
    #[must_use]
    pub fn last_seq(&self) -> i64 {
        self.first_seq + self.ends.len() as i64 - 1
    }

    /// The messages after the first `known`, each as JSON.
    pub fn messages_after(&self, known: usize) -> impl Iterator<Item = &str> {
        // Before each message there is a bracket or a comma.
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).skip(known).filter_map(|(start, end)| self.array.get(start + 1..*end))
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
        let server = ServerState { database_up: true, database_down_since: None, events_waiting: 0, notices: Vec::new() };
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
            self.send(&mut stream, first_seq, &messages);
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
                self.send(&mut stream, first_seq, &messages);
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

    fn send(&self, stream: &mut Stream, first_seq: i64, messages: &[String]) {
        for frame in Frame::of(first_seq, messages) {
            let frame = Arc::new(frame);
            stream.position.seq = frame.last_seq();
            stream.kept_messages += frame.ends.len();
            stream.kept.push_back(Arc::clone(&frame));
            // Nobody may be watching.
            let _ = self.0.frames.send(frame);
        }
        while stream.kept_messages > KEPT_MESSAGES {
            let Some(oldest) = stream.kept.pop_front() else { break };
            stream.kept_messages -= oldest.ends.len();
        }
    }

    fn stream(&self) -> MutexGuard<'_, Stream> {
        self.0.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_batch_is_several_frames_with_all_its_messages() {
        let messages: Vec<String> =
            (0..500).map(|number| format!("{{\"é\":{number},\"text\":\"{}\"}}", "x".repeat(200))).collect();
        let frames = Frame::of(7, &messages);
        assert!(frames.len() > 2 && frames.iter().all(|frame| frame.array.len() < FRAME + 300));
        let mut next = 7;
        let mut told = Vec::new();
        for frame in &frames {
            assert_eq!(frame.first_seq, next);
            next = frame.last_seq() + 1;
            told.extend(frame.messages_after(0).map(str::to_owned));
            let array: Vec<serde_json::Value> = serde_json::from_str(&frame.array).unwrap();
            assert_eq!(array.len(), frame.messages_after(0).count());
        }
        assert_eq!((next, told), (507, messages.clone()));
        let rest: Vec<&str> = frames[0].messages_after(2).take(2).collect();
        assert_eq!(rest, [&messages[2], &messages[3]]);
        assert!(Frame::of(1, &[]).is_empty());
    }
}
