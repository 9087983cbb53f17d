//! The door for events: checks, cleans, and answers once they are durable.

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use chrono::Utc;
use serde_json::json;
use taskscope_wire::{
    BatchForm, BatchItem, BatchOutcome, ErrorBody, NativeEvent, clean, clean_batch, decode_batch, taskiq as protocol,
};

use super::{
    error::ApiError,
    extract::{check_json, content_type, refused_body},
};
use crate::server::{access::Reporter, recorder::Recorder};

/// Report events: a JSON array, or one JSON object a line.
#[utoipa::path(
    post, path = "/api/v1/events", tag = "ingest",
    request_body(content(
        (Vec<NativeEvent> = "application/json"),
        (NativeEvent = "application/x-ndjson"),
    )),
    responses(
        (status = 202, description = "What was accepted is durable; refused events are listed with their reason", body = BatchOutcome),
        (status = 400, description = "The body is no batch, or every event was refused", body = ErrorBody),
        (status = 401, description = "The ingest token is missing or wrong", body = ErrorBody),
        (status = 403, description = "The token is for something else", body = ErrorBody),
        (status = 413, description = "The body or the batch is too large", body = ErrorBody),
        (status = 415, description = "The body is of another type", body = ErrorBody),
        (status = 503, description = "Too much is waiting: come again after Retry-After", body = ErrorBody),
    ),
)]
pub(super) async fn native(
    State(recorder): State<Recorder>,
    Extension(reporter): Extension<Reporter>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let form = match content_type(&headers) {
        "application/json" => BatchForm::Array,
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => BatchForm::Lines,
        _ => return Err(ApiError::UnsupportedType("application/json or application/x-ndjson")),
    };
    let body = body.map_err(refused_body)?;
    let text = clean_batch(&body, form);
    let decoded = decode_batch(&text, form, Utc::now())?;
    let mut events = Vec::with_capacity(decoded.len());
    let mut results = Vec::with_capacity(decoded.len());
    for (index, decoded) in decoded.into_iter().enumerate() {
        let event = decoded.event.and_then(|event| reporter.sources.check_event(&event).map(|()| event));
        let error = event.as_ref().err().cloned();
        results.push(BatchItem { index, event_id: decoded.event_id, accepted: error.is_none(), error });
        events.extend(event);
    }
    let accepted = events.len();
    if accepted > 0 {
        recorder.accept(events).await?;
    }
    let rejected = results.len() - accepted;
    count("native", accepted, rejected);
    let first_error = results.iter().find_map(|item| item.error.clone());
    let outcome = BatchOutcome { accepted, rejected, results };
    Ok(match first_error {
        Some(error) if accepted == 0 => {
            let body = json!({ "error": format!("no event was accepted; the first says: {error}"), "results": outcome.results });
            (StatusCode::BAD_REQUEST, Json(body)).into_response()
        }
        _ => (StatusCode::ACCEPTED, Json(outcome)).into_response(),
    })
}

/// Report one step of a TaskIQ task, as `TaskiqAdminMiddleware` and `DashboardMiddleware` do. Also served at `/tasks/…` and
/// `/api/api/tasks/…`, where older clients send.
#[utoipa::path(
    post, path = "/api/tasks/{task_id}/{step}", tag = "ingest",
    params(
        ("task_id" = String, Path, description = "The broker's id of the task; any text, slashes too"),
        ("step" = String, Path, description = "queued, started or executed"),
    ),
    request_body(content = Object, content_type = "application/json", description = "As the middlewares send it"),
    responses(
        (status = 200, description = "The event is durable"),
        (status = 400, description = "Path or body are wrong", body = ErrorBody),
        (status = 401, description = "The ingest token is missing or wrong", body = ErrorBody),
        (status = 403, description = "The token is for something else", body = ErrorBody),
        (status = 413, description = "The body is too large", body = ErrorBody),
        (status = 415, description = "The body is of another type", body = ErrorBody),
        (status = 503, description = "Too much is waiting: come again after Retry-After", body = ErrorBody),
    ),
)]
pub(super) async fn taskiq(
    State(recorder): State<Recorder>,
    Extension(reporter): Extension<Reporter>,
    Path(rest): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    check_json(&headers)?;
    let body = body.map_err(refused_body)?;
    let event = protocol::split_path(&rest)
        .and_then(|(task_id, step)| protocol::decode(task_id, step, &clean(&body), Utc::now()))
        .inspect_err(|_| count("taskiq", 0, 1))
        .map_err(ApiError::Invalid)?;
    reporter.sources.check_event(&event).inspect_err(|_| count("taskiq", 0, 1)).map_err(ApiError::NotAllowed)?;
    recorder.accept(vec![event]).await?;
    count("taskiq", 1, 0);
    Ok(Json(json!({ "success": true })).into_response())
}

fn count(source: &'static str, accepted: usize, rejected: usize) {
    metrics::counter!("taskscope_events_accepted_total", "source" => source).increment(accepted as u64);
    metrics::counter!("taskscope_events_rejected_total", "source" => source).increment(rejected as u64);
}
