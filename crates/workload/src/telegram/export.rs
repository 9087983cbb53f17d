//! The exports of Telegram Desktop: `result.json`, of one chat or of a whole account.
//!
//! The file is read twice and never held in memory: once to count, once for the messages, which go through a channel a batch at a time.

use std::{
    fmt,
    fs::File,
    io::{self, BufReader, Read},
    marker::PhantomData,
    path::PathBuf,
};

use chrono::TimeDelta;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;
use tokio::sync::mpsc;

use super::export_message::ExportedMessage;
use crate::messages::Incoming;

/// Messages that are handed over at once.
const BATCH: usize = 500;
/// Batches that wait to be stored.
const WAITING: usize = 2;

/// A batch of messages, and how many of the export were left out of it.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) messages: Vec<Incoming>,
    pub(crate) skipped: i64,
}

impl Batch {
    /// The same, sent later.
    pub(crate) fn later(mut self, by: TimeDelta) -> Self {
        for message in &mut self.messages {
            message.sent_at += by;
            message.edited_at = message.edited_at.map(|time| time + by);
        }
        self
    }
}

/// Why an export can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    #[error("{0} can't be read")]
    File(String, #[source] std::io::Error),
    #[error("{0} is no export of Telegram Desktop (result.json)")]
    Format(String, #[source] serde_json::Error),
}

/// Where an export is.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    /// A file.
    File(PathBuf),
    /// In the program.
    Bundled(&'static [u8]),
}

impl Input {
    fn open(&self) -> Result<Box<dyn Read>, ExportError> {
        Ok(match self {
            Self::File(path) => {
                let failed = |error| ExportError::File(self.to_string(), error);
                // Opening a pipe would wait for ever.
                if !path.metadata().map_err(failed)?.is_file() {
                    return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "it is no file")));
                }
                Box::new(File::open(path).map_err(failed)?)
            }
            Self::Bundled(bytes) => Box::new(*bytes),
        })
    }
}

impl fmt::Display for Input {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(formatter),
            Self::Bundled(_) => formatter.write_str("the sample export"),
        }
    }
}

/// Looks through the export and counts its messages, of any kind.
pub(crate) fn count(input: &Input) -> Result<i64, ExportError> {
    let mut counter = Counter(0);
    walk(input, &mut counter)?;
    Ok(counter.0)
}

/// Reads the export in a thread of its own. The channel ends with the file, or with an error.
pub(crate) fn read(input: Input) -> mpsc::Receiver<Result<Batch, ExportError>> {
    let (sender, batches) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        let mut batcher = Batcher { batch: Batch::default(), sender };
        let outcome = walk(&input, &mut batcher);
        // What was read before an error is kept. The reader may have gone.
        let _ = batcher.hand_over();
        if let Err(error) = outcome {
            let _ = batcher.sender.blocking_send(Err(error));
        }
    });
    batches
}

/// A chat, without its messages.
#[derive(Debug, Default)]
pub(super) struct Chat {
    pub(super) id: Option<i64>,
    pub(super) name: Option<String>,
    pub(super) kind: Option<String>,
}

impl Chat {
    /// The id that the Bot API has for it.
    pub(super) fn bot_api_id(&self) -> Option<i64> {
        let id = self.id?;
        Some(match self.kind.as_deref()? {
            "private_supergroup" | "public_supergroup" | "private_channel" | "public_channel" => -1_000_000_000_000 - id,
            "private_group" => -id,
            _ => id,
        })
    }
}

/// What is done with each message.
trait Sink {
    /// As what it is read.
    type Element: DeserializeOwned;

    fn take(&mut self, chat: &Chat, element: Self::Element) -> Result<(), &'static str>;
}

struct Counter(i64);

impl Sink for Counter {
    type Element = IgnoredAny;

    fn take(&mut self, chat: &Chat, _: IgnoredAny) -> Result<(), &'static str> {
        chat.bot_api_id().ok_or("the id and the type of a chat must come before its messages")?;
        self.0 += 1;
        Ok(())
    }
}

struct Batcher {
    batch: Batch,
    sender: mpsc::Sender<Result<Batch, ExportError>>,
}

impl Sink for Batcher {
    type Element = Value;

    fn take(&mut self, chat: &Chat, element: Value) -> Result<(), &'static str> {
        // One that is not as it should be costs no other.
        let message = serde_json::from_value::<ExportedMessage>(element).ok().and_then(|message| message.into_incoming(chat));
        match message {
            Some(message) => self.batch.messages.push(message),
            None => self.batch.skipped += 1,
        }
        if self.batch.messages.len() < BATCH { Ok(()) } else { self.hand_over() }
    }
}

impl Batcher {
    fn hand_over(&mut self) -> Result<(), &'static str> {
        self.sender.blocking_send(Ok(std::mem::take(&mut self.batch))).map_err(|_| "nobody reads any further")
    }
}

fn walk<S: Sink>(input: &Input, sink: &mut S) -> Result<(), ExportError> {
    let name = || input.to_string();
    let mut json = serde_json::Deserializer::from_reader(BufReader::with_capacity(1 << 16, input.open()?));
    let found = Node(sink).deserialize(&mut json).and_then(|found| json.end().map(|()| found));
    match found {
        Ok(true) => Ok(()),
        Ok(false) => Err(ExportError::Format(name(), serde_json::Error::custom("it has no list of messages"))),
        Err(error) => Err(ExportError::Format(name(), error)),
    }
}

/// An object of an export that is a chat, or holds chats. Gives whether there was a list of messages in it.
struct Node<'s, S>(&'s mut S);

impl<'de, S: Sink> DeserializeSeed<'de> for Node<'_, S> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, S: Sink> Visitor<'de> for Node<'_, S> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an export or a chat in it")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let (mut chat, mut found) = (Chat::default(), false);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "id" => chat.id = map.next_value()?,
                "name" => chat.name = map.next_value()?,
                "type" => chat.kind = map.next_value()?,
                "messages" => {
                    map.next_value_seed(List(|element| self.0.take(&chat, element), PhantomData))?;
                    found = true;
                }
                "chats" | "left_chats" => found |= map.next_value_seed(Node(self.0))?,
                "list" => found |= map.next_value_seed(Nodes(self.0))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

/// The chats of an account.
struct Nodes<'s, S>(&'s mut S);

impl<'de, S: Sink> DeserializeSeed<'de> for Nodes<'_, S> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, S: Sink> Visitor<'de> for Nodes<'_, S> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of chats")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<bool, A::Error> {
        let mut found = false;
        while let Some(one) = list.next_element_seed(Node(self.0))? {
            found |= one;
        }
        Ok(found)
    }
}

/// A list of which one element at a time is in memory.
struct List<F, T>(F, PhantomData<T>);

impl<'de, F, T> DeserializeSeed<'de> for List<F, T>
where
    F: FnMut(T) -> Result<(), &'static str>,
    T: Deserialize<'de>,
{
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F, T> Visitor<'de> for List<F, T>
where
    F: FnMut(T) -> Result<(), &'static str>,
    T: Deserialize<'de>,
{
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(element) = list.next_element()? {
            (self.0)(element).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}
