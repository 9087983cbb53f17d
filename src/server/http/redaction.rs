//! What is redacted: to be seen, tried and changed.

use axum::{Json, extract::State};
use taskscope_wire::{ErrorBody, Redaction as Answer, RedactionPreview, RedactionRules};

use super::{error::ApiError, extract::JsonBody};
use crate::server::redaction::Redaction;

/// What is redacted before an event is stored: what people have set, and what holds always.
#[utoipa::path(
    get, path = "/api/v1/redaction", tag = "operations",
    responses(
        (status = 200, body = Answer),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn show(State(redaction): State<Redaction>) -> Result<Json<Answer>, ApiError> {
    Ok(Json(redaction.rules().await?))
}

/// Set what is redacted besides. All three lists are replaced; events that come from now on are redacted so, on every server within seconds. What is
/// stored stays as it is.
#[utoipa::path(
    put, path = "/api/v1/redaction", tag = "operations",
    request_body(content = RedactionRules),
    responses(
        (status = 200, body = Answer),
        (status = 400, description = "A rule can't hold: it is named, with the reason", body = ErrorBody),
        (status = 413, description = "The body is too large", body = ErrorBody),
        (status = 415, description = "The body is of another type", body = ErrorBody),
        (status = 503, description = "The database is not reachable: come again after Retry-After", body = ErrorBody),
    ),
)]
pub(super) async fn change(
    State(redaction): State<Redaction>,
    JsonBody(rules): JsonBody<RedactionRules>,
) -> Result<Json<Answer>, ApiError> {
    Ok(Json(redaction.change(&rules).await?))
}

/// See what rules would redact in the newest executions, before they are saved. Values are masked but for two characters.
#[utoipa::path(
    post, path = "/api/v1/redaction/preview", tag = "operations",
    request_body(content = RedactionRules),
    responses(
        (status = 200, body = RedactionPreview),
        (status = 400, description = "A rule can't hold: it is named, with the reason", body = ErrorBody),
        (status = 413, description = "The body is too large", body = ErrorBody),
        (status = 415, description = "The body is of another type", body = ErrorBody),
        (status = 503, description = "The database is not reachable: come again after Retry-After", body = ErrorBody),
    ),
)]
pub(super) async fn preview(
    State(redaction): State<Redaction>,
    JsonBody(rules): JsonBody<RedactionRules>,
) -> Result<Json<RedactionPreview>, ApiError> {
    Ok(Json(redaction.preview(&rules).await?))
}
