use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Attribution, EventKind, Finish, Json, Source, TaskEvent, limits, taskiq, time};

/// An event as `POST /api/v1/events` takes it, in a JSON array or one a line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NativeEvent {
    /// What happened.
    #[serde(rename = "type")]
    pub kind: NativeKind,
    /// The broker's id of the task, the same for all its attempts.
    pub task_id: String,
    /// The task type. May be left out of `task_completed` and `task_failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_name: Option<String>,
    /// When it happened: ISO 8601, UTC where it has no offset.
    pub timestamp: String,
    /// The reporter's own id of the event. It comes back in the answer, beside what became of the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// How attempts are told apart.
    #[serde(default, skip_serializing_if = "Numbering::is_default")]
    pub numbering: Numbering,
    /// The attempt, from 1. Passed over where the numbering is TaskIQ's.
    #[serde(default = "first_attempt")]
    pub attempt: i32,
    /// In `task_completed` and `task_failed`: when it started. It stands for a `task_started` that was lost, and says which run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// How often the task may be retried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<i32>,
    /// The queue that it waits or waited in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Who runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// Metadata of the reporter's choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Json>,
    /// What the task was called with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Json>,
    /// How long it ran, in milliseconds; otherwise finish minus start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<f64>,
    /// The type of the error: an exception's class, with its module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// The whole stack trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_traceback: Option<String>,
    /// What it returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Json>,
}

/// How the attempts of a task are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Numbering {
    /// By `attempt`.
    #[default]
    Attempt,
    /// By TaskIQ's labels `_retries` and `X-Taskiq-requeue`, and by the start where a broker delivers a message again.
    Taskiq,
}

impl Numbering {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
    fn is_default(&self) -> bool {
        *self == Self::Attempt
    }
}

/// The four types of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum NativeKind {
    /// It waits for a worker.
    TaskQueued,
    /// A worker runs it.
    TaskStarted,
    /// It returned.
    TaskCompleted,
    /// It raised, timed out or was cancelled.
    TaskFailed,
}

const fn first_attempt() -> i32 {
    1
}

impl NativeEvent {
    /// Reads one event of a batch.
    ///
    /// # Errors
    /// A sentence that names the field and what is allowed.
    pub fn decode(text: &str, now: DateTime<Utc>) -> Result<TaskEvent, String> {
        Self::decode_with_id(text, now).1
    }

    /// Reads one event of a batch, and the id that its reporter gave it, if it can be read.
    pub fn decode_with_id(text: &str, now: DateTime<Utc>) -> (Option<String>, Result<TaskEvent, String>) {
        if text.len() > limits::EVENT {
            let error = format!("an event must be at most {} bytes long, this one has {}", limits::EVENT, text.len());
            return (None, Err(error));
        }
        // serde would read an array as the fields of the struct, too.
        if text.trim_start().starts_with('[') {
            return (None, Err("an event must be a JSON object, not an array".to_owned()));
        }
        match serde_json::from_str::<Self>(text) {
            Ok(mut event) => {
                let id = event.event_id.take().filter(|id| id.len() <= limits::NAME);
                (id, event.into_event().and_then(|event| limits::apply(event, now)))
            }
            Err(error) => (None, Err(error.to_string())),
        }
    }

    fn into_event(self) -> Result<TaskEvent, String> {
        let time =
            |field: &str, text: &str| time::parse(text).ok_or_else(|| format!("{field} must be an ISO 8601 time, not {text:?}"));
        let at = time("timestamp", &self.timestamp)?;
        let started_at = self.started_at.as_deref().map(|text| time("started_at", text)).transpose()?;
        if started_at.is_some_and(|start| start > at) {
            return Err("started_at must not be after timestamp".to_owned());
        }
        if self.attempt < 1 {
            return Err(format!("attempt must be 1 or more, not {}", self.attempt));
        }
        if self.duration_ms.is_some_and(|ms| !(0.0..1e15).contains(&ms)) {
            return Err("duration_ms must be 0 or more".to_owned());
        }
        let finish = |failed| {
            EventKind::Finished(Finish {
                failed,
                started_at,
                duration_ms: self.duration_ms.map(|ms| ms.round() as i64),
                error_type: self.error_type.clone(),
                error_message: self.error_message.clone(),
                error_traceback: self.error_traceback.clone(),
                result: self.result.clone(),
            })
        };
        let kind = match self.kind {
            NativeKind::TaskQueued => EventKind::Queued,
            NativeKind::TaskStarted => EventKind::Started,
            NativeKind::TaskCompleted => finish(false),
            NativeKind::TaskFailed => finish(true),
        };
        if self.task_name.as_ref().is_none_or(String::is_empty) && !matches!(kind, EventKind::Finished(_)) {
            return Err("task_name must be given".to_owned());
        }
        let (source, attribution) = match self.numbering {
            Numbering::Attempt => (Source::Native, Attribution::Attempt(self.attempt)),
            Numbering::Taskiq => (Source::Taskiq, taskiq::attribution(self.labels.as_ref())),
        };
        Ok(TaskEvent {
            source,
            task_id: self.task_id,
            attribution,
            at,
            task_name: self.task_name,
            max_retries: self.max_retries,
            queue: self.queue,
            worker: self.worker,
            labels: self.labels,
            params: self.params,
            kind,
        })
    }
}

