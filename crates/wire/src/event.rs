use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};

use crate::Json;

/// A report that an execution was queued, started or finished, as the recorder takes it from any client. It is also the
/// form in which the spool keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskEvent {
    /// The protocol that it came by. Executions of one task id from two sources are kept apart.
    pub source: Source,
    /// The broker's id of the task, the same for all its attempts.
    pub task_id: String,
    /// Which attempt it speaks of.
    pub attribution: Attribution,
    /// When it happened, by the reporter's clock, in whole microseconds.
    #[serde(serialize_with = "crate::time::write")]
    pub at: DateTime<Utc>,
    /// The task type; TaskIQ's *executed* has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_name: Option<String>,
    /// How often the task may be retried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<i32>,
    /// The queue that it waits or waited in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Who runs it: for TaskIQ's stock middlewares the configured broker name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// The client's metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Json>,
    /// What the task was called with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Json>,
    /// What happened.
    pub kind: EventKind,
}

impl TaskEvent {
    /// The earliest time that it speaks of: its own, or when the run began that it ends.
    #[must_use]
    pub fn earliest(&self) -> DateTime<Utc> {
        match &self.kind {
            EventKind::Finished(Finish { started_at: Some(start), .. }) => self.at.min(*start),
            EventKind::Queued | EventKind::Started | EventKind::Finished(_) => self.at,
        }
    }
}

/// The protocol of a reporter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// `POST /api/v1/events`: the reporter numbers its attempts.
    Native,
    /// TaskIQ's stock middlewares: attempts have to be found out.
    Taskiq,
    /// A row that somebody wrote by SQL.
    #[default]
    Sql,
}

impl Source {
    /// Reads the word in the database.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Native, Self::Taskiq, Self::Sql].into_iter().find(|source| source.as_str() == word)
    }

    /// The word in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Taskiq => "taskiq",
            Self::Sql => "sql",
        }
    }
}

/// How an event names its attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attribution {
    /// By its number, from 1.
    Attempt(i32),
    /// By TaskIQ's labels `_retries` and `X-Taskiq-requeue`.
    Counters {
        /// Retries before this attempt.
        retries: i32,
        /// Requeues before this attempt.
        requeues: i32,
    },
    /// Not at all: TaskIQ's *executed*.
    Unknown,
}

/// What happened to an execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// It waits for a worker.
    Queued,
    /// A worker runs it.
    Started,
    /// It ended.
    Finished(Finish),
}

/// The end of an execution.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Finish {
    /// Whether it failed. A failure may come without any message.
    pub failed: bool,
    /// When the run that ended here started, where the client says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<DateTime<Utc>>,
    /// How long it ran, in milliseconds, where the client says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<i64>,
    /// The type of the error: an exception's class, with its module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// Why it failed, in one line or a few; for TaskIQ the `repr` of the exception.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// The stack trace, whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_traceback: Option<String>,
    /// A preview of what it returned. A null that it returned is not the same as nothing known.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub result: Option<Json>,
}

/// Reads what is there, a null too.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}

/// What one event may hold. Longer names are refused, longer texts are cut with a marker.
pub mod limits {
    use chrono::{DateTime, TimeDelta, Utc};
    use serde_json::Value;

    use super::{EventKind, Json, TaskEvent};
    use crate::taskiq;

    /// Bytes of a task id, a task name, a queue or a worker.
    pub const NAME: usize = 1024;
    /// Bytes of an error message or a traceback.
    pub const TEXT: usize = 64 * 1024;
    /// Bytes of params or labels.
    pub const JSON: usize = 64 * 1024;
    /// Bytes of a result's preview.
    pub const RESULT: usize = 4 * 1024;
    /// How far ahead of ours a reporter's clock may be.
    pub const CLOCK_AHEAD: TimeDelta = TimeDelta::days(1);
    /// Bytes of a whole native event in a batch.
    pub const EVENT: usize = 256 * 1024;

    /// Checks what can't be cut and cuts what can.
    ///
    /// # Errors
    /// A sentence that names the field and what is allowed.
    pub fn apply(mut event: TaskEvent, now: DateTime<Utc>) -> Result<TaskEvent, String> {
        if event.task_id.is_empty() {
            return Err("task_id must not be empty".to_owned());
        }
        let error_type = match &event.kind {
            EventKind::Finished(finish) => finish.error_type.as_ref(),
            EventKind::Queued | EventKind::Started => None,
        };
        let names = [
            ("task_id", Some(&event.task_id)),
            ("error_type", error_type),
            ("task_name", event.task_name.as_ref()),
            ("queue", event.queue.as_ref()),
            ("worker", event.worker.as_ref()),
        ];
        for (field, text) in names {
            if text.is_some_and(|text| text.len() > NAME) {
                return Err(format!("{field} must be at most {NAME} bytes long"));
            }
            if text.is_some_and(|text| text.contains('\0')) {
                return Err(format!("{field} must not contain a NUL character"));
            }
        }
        check_time("timestamp", event.at, now)?;
        check_time("started_at", event.earliest(), now)?;
        event.params = event.params.map(|json| cut_json(json, JSON));
        event.labels = event.labels.map(cut_labels);
        if let EventKind::Finished(finish) = &mut event.kind {
            finish.error_message = finish.error_message.take().map(cut_text);
            finish.error_traceback = finish.error_traceback.take().map(cut_text);
            finish.result = finish.result.take().map(|json| cut_json(json, RESULT));
        }
        Ok(event)
    }

    fn check_time(field: &str, at: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), String> {
        if at > now + CLOCK_AHEAD {
            return Err(format!("{field} must not be more than a day ahead of the server's clock, but is {at}"));
        }
        if at < DateTime::UNIX_EPOCH {
            return Err(format!("{field} must not be before 1970, but is {at}"));
        }
        Ok(())
    }

    fn cut_text(text: String) -> String {
        let text = if text.contains('\0') { text.replace('\0', "\\u0000") } else { text };
        if text.len() <= TEXT {
            return text;
        }
        format!("{}\n… (cut: {} bytes in all)", &text[..text.floor_char_boundary(TEXT)], text.len())
    }

    fn cut_json(json: Json, most: usize) -> Json {
        if json.as_str().len() <= most { json } else { Json::string(&beginning(&json, most)) }
    }

    /// What TaskIQ's attempts are told apart by stays, since it is read from the log again.
    fn cut_labels(labels: Json) -> Json {
        if labels.as_str().len() <= JSON {
            return labels;
        }
        let mut kept = taskiq::counters(&labels);
        if kept.is_empty() {
            return cut_json(labels, JSON);
        }
        // In a JSON string, a byte of JSON takes two at the most.
        kept.insert("labels".to_owned(), beginning(&labels, JSON / 4).into());
        Value::Object(kept).into()
    }

    fn beginning(json: &Json, most: usize) -> String {
        let text = json.as_str();
        format!("{} … (cut: {} bytes in all)", &text[..text.floor_char_boundary(most)], text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_null_that_was_returned_survives_the_spool() {
        for result in [Some(Json::from(serde_json::Value::Null)), Some(Json::string("x")), None] {
            let finish = Finish { result, ..Finish::default() };
            let kept = serde_json::to_string(&finish).unwrap();
            assert_eq!(serde_json::from_str::<Finish>(&kept).unwrap(), finish, "{kept}");
        }
    }
}
