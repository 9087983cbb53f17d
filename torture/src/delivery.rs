//! One parcel of events to the server, and what it answered.

use std::{sync::atomic::Ordering, time::Duration};

use chrono::{DateTime, Utc};
use reqwest::{
    Client, RequestBuilder, Response, StatusCode,
    header::{self, RETRY_AFTER},
};
use serde_json::{Value, json};
use taskscope_wire::BatchOutcome;

use crate::{
    ledger::Ledger,
    story::{Event, Parcel, Protocol, Step, Story},
};

/// What the server may know a reporter by; any is accepted where none is configured.
pub(crate) const TOKEN: &str = "torture";
/// How long an answer may take. A connection that is half-open never gives one.
const PATIENCE: Duration = Duration::from_secs(3);

/// The way to the server's door.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    http: Client,
    base: String,
}

/// What became of a parcel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is owed.
    Taken,
    /// It was not taken.
    Refused,
    /// It may have been taken.
    None,
}

impl Door {
    /// A way to a server on this machine's port.
    ///
    /// # Errors
    /// There can't be an HTTP client.
    pub(crate) fn new(port: u16) -> anyhow::Result<Self> {
        let http = Client::builder().no_proxy().timeout(PATIENCE).build()?;
        Ok(Self { http, base: format!("http://127.0.0.1:{port}") })
    }

    /// Sends the events of a parcel, and notes what is owed.
    pub(crate) async fn deliver(&self, ledger: &Ledger, number: u32, story: &Story, parcel: &Parcel) -> Answer {
        let mut answer = Answer::Taken;
        for events in story.requests(parcel) {
            let set = events.iter().fold(0, |set, event| set | event.bit());
            ledger.offer(number, set);
            let sent = self.request(story, events).send().await;
            match read(ledger, story, sent).await {
                Answer::Taken => ledger.owe(number, set),
                other => answer = other,
            }
        }
        answer
    }

    fn request(&self, story: &Story, events: &[Event]) -> RequestBuilder {
        let (path, body) = match (story.protocol, events) {
            (Protocol::Taskiq, [event]) => story.taskiq(*event),
            _ => ("/api/v1/events".to_owned(), events.iter().map(|event| story.native(*event)).collect()),
        };
        let request = self.http.post(format!("{}{path}", self.base)).header("access-token", TOKEN);
        request.header(header::CONTENT_TYPE, "application/json").body(body.to_string())
    }
}

/// Events are sound, so that there are two answers only: taken, or come again later.
async fn read(ledger: &Ledger, story: &Story, sent: Result<Response, reqwest::Error>) -> Answer {
    let answers = &ledger.answers;
    let none = || {
        answers.unanswered.fetch_add(1, Ordering::Relaxed);
        Answer::None
    };
    let Ok(response) = sent else { return none() };
    let (status, retry_after) = (response.status(), response.headers().contains_key(RETRY_AFTER));
    let Ok(body) = response.text().await else { return none() };
    if status == StatusCode::SERVICE_UNAVAILABLE && retry_after {
        answers.refused.fetch_add(1, Ordering::Relaxed);
        return Answer::Refused;
    }
    let refuses = |outcome: BatchOutcome| outcome.rejected > 0 || outcome.results.iter().any(|item| !item.accepted);
    let sound = match story.protocol {
        Protocol::Native => serde_json::from_str(&body).is_ok_and(|outcome| !refuses(outcome)),
        Protocol::Taskiq => true,
    };
    if !status.is_success() || !sound {
        answers.note_wrong(format!("{}: {status} {body}", story.task_id));
        return Answer::Refused;
    }
    answers.taken.fetch_add(1, Ordering::Relaxed);
    Answer::Taken
}

impl Story {
    /// TaskIQ's middlewares send one event a request.
    fn requests<'a>(&self, parcel: &'a Parcel) -> std::slice::Chunks<'a, Event> {
        parcel.events.chunks(if self.protocol == Protocol::Taskiq { 1 } else { parcel.events.len() })
    }

    fn native(&self, event: Event) -> Value {
        let attempt = &self.attempts[usize::from(event.attempt)];
        let base = json!({ "task_id": self.task_id, "task_name": self.task_name, "attempt": event.attempt + 1 });
        let with = |kind: &str, at: DateTime<Utc>, more: Value| {
            let mut event = base.clone();
            event["type"] = kind.into();
            event["timestamp"] = time(at).into();
            for (name, value) in more.as_object().into_iter().flatten() {
                event[name] = value.clone();
            }
            event
        };
        match (event.step, &attempt.error) {
            (Step::Queued, _) => with("task_queued", attempt.queued_at, json!({ "params": self.params })),
            (Step::Started, _) => with("task_started", attempt.started_at, json!({ "params": self.params })),
            (Step::Finished, None) => with("task_completed", attempt.completed_at, Value::Null),
            (Step::Finished, Some(error)) => with("task_failed", attempt.completed_at, json!({ "error_message": error })),
        }
    }

    /// The path and the body.
    fn taskiq(&self, event: Event) -> (String, Value) {
        let attempt = &self.attempts[usize::from(event.attempt)];
        let labels = json!({ "_retries": event.attempt });
        let described =
            json!({ "args": [], "kwargs": self.params, "labels": labels, "taskName": self.task_name, "worker": null });
        let with = |field: &str, at| {
            let mut body = described.clone();
            body[field] = time(at).into();
            body
        };
        let (step, body) = match event.step {
            Step::Queued => ("queued", with("queuedAt", attempt.queued_at)),
            Step::Started => ("started", with("startedAt", attempt.started_at)),
            Step::Finished => {
                let error = &attempt.error;
                let returned = json!({ "return_value": null });
                ("executed", json!({ "finishedAt": time(attempt.completed_at), "error": error, "returnValue": returned }))
            }
        };
        (format!("/api/tasks/{}/{step}", self.task_id), body)
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}