/// The answer to a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BatchOutcome {
    /// How many events are durable now.
    pub accepted: usize,
    /// How many were refused.
    pub rejected: usize,
    /// One entry an event, in the order of the batch.
    pub results: Vec<BatchItem>,
}

/// What became of one event of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BatchItem {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// The id that the reporter gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// Whether it was kept.
    pub accepted: bool,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &str) -> Result<TaskEvent, String> {
        NativeEvent::decode(text, time::parse("2026-11-22").unwrap())
    }

    #[test]
    fn a_whole_event_is_taken() {
        let event = decode(
            r#"{"type": "task_failed", "task_id": "7", "task_name": "t", "timestamp": "2026-11-21T10:30:00Z", "attempt": 2,
                "duration_ms": 320.4, "error_message": "no", "params": {"n": 1180591620717411303424}}"#,
        )
        .unwrap();
        assert_eq!(event.attribution, Attribution::Attempt(2));
        assert_eq!(event.params.unwrap().as_str(), r#"{"n": 1180591620717411303424}"#);
        let EventKind::Finished(finish) = event.kind else { panic!("finished") };
        assert_eq!((finish.failed, finish.duration_ms), (true, Some(320)));
    }

    #[test]
    fn an_event_may_number_its_attempt_as_taskiq_does() {
        let (id, event) = NativeEvent::decode_with_id(
            r#"{"type": "task_failed", "event_id": "e1", "numbering": "taskiq", "task_id": "7", "timestamp": "2026-11-21T10:30:00Z",
                "started_at": "2026-11-21T10:29:59Z", "labels": {"_retries": 2, "X-Taskiq-requeue": "1"}, "error_type": "builtins.ValueError"}"#,
            time::parse("2026-11-22").unwrap(),
        );
        let event = event.unwrap();
        assert_eq!((id.as_deref(), event.source), (Some("e1"), Source::Taskiq));
        assert_eq!(event.attribution, Attribution::Counters { retries: 2, requeues: 1 });
        let EventKind::Finished(finish) = event.kind else { panic!("finished") };
        assert_eq!(finish.started_at, time::parse("2026-11-21T10:29:59Z"));
        assert_eq!(finish.error_type.as_deref(), Some("builtins.ValueError"));
    }

    #[test]
    fn bad_events_name_the_field() {
        let cases = [
            (r#"{"type": "task_started", "task_name": "t", "timestamp": "2026-11-21"}"#, "task_id"),
            (r#"{"type": "task_started", "task_id": "", "task_name": "t", "timestamp": "2026-11-21"}"#, "task_id"),
            (r#"{"type": "task_started", "task_id": "1", "timestamp": "2026-11-21"}"#, "task_name"),
            (r#"{"type": "task_started", "task_id": "1", "task_name": "t", "timestamp": "soon"}"#, "timestamp"),
            (r#"{"type": "task_started", "task_id": "1", "task_name": "t", "timestamp": "2027-11-21"}"#, "timestamp"),
            (
                r#"{"type": "task_failed", "task_id": "1", "timestamp": "2026-11-21", "started_at": "2026-11-21T01:00"}"#,
                "started_at",
            ),
            (
                r#"{"type": "task_failed", "task_id": "1", "timestamp": "2026-11-21", "started_at": "0001-01-01T00:00:00Z"}"#,
                "started_at",
            ),
            (r#"["task_started", "1", "t", "2026-11-21"]"#, "not an array"),
            (r#"{"type": "exploded", "task_id": "1", "task_name": "t", "timestamp": "2026-11-21"}"#, "task_completed"),
            (r#"{"type": "task_started", "task_id": "1", "task_name": "t", "timestamp": "2026-11-21", "attempt": 0}"#, "attempt"),
            (r#"{"type": "task_completed", "task_id": "1", "timestamp": "2026-11-21", "duration_ms": -1}"#, "duration_ms"),
        ];
        for (text, field) in cases {
            let error = decode(text).unwrap_err();
            assert!(error.contains(field), "{text}: {error}");
        }
    }

    #[test]
    fn long_texts_are_cut_with_a_marker() {
        let traceback = "é".repeat(limits::TEXT);
        let event = decode(&format!(
            r#"{{"type": "task_failed", "task_id": "1", "timestamp": "2026-11-21", "error_traceback": "{traceback}"}}"#
        ))
        .unwrap();
        let EventKind::Finished(finish) = event.kind else { panic!("finished") };
        assert!(finish.error_traceback.unwrap().ends_with(&format!("(cut: {} bytes in all)", traceback.len())));
    }
}
