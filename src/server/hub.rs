//! Sends what was committed to everybody who watches.
//!
//! **Promises.** Messages go out in the order of their numbers, each once; a watcher that comes back gets exactly what it missed, or is
//! told that it must load anew. One slow watcher costs the others nothing: all share one ring, and each has only a place in it. Another
//! stream ends everybody's: they come again, and are told.

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
    /// Says when the stream has moved on.
    moved: watch::Sender<()>,
    server: watch::Sender<ServerState>,
    behind: Notify,
}

#[derive(Debug)]
struct Stream {
    position: Position,
    kept: VecDeque<Arc<Frame>>,
    kept_messages: usize,
    frames: broadcast::Sender<Arc<Frame>>,
}

impl Stream {
    /// A stream of which nothing is kept.
    fn at(position: Position) -> Self {
        Self { position, kept: VecDeque::new(), kept_messages: 0, frames: broadcast::Sender::new(RING) }
    }

    /// Whether it is known, and not behind a place of it that somebody has.
    fn has_come_to(&self, known: Option<&Position>) -> bool {
        let Position { epoch, seq } = &self.position;
        !epoch.is_empty() && known.is_none_or(|known| known.epoch != *epoch || known.seq <= *seq)
    }
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
        Self(Arc::new(Shared {
            stream: Mutex::new(Stream::at(Position::default())),
            moved: watch::Sender::new(()),
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
            drop(stream);
            self.0.moved.send_replace(());
        } else if stream.position.epoch != position.epoch || first_seq > stream.position.seq {
            self.0.behind.notify_one();
        }
    }

    /// Takes batches as they are stored, oldest first, and passes over what is known. Where some between are not stored any more, it goes on
    /// after them. Another epoch starts the stream anew.
    pub fn catch_up(&self, position: &Position, batches: Vec<(i64, Vec<String>)>) {
        let mut stream = self.stream();
        if stream.position.epoch != position.epoch {
            let before_first = batches.first().map_or(position.seq, |(first_seq, _)| first_seq - 1);
            *stream = Stream::at(Position { epoch: position.epoch.clone(), seq: before_first });
        }
        for (first_seq, messages) in batches {
            if first_seq > stream.position.seq + 1 {
                // What is kept has no gaps. Watchers see this one in the number of the next frame.
                stream.kept.clear();
                stream.kept_messages = 0;
                stream.position.seq = first_seq - 1;
            }
            if first_seq == stream.position.seq + 1 {
                self.send(&mut stream, first_seq, &messages);
            }
        }
        drop(stream);
        self.0.moved.send_replace(());
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

    /// Whether there is a stream: without the database there is none yet.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.stream().has_come_to(None)
    }

    /// Returns when the stream is here that somebody knows a place of, who may have it from a server that is ahead of this one.
    pub async fn comes_to(&self, known: Option<&Position>) {
        let mut moved = self.0.moved.subscribe();
        if self.stream().has_come_to(known) {
            return;
        }
        // However many wait, it is looked for once.
        self.0.behind.notify_one();
        // It can't be closed while this one is there.
        let _ = moved.wait_for(|()| self.stream().has_come_to(known)).await;
    }

    /// Begins to watch, after the place that is known, if any.
    #[must_use]
    pub fn subscribe(&self, known: Option<&Position>) -> Subscription {
        // Under the lock, so that nothing is sent between the look at what is kept and the first frame that comes.
        let stream = self.stream();
        let frames = stream.frames.subscribe();
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

    /// How many watch, or wait for the stream.
    #[must_use]
    pub fn watchers(&self) -> usize {
        self.stream().frames.receiver_count() + self.0.moved.receiver_count()
    }

    fn send(&self, stream: &mut Stream, first_seq: i64, messages: &[String]) {
        for frame in Frame::of(first_seq, messages) {
            let frame = Arc::new(frame);
            stream.position.seq = frame.last_seq();
            stream.kept_messages += frame.ends.len();
            stream.kept.push_back(Arc::clone(&frame));
            // Nobody may be watching.
            let _ = stream.frames.send(frame);
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

    /// A hub that knows the first five messages of a stream, in batches of one.
    fn hub() -> Hub {
        let hub = Hub::default();
        hub.catch_up(&place("a", 5), (1..=5).map(batch).collect());
        hub
    }

    fn place(epoch: &str, seq: i64) -> Position {
        Position { epoch: epoch.to_owned(), seq }
    }

    fn batch(seq: i64) -> (i64, Vec<String>) {
        (seq, vec![seq.to_string()])
    }

    fn firsts(subscription: &Subscription) -> Vec<i64> {
        subscription.missed.iter().map(|frame| frame.first_seq).collect()
    }

    #[test]
    fn where_batches_are_not_stored_any_more_it_goes_on_after_them_and_recovers_nobody_from_before() {
        let hub = hub();
        let mut watching = hub.subscribe(Some(&place("a", 5)));
        hub.catch_up(&place("a", 9), vec![batch(8), batch(9)]);
        assert_eq!(hub.position(), place("a", 9));
        assert_eq!(watching.frames.try_recv().unwrap().first_seq, 8, "who watches sees the gap in the number");
        assert!(!hub.subscribe(Some(&place("a", 5))).recovered);
        let back = hub.subscribe(Some(&place("a", 7)));
        assert_eq!((back.recovered, firsts(&back)), (true, vec![8, 9]));
    }

    #[test]
    fn another_stream_ends_those_who_watch_the_one_before() {
        let hub = hub();
        let mut watching = hub.subscribe(Some(&place("a", 3)));
        hub.catch_up(&place("b", 2), vec![batch(1), batch(2)]);
        assert!(matches!(watching.frames.try_recv(), Err(broadcast::error::TryRecvError::Closed)));
        assert!(!hub.subscribe(Some(&place("a", 3))).recovered);
        assert_eq!(firsts(&hub.subscribe(Some(&place("b", 0)))), [1, 2]);
    }

    #[tokio::test]
    async fn who_is_ahead_of_this_server_waits_until_it_is_there_and_has_it_looked_for_once() {
        let hub = hub();
        let ahead = place("a", 6);
        let waiting: Vec<_> = (0..100)
            .map(|_| {
                let (hub, ahead) = (hub.clone(), ahead.clone());
                tokio::spawn(async move { hub.comes_to(Some(&ahead)).await })
            })
            .collect();
        hub.behind().await;
        tokio::task::yield_now().await;
        hub.catch_up(&ahead, vec![batch(6)]);
        for one in waiting {
            one.await.unwrap();
        }
        assert!(hub.subscribe(Some(&ahead)).recovered);
        // One more at the most was asked for by those who came after the first.
        let more = tokio::time::timeout(std::time::Duration::from_millis(50), async {
            hub.behind().await;
            hub.behind().await;
        });
        assert!(more.await.is_err());
        let nothing = Hub::default();
        let waits = tokio::time::timeout(std::time::Duration::from_millis(50), nothing.comes_to(None));
        assert!(waits.await.is_err() && !nothing.is_known(), "before the database was read there is no stream");
    }
}
