use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{AnalysisEvent, Json, NativeKind, TaskStatus};

/// A place in the stream of live messages. Sequence numbers of one epoch have no gaps; another epoch is another stream.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Position {
    /// Names the stream.
    pub epoch: String,
    /// The number of the last message that is known.
    pub seq: i64,
}

/// What a watcher asks for in the URL of `/ws`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WatchQuery {
    epoch: Option<String>,
    seq: Option<i64>,
    batch: Option<String>,
}

impl WatchQuery {
    /// The place that it knows, if it names all of it.
    #[must_use]
    pub fn known(&self) -> Option<Position> {
        self.epoch.clone().zip(self.seq).map(|(epoch, seq)| Position { epoch, seq })
    }

    /// Whether it wants arrays of messages.
    #[must_use]
    pub fn wants_arrays(&self) -> bool {
        self.batch.as_deref() == Some("1")
    }
}

/// A change of one execution, as `/ws` sends it and as the live feed shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LiveEvent {
    /// What happened.
    #[serde(rename = "type")]
    pub kind: NativeKind,
    /// The task type.
    pub task_name: String,
    /// The status that it gave.
    pub status: TaskStatus,
    /// When it happened, by the reporter's clock.
    #[serde(serialize_with = "crate::time::write")]
    pub timestamp: DateTime<Utc>,
    /// The execution.
    pub data: LiveData,
    /// Its number in the stream.
    #[serde(default)]
    pub seq: i64,
}

/// The execution in a [`LiveEvent`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LiveData {
    /// The id of the row in the execution log.
    pub task_id: i64,
    /// The broker's id.
    pub broker_task_id: Option<String>,
    /// The attempt, from 1.
    pub attempt: i32,
    /// How long it ran.
    pub duration_ms: Option<i64>,
    /// Why it failed, cut after 500 characters.
    pub error_message: Option<String>,
    /// What it was called with; left out of live messages where it is long.
    pub params: Option<Json>,
    /// The time that counts for windows and filters.
    #[serde(serialize_with = "crate::time::write")]
    pub created_at: DateTime<Utc>,
    /// What the execution was before, so that counts can be moved; none where it is new.
    pub previous: Option<Previous>,
    /// Written by SQL, not by a reporter: counts must be fetched again instead of moved.
    #[serde(default, skip_serializing_if = "is_false")]
    pub refetch: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// How an execution stood before a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Previous {
    /// The task type that it counted under.
    pub task_name: String,
    /// Its status.
    pub status: TaskStatus,
    /// Its duration.
    pub duration_ms: Option<i64>,
    /// Its time.
    #[serde(serialize_with = "crate::time::write")]
    pub created_at: DateTime<Utc>,
}

impl LiveEvent {
    /// The type of event that a status stands for.
    #[must_use]
    pub const fn kind_of(status: TaskStatus) -> NativeKind {
        match status {
            TaskStatus::Pending => NativeKind::TaskQueued,
            TaskStatus::Running => NativeKind::TaskStarted,
            TaskStatus::Success => NativeKind::TaskCompleted,
            TaskStatus::Failed => NativeKind::TaskFailed,
        }
    }
}

/// How the server itself is: told whenever it changes, and at the start of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServerState {
    /// Whether Postgres answers.
    pub database_up: bool,
    /// Since when it doesn't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_down_since: Option<DateTime<Utc>>,
    /// Events that are durable in the spool and not yet in Postgres.
    pub events_waiting: u64,
    /// What those who run the server should know, each in a sentence or two.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
}

/// A message of the server on `/ws`.
#[derive(Debug, Clone, PartialEq)]
pub enum LiveMessage {
    /// A change of one execution.
    Event(Box<LiveEvent>),
    /// The first message: where the stream stands, and whether all that was missed follows.
    Hello {
        /// Where the stream stands.
        position: Position,
        /// All events after the client's position follow, in order; otherwise the client must fetch its state again.
        recovered: bool,
    },
    /// The client was too slow: what lies between is not sent, the client must fetch its state again.
    Gap {
        /// The first number that is missing.
        from: i64,
        /// The last number that is missing.
        to: i64,
    },
    /// Rows changed by SQL in a way that is no event (a row deleted, a column corrected): fetch state again.
    Changed {
        /// Its number in the stream.
        seq: i64,
    },
    /// What happened to an analysis run.
    Analysis(Box<AnalysisEvent>),
    /// How the server is.
    Server(ServerState),
    /// A type that this version doesn't know.
    Other,
}

