//! What TaskIQ's stock middlewares send: `TaskiqAdminMiddleware` (package `taskiq`) and `DashboardMiddleware` (package
//! `taskiq-dashboard`), and the hand-copied ones before them.
//!
//! `POST {prefix}/api/tasks/{task_id}/queued | started | executed`; see `fixtures/taskiq` for captured bodies.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{Attribution, EventKind, Finish, Json, Source, TaskEvent, limits, time};

/// The labels that count retries, and deliveries after the first one.
const COUNTERS: [&str; 2] = ["_retries", "X-Taskiq-requeue"];

/// The last segment of the path: what happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The producer sent the task.
    Queued,
    /// A worker took it.
    Started,
    /// It ended, well or not.
    Executed,
}

/// Splits what follows `tasks/` in a path into task id and step. The id isn't escaped by the clients, so that it can hold
/// slashes: the last segment is the step.
///
/// # Errors
/// A sentence that says what the path must look like.
pub fn split_path(rest: &str) -> Result<(&str, Step), String> {
    let (task_id, step) = rest.rsplit_once('/').unwrap_or((rest, ""));
    let step = match step {
        "queued" => Step::Queued,
        "started" => Step::Started,
        "executed" => Step::Executed,
        other => return Err(format!("the path must end in /queued, /started or /executed, not {other:?}")),
    };
    if task_id == "{message.task_id}" {
        return Err("the path holds the text {message.task_id} instead of an id: the client lacks an f-string prefix".to_owned());
    }
    Ok((task_id, step))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    args: Option<Json>,
    kwargs: Option<Json>,
    labels: Option<Json>,
    task_name: Option<String>,
    worker: Option<String>,
    queued_at: Option<String>,
    started_at: Option<String>,
    finished_at: Option<String>,
    execution_time: Option<f64>,
    error: Option<Value>,
    return_value: Option<Json>,
}

/// Reads one body, which must have been through [`crate::clean`].
///
/// # Errors
/// A sentence that names the field and what is allowed.
pub fn decode(task_id: &str, step: Step, body: &str, now: DateTime<Utc>) -> Result<TaskEvent, String> {
    // serde would read an array as the fields of the struct, too.
    if body.trim_start().starts_with('[') {
        return Err("the body must be a JSON object, not an array".to_owned());
    }
    let mut body: Body = serde_json::from_str(body).map_err(|error| error.to_string())?;
    let (field, at) = match step {
        Step::Queued => ("queuedAt", body.queued_at.take()),
        Step::Started => ("startedAt", body.started_at.take()),
        Step::Executed => ("finishedAt", body.finished_at.take()),
    };
    let at = at.ok_or_else(|| format!("{field} must be given"))?;
    let at = time::parse(&at).ok_or_else(|| format!("{field} must be an ISO 8601 time, not {at:?}"))?;
    if step != Step::Executed && body.task_name.as_ref().is_none_or(String::is_empty) {
        return Err("taskName must be given".to_owned());
    }
    let labels = body.labels.filter(|labels| labels.as_str().trim_start().starts_with('{'));
    let event = TaskEvent {
        source: Source::Taskiq,
        task_id: task_id.to_owned(),
        attribution: match step {
            Step::Executed => Attribution::Unknown,
            Step::Queued | Step::Started => attribution(labels.as_ref()),
        },
        at,
        task_name: body.task_name,
        max_retries: labels.as_ref().and_then(|labels| count(labels, "max_retries")),
        queue: labels.as_ref().and_then(|labels| text(labels, "queue_name")),
        worker: body.worker,
        labels,
        params: params(body.args, body.kwargs),
        kind: match step {
            Step::Queued => EventKind::Queued,
            Step::Started => EventKind::Started,
            Step::Executed => finish(body.execution_time, body.error, body.return_value),
        },
    };
    limits::apply(event, now)
}

fn finish(execution_time: Option<f64>, error: Option<Value>, return_value: Option<Json>) -> EventKind {
    let error = error.and_then(|error| match error {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    });
    let failed = error.is_some();
    EventKind::Finished(Finish {
        failed,
        started_at: None,
        error_type: None,
        duration_ms: execution_time.filter(|s| (0.0..1e12).contains(s)).map(|seconds| (seconds * 1000.0).round() as i64),
        error_message: error,
        error_traceback: None,
        // A failure returns nothing, which the clients write as null.
        result: return_value.map(unwrap_result).filter(|result| !failed || result.as_str() != "null"),
    })
}

/// Which attempt a message is, from labels that are strings in *queued* and typed in *started*.
#[must_use]
pub fn attribution(labels: Option<&Json>) -> Attribution {
    let counter = |name| labels.and_then(|labels| count(labels, name)).unwrap_or(0);
    let [retries, requeues] = COUNTERS.map(counter);
    Attribution::Counters { retries, requeues }
}

/// The labels that [`attribution`] reads, as it reads them.
pub(crate) fn counters(labels: &Json) -> Map<String, Value> {
    COUNTERS.into_iter().filter_map(|name| Some((name.to_owned(), count(labels, name)?.into()))).collect()
}

/// The counters of [`Attribution::Counters`] of a stored execution, from its labels.
#[must_use]
pub fn stored_counters(labels: Option<&Json>) -> (i32, i32) {
    match attribution(labels) {
        Attribution::Counters { retries, requeues } => (retries, requeues),
        Attribution::Attempt(_) | Attribution::Unknown => (0, 0),
    }
}

fn label(labels: &Json, name: &str) -> Option<Value> {
    let Ok(Value::Object(mut map)) = serde_json::from_str(labels.as_str()) else { return None };
    map.remove(name)
}

fn count(labels: &Json, name: &str) -> Option<i32> {
    let value = label(labels, name)?;
    let number = value.as_i64().or_else(|| value.as_str()?.parse().ok())?;
    i32::try_from(number).ok().filter(|number| (0..1_000_000).contains(number))
}

fn text(labels: &Json, name: &str) -> Option<String> {
    label(labels, name)?.as_str().map(str::to_owned)
}

/// What the task was called with: its keyword arguments as they are; positional ones under `args` beside them.
fn params(args: Option<Json>, kwargs: Option<Json>) -> Option<Json> {
    let args = args.filter(|args| !matches!(args.as_str().trim(), "null" | "[]"));
    let kwargs = kwargs.filter(|kwargs| kwargs.as_str().trim() != "null");
    match (args, kwargs) {
        (None, kwargs) => kwargs,
        (Some(args), None) => Json::parse(format!(r#"{{"args":{}}}"#, args.as_str())).ok(),
        (Some(args), Some(kwargs)) => Json::parse(format!(r#"{{"args":{},"kwargs":{}}}"#, args.as_str(), kwargs.as_str())).ok(),
    }
}

/// The stock middlewares wrap a result as `{"return_value": …}`, older ones send it raw.
fn unwrap_result(value: Json) -> Json {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wrapped {
        return_value: Json,
    }
    // serde would read an array as the fields of the struct, too.
    let wrapped = value.as_str().trim_start().starts_with('{').then(|| serde_json::from_str::<Wrapped>(value.as_str()));
    match wrapped {
        Some(Ok(wrapped)) => wrapped.return_value,
        _ => value,
    }
}
