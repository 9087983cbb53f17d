//! A watcher's model of the stream: what it must be told next, and whether it was.

use serde::Deserialize;
use taskscope_wire::Position;

use super::record::Record;

/// Messages that an instance surely still has, also one that was just started (it loads 10,000).
const SURELY_KEPT: i64 = 9000;

/// A live message, as far as its place matters.
#[derive(Debug, Deserialize)]
pub(super) struct Head<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(default)]
    seq: Option<i64>,
    #[serde(default)]
    epoch: Option<&'a str>,
    #[serde(default)]
    recovered: bool,
    #[serde(default)]
    from: i64,
    #[serde(default)]
    to: i64,
}

/// What one watcher was told in all its connections.
#[derive(Debug, Default)]
pub(super) struct Follower {
    /// Where it is.
    pub(super) place: Option<Position>,
    /// Whether this connection has begun with a hello.
    pub(super) greeted: bool,
    /// What came of it.
    pub(super) told: Told,
}

/// What watchers were told.
#[derive(Debug, Default, Clone)]
pub struct Told {
    /// Messages with a number.
    pub messages: u64,
    /// Times that a watcher came back and got all that it had missed.
    pub recovered: u64,
    /// Messages that came so.
    pub caught_up: u64,
    /// Times that a watcher that came back was told that it must load anew.
    pub given_up: u64,
    /// Times that a watcher that was too slow was told what it missed.
    pub gaps: u64,
    /// What was untold, out of order, doubled or false.
    pub flaws: Vec<String>,
}

impl Told {
    /// Adds what another watcher was told.
    pub(super) fn add(&mut self, other: Self) {
        self.messages += other.messages;
        self.recovered += other.recovered;
        self.caught_up += other.caught_up;
        self.given_up += other.given_up;
        self.gaps += other.gaps;
        self.flaws.extend(other.flaws);
    }
}

impl Follower {
    /// Its number in the stream; 0 before it has a place.
    pub(super) fn seq(&self) -> i64 {
        self.place.as_ref().map_or(0, |place| place.seq)
    }

    /// Begins a new connection.
    pub(super) fn reconnect(&mut self) {
        self.greeted = false;
    }

    /// Hears a message, of which this is the text.
    pub(super) fn hear(&mut self, text: &str, record: &Record) {
        let head: Head<'_> = match serde_json::from_str(text) {
            Ok(head) => head,
            Err(error) => return self.flaw(format!("not understood: {error}: {text}")),
        };
        match head.kind {
            "hello" => self.greet(&head, record),
            "server" => {}
            _ if !self.greeted => self.flaw(format!("before the hello: {text}")),
            "gap" => self.skip(head.from, head.to),
            _ => self.take(head.seq, text, record),
        }
    }

    fn greet(&mut self, head: &Head<'_>, record: &Record) {
        let (Some(epoch), Some(seq)) = (head.epoch, head.seq) else { return self.flaw("a hello without a place".to_owned()) };
        if std::mem::replace(&mut self.greeted, true) {
            return self.flaw("a second hello".to_owned());
        }
        match &self.place {
            None => self.place = Some(Position { epoch: epoch.to_owned(), seq }),
            Some(place) if head.recovered => {
                if place.epoch != epoch || place.seq > seq {
                    self.flaw(format!("recovered at {epoch} {seq} from {place:?}"));
                }
                self.told.recovered += 1;
                self.told.caught_up += seq.abs_diff(self.seq());
            }
            Some(place) => {
                if place.epoch == epoch && place.seq >= record.floor() && place.seq + SURELY_KEPT > seq {
                    self.flaw(format!("given up at {seq}, though {} is still kept", place.seq));
                }
                self.told.given_up += 1;
                self.place = Some(Position { epoch: epoch.to_owned(), seq });
            }
        }
    }

    fn skip(&mut self, from: i64, to: i64) {
        if from != self.seq() + 1 || to < from {
            self.flaw(format!("a gap from {from} to {to} was told at {}", self.seq()));
        }
        self.told.gaps += 1;
        self.advance(to);
    }

    fn take(&mut self, seq: Option<i64>, text: &str, record: &Record) {
        let Some(seq) = seq else { return self.flaw(format!("without a number: {text}")) };
        let expected = self.seq() + 1;
        match seq {
            _ if seq < expected => self.flaw(format!("{seq} came again, or late, at {}", self.seq())),
            _ if seq > expected => self.flaw(format!("{expected} to {} were missed and not told", seq - 1)),
            _ => {}
        }
        self.told.messages += 1;
        if let Err(flaw) = record.tell(seq, text) {
            self.flaw(flaw);
        }
        self.advance(seq.max(expected - 1));
    }

    fn advance(&mut self, seq: i64) {
        if let Some(place) = &mut self.place {
            place.seq = seq;
        }
    }

    fn flaw(&mut self, what: String) {
        self.told.flaws.push(what);
    }
}

#[cfg(test)]
#[path = "follower_tests.rs"]
mod tests;
