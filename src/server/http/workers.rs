//! Workers: their signs of life, and how they are.

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::json;
use taskscope_wire::{ErrorBody, Heartbeat, Workers, clean};

use super::{
    error::ApiError,
    extract::{check_json, refused_body},
};
use crate::server::{access::Reporter, store::Store};

/// Send a worker's sign of life.
#[utoipa::path(
    post, path = "/api/v1/heartbeats", tag = "ingest",
    request_body(content = Heartbeat),
    responses(
        (status = 202, description = "It was taken"),
        (status = 400, description = "A field is wrong", body = ErrorBody),
        (status = 401, description = "The ingest token is missing or wrong", body = ErrorBody),
        (status = 403, description = "The token is for something else", body = ErrorBody),
        (status = 413, description = "The body is too large", body = ErrorBody),
        (status = 415, description = "The body is of another type", body = ErrorBody),
        (status = 503, description = "The database is not reachable: come again after Retry-After", body = ErrorBody),
    ),
)]
pub(super) async fn heartbeat(
    State(store): State<Store>,
    Extension(reporter): Extension<Reporter>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    check_json(&headers)?;
    let beat = Heartbeat::decode(&clean(&body.map_err(refused_body)?)).map_err(ApiError::Invalid)?;
    reporter.sources.check_heartbeat(&beat).map_err(ApiError::NotAllowed)?;
    store.heartbeat(&beat).await?;
    metrics::counter!("taskscope_heartbeats_total").increment(1);
    Ok((StatusCode::ACCEPTED, Json(json!({}))).into_response())
}

/// The workers that send heartbeats, what each runs now, and what waits in which queue.
#[utoipa::path(
    get, path = "/api/v1/monitoring/workers", tag = "monitoring",
    responses(
        (status = 200, body = Workers),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn workers(State(store): State<Store>) -> Result<Json<Workers>, ApiError> {
    Ok(Json(store.workers().await?))
}