/// The messages beside task events, as JSON.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Control {
    Hello { epoch: String, seq: i64, recovered: bool },
    Gap { from: i64, to: i64 },
    Changed { seq: i64 },
    Server(ServerState),
}

impl LiveMessage {
    /// Reads one JSON message.
    ///
    /// # Errors
    /// The text is no message of `/ws`.
    pub fn decode(text: &str) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Peek<'a> {
            #[serde(rename = "type", borrow, default)]
            kind: std::borrow::Cow<'a, str>,
            /// Messages about analysis runs have this in place of a type.
            event: Option<serde::de::IgnoredAny>,
        }
        let peek: Peek<'_> = serde_json::from_str(text)?;
        Ok(match peek.kind.as_ref() {
            "task_queued" | "task_started" | "task_completed" | "task_failed" => {
                Self::Event(Box::new(serde_json::from_str(text)?))
            }
            "hello" | "gap" | "changed" | "server" => match serde_json::from_str(text)? {
                Control::Hello { epoch, seq, recovered } => Self::Hello { position: Position { epoch, seq }, recovered },
                Control::Gap { from, to } => Self::Gap { from, to },
                Control::Changed { seq } => Self::Changed { seq },
                Control::Server(state) => Self::Server(state),
            },
            "" if peek.event.is_some() => serde_json::from_str(text).map_or(Self::Other, |event| Self::Analysis(Box::new(event))),
            _ => Self::Other,
        })
    }

    /// Reads a frame of a connection that asked for `batch=1`: an array of messages.
    ///
    /// # Errors
    /// The text is no array of messages of `/ws`.
    pub fn decode_batch(text: &str) -> Result<Vec<Self>, serde_json::Error> {
        let messages: Vec<&serde_json::value::RawValue> = serde_json::from_str(text)?;
        messages.into_iter().map(|message| Self::decode(message.get())).collect()
    }

    /// Writes the message as JSON.
    ///
    /// # Errors
    /// Never for a message of this version; [`LiveMessage::Other`] can't be written.
    pub fn encode(self) -> Result<String, serde_json::Error> {
        let control = match self {
            Self::Event(event) => return serde_json::to_string(&event),
            Self::Analysis(event) => return serde_json::to_string(&event),
            Self::Hello { position, recovered } => Control::Hello { epoch: position.epoch, seq: position.seq, recovered },
            Self::Gap { from, to } => Control::Gap { from, to },
            Self::Changed { seq } => Control::Changed { seq },
            Self::Server(state) => Control::Server(state),
            Self::Other => return Err(serde::ser::Error::custom("a message of an unknown type can't be written")),
        };
        serde_json::to_string(&control)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AnalysisEventKind;

    #[test]
    fn messages_round_trip() {
        let event = LiveEvent {
            kind: NativeKind::TaskFailed,
            task_name: "t".to_owned(),
            status: TaskStatus::Failed,
            timestamp: DateTime::UNIX_EPOCH,
            data: LiveData {
                task_id: 7,
                broker_task_id: Some("a".to_owned()),
                attempt: 1,
                duration_ms: Some(3),
                error_message: Some("no".to_owned()),
                params: Some(Json::string("x")),
                created_at: DateTime::UNIX_EPOCH,
                previous: None,
                refetch: false,
            },
            seq: 9,
        };
        let messages = [
            LiveMessage::Event(Box::new(event)),
            LiveMessage::Hello { position: Position { epoch: "e".to_owned(), seq: 1 }, recovered: true },
            LiveMessage::Gap { from: 1, to: 2 },
            LiveMessage::Changed { seq: 3 },
            LiveMessage::Analysis(Box::new(AnalysisEvent {
                event: AnalysisEventKind::RunStarted,
                data: Json::string("a run"),
                seq: 4,
            })),
            LiveMessage::Server(ServerState {
                database_up: true,
                database_down_since: None,
                events_waiting: 0,
                notices: Vec::new(),
            }),
        ];
        let texts: Vec<_> = messages.iter().map(|message| message.clone().encode().unwrap()).collect();
        assert_eq!(LiveMessage::decode_batch(&format!("[{}]", texts.join(","))).unwrap(), messages);
        assert_eq!(LiveMessage::decode(r#"{"type": "run_started"}"#).unwrap(), LiveMessage::Other);
        assert_eq!(LiveMessage::decode(r#"{"event": "run_started"}"#).unwrap(), LiveMessage::Other);
    }
}
