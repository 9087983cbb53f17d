//! The history as a table for spreadsheets.

use axum::{
    body::Body,
    extract::{RawQuery, State},
    http::header,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, SecondsFormat, Utc};
use csv::Writer;
use futures::{StreamExt as _, stream};
use taskscope_wire::{ErrorBody, Execution, Json};

use super::{error::ApiError, monitoring::history_query};
use crate::server::store::{Store, StoreError};

/// Executions that are read at once.
const PART: i64 = 500;
/// Executions of a whole export, the newest.
const MOST: i64 = 100_000;
/// The heads of the columns.
const HEADS: [&str; 17] = [
    "id",
    "task_id",
    "task_name",
    "status",
    "attempt",
    "source",
    "queue",
    "worker",
    "created_at",
    "queued_at",
    "started_at",
    "completed_at",
    "duration_ms",
    "error_type",
    "error_message",
    "params",
    "result",
];

/// The newest 100,000 executions that match as CSV, newest first, as of one moment; the filters are those of the history. A text that a
/// spreadsheet would take for a formula has an apostrophe before it.
#[utoipa::path(
    get, path = "/api/v1/monitoring/history/export", tag = "monitoring",
    params(
        ("task_name" = Option<Vec<String>>, Query, description = "A task type; may repeat"),
        ("status" = Option<Vec<String>>, Query, description = "pending, running, success or failed; may repeat"),
        ("stalled" = Option<bool>, Query, description = "true: only active executions that count as stalled"),
        ("start_date" = Option<String>, Query, description = "Created at this ISO 8601 time or later; UTC without an offset"),
        ("end_date" = Option<String>, Query, description = "Created at this ISO 8601 time or earlier; a date alone means its whole day"),
        ("q" = Option<String>, Query, description = "A search, in the language that the page's help describes"),
        ("worker" = Option<String>, Query, description = "The worker"),
        ("queue" = Option<String>, Query, description = "The queue"),
        ("min_duration_ms" = Option<i64>, Query, description = "Ran this long or longer", minimum = 0),
        ("max_duration_ms" = Option<i64>, Query, description = "Ran this long or shorter", minimum = 0),
    ),
    responses(
        (status = 200, description = "A line each, after one with the names of the columns", body = String, content_type = "text/csv"),
        (status = 400, description = "A parameter is wrong", body = ErrorBody),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn export(State(store): State<Store>, RawQuery(query): RawQuery) -> Result<Response, ApiError> {
    let export = store.begin_export(history_query(query)?).await?;
    let heads = stream::once(async { Ok(table([HEADS.map(str::to_owned)])) });
    let rows = stream::try_unfold((export, MOST), move |(mut export, left)| {
        let store = store.clone();
        async move {
            let part = store.next_part(&mut export, PART.min(left)).await?;
            let left = left - part.len() as i64;
            Ok::<_, StoreError>((!part.is_empty()).then(|| (table(part.iter().map(cells)), (export, left))))
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"executions.csv\""),
    ];
    Ok((headers, Body::from_stream(heads.chain(rows))).into_response())
}

/// Rows as CSV.
fn table(rows: impl IntoIterator<Item = [String; HEADS.len()]>) -> Vec<u8> {
    let mut writer = Writer::from_writer(Vec::new());
    for row in rows {
        // Writing to memory doesn't fail.
        let _ = writer.write_record(row);
    }
    writer.into_inner().unwrap_or_default()
}

fn cells(execution: &Execution) -> [String; HEADS.len()] {
    let text = |text: Option<&str>| text.map(harmless).unwrap_or_default();
    let json = |json: Option<&Json>| text(json.map(Json::as_str));
    let time = |at: Option<DateTime<Utc>>| at.map(|at| at.to_rfc3339_opts(SecondsFormat::Micros, true)).unwrap_or_default();
    [
        execution.id.to_string(),
        text(execution.task_id.as_deref()),
        harmless(&execution.task_name),
        execution.status.to_string(),
        execution.attempt.to_string(),
        execution.source.as_str().to_owned(),
        text(execution.queue.as_deref()),
        text(execution.worker.as_deref()),
        time(Some(execution.created_at)),
        time(execution.queued_at),
        time(execution.started_at),
        time(execution.completed_at),
        execution.duration_ms.map(|duration| duration.to_string()).unwrap_or_default(),
        text(execution.error_type.as_deref()),
        text(execution.error_message.as_deref()),
        json(execution.params.as_ref()),
        json(execution.result.as_ref()),
    ]
}

/// A text that no spreadsheet takes for a formula (OWASP, CSV injection). One that begins with a number below zero is none.
fn harmless(text: &str) -> String {
    match text.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n') if text.parse::<f64>().is_err() => format!("'{text}"),
        _ => text.to_owned(),
    }
}
