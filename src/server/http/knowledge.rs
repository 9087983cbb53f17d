//! What was learned from messages.

use axum::{
    Json,
    extract::{Path, State},
};
use taskscope_wire::{Atom, AtomQuery, AtomStatus, AtomVersion, ErrorBody, Page, Topic, TopicQuery};
use taskscope_workload::knowledge;
use uuid::Uuid;

use super::{
    error::ApiError,
    extract::{Id, Params},
};
use crate::server::workload::Workload;

/// A page of topics, the one that changed last first.
#[utoipa::path(
    get, path = "/api/v1/topics", tag = "knowledge",
    params(TopicQuery),
    responses(
        (status = 200, description = "The topics", body = Page<Topic>),
        (status = 400, description = "A parameter is wrong", body = ErrorBody),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn topics(
    State(workload): State<Workload>,
    Params(query): Params<TopicQuery>,
) -> Result<Json<Page<Topic>>, ApiError> {
    Ok(Json(knowledge::topics(workload.pool(), &query).await?))
}

/// One topic.
#[utoipa::path(
    get, path = "/api/v1/topics/{id}", tag = "knowledge",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "The topic", body = Topic),
        (status = 404, description = "There is no such topic", body = ErrorBody),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn topic(State(workload): State<Workload>, Id(id): Id) -> Result<Json<Topic>, ApiError> {
    Ok(Json(knowledge::topic(workload.pool(), id).await?))
}

/// A page of atoms, the newest first; those of one topic with the messages that they came from.
#[utoipa::path(
    get, path = "/api/v1/atoms", tag = "knowledge",
    params(AtomQuery),
    responses(
        (status = 200, description = "The atoms", body = Page<Atom>),
        (status = 400, description = "A parameter is wrong", body = ErrorBody),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn atoms(
    State(workload): State<Workload>,
    Params(query): Params<AtomQuery>,
) -> Result<Json<Page<Atom>>, ApiError> {
    Ok(Json(knowledge::atoms(workload.pool(), &query).await?))
}

/// One atom, with the messages that it came from.
#[utoipa::path(
    get, path = "/api/v1/atoms/{id}", tag = "knowledge",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "The atom", body = Atom),
        (status = 404, description = "There is no such atom", body = ErrorBody),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn atom(State(workload): State<Workload>, Id(id): Id) -> Result<Json<Atom>, ApiError> {
    Ok(Json(knowledge::atom(workload.pool(), id).await?))
}

/// How an atom was over time, the newest version first.
#[utoipa::path(
    get, path = "/api/v1/atoms/{id}/versions", tag = "knowledge",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "The versions", body = Vec<AtomVersion>),
        (status = 404, description = "There is no such atom", body = ErrorBody),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn versions(State(workload): State<Workload>, Id(id): Id) -> Result<Json<Vec<AtomVersion>>, ApiError> {
    Ok(Json(knowledge::atom_versions(workload.pool(), id).await?))
}

/// Approve or reject an atom, or take that back.
#[utoipa::path(
    put, path = "/api/v1/atoms/{id}/{review}", tag = "knowledge",
    params(("id" = Uuid, Path), ("review" = String, Path, description = "approve, reject or undo")),
    responses(
        (status = 200, description = "The atom as it is now", body = Atom),
        (status = 404, description = "There is no such atom, or no such review", body = ErrorBody),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn review(
    State(workload): State<Workload>,
    Path((id, review)): Path<(String, String)>,
) -> Result<Json<Atom>, ApiError> {
    let id: Uuid = id.parse().map_err(|_| ApiError::Invalid(format!("the id in the path must be a UUID, not {id:?}")))?;
    let status = match review.as_str() {
        "approve" => AtomStatus::Approved,
        "reject" => AtomStatus::Rejected,
        "undo" => AtomStatus::Pending,
        _ => return Err(ApiError::NotFound(format!("review {review:?}: there are approve, reject and undo"))),
    };
    Ok(Json(knowledge::review_atom(workload.pool(), id, status).await?))
}
