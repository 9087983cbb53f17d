//! Events that were accepted and couldn't be stored: to be seen, taken along, and sent again after what refused them is mended.

use axum::{
    Json,
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use futures::stream;
use taskscope_wire::{DeadLetter, DeadLetterQuery, ErrorBody, Page, Replayed, check_page};

use super::{error::ApiError, extract::Params};
use crate::server::{
    recorder::Recorder,
    store::{Store, StoreError},
};

/// Dead letters that are read at once for an export.
const CHUNK: i64 = 1000;

/// Events that were accepted and couldn't be stored, newest first, each with the reason.
#[utoipa::path(
    get, path = "/api/v1/dead-letters", tag = "operations", params(DeadLetterQuery),
    responses(
        (status = 200, body = Page<DeadLetter>),
        (status = 400, description = "A parameter is wrong", body = ErrorBody),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn list(
    State(store): State<Store>,
    Params(query): Params<DeadLetterQuery>,
) -> Result<Json<Page<DeadLetter>>, ApiError> {
    check_page(query.page, query.page_size).map_err(ApiError::Invalid)?;
    Ok(Json(store.dead_letter_page(&query).await?))
}

/// All of them, oldest first, one JSON object a line.
#[utoipa::path(
    get, path = "/api/v1/dead-letters/export", tag = "operations",
    responses(
        (status = 200, description = "A line each", body = DeadLetter, content_type = "application/x-ndjson"),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn export(State(store): State<Store>) -> Result<Response, ApiError> {
    let last = store.last_dead_letter().await?;
    let chunks = stream::try_unfold(0, move |after| {
        let store = store.clone();
        async move {
            let letters = store.dead_letters_between(after, last, CHUNK).await?;
            let Some(newest) = letters.last().map(|letter| letter.id) else { return Ok::<_, StoreError>(None) };
            let lines: String = letters.iter().filter_map(|letter| Some(serde_json::to_string(letter).ok()? + "\n")).collect();
            Ok(Some((lines, newest)))
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"dead-letters.ndjson\""),
    ];
    Ok((headers, Body::from_stream(chunks)).into_response())
}

/// Send all of them again, as if they came now. Those that are accepted are gone from here; what refuses them may refuse them again.
#[utoipa::path(
    post, path = "/api/v1/dead-letters/replay", tag = "operations",
    responses(
        (status = 200, body = Replayed),
        (status = 503, description = "The database is not reachable, or too much waits: come again after Retry-After", body = ErrorBody),
    ),
)]
pub(super) async fn replay(State(recorder): State<Recorder>) -> Result<Json<Replayed>, ApiError> {
    Ok(Json(recorder.replay_dead_letters().await?))
}
