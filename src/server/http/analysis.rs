//! Analysis runs, and the review of what they propose.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;
use taskscope_wire::{
    ErrorBody, MergeRequest, NewRun, Page, Proposal, ProposalQuery, Review, Run, RunLogLine, RunQuery, RunStarted,
};
use taskscope_workload::analysis;
use uuid::Uuid;

use super::{
    error::ApiError,
    extract::{Id, JsonBody, OptionalJsonBody, Params},
};
use crate::server::workload::Workload;

/// Which lines of a log to list.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LogQuery {
    /// Lines after this one.
    after: i64,
}

/// A page of analysis runs, newest first.
#[utoipa::path(
    get, path = "/api/v1/analysis/runs", tag = "analysis",
    params(RunQuery),
    responses(
        (status = 200, description = "The runs", body = Page<Run>),
        (status = 400, description = "A parameter is wrong", body = ErrorBody),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn list(State(workload): State<Workload>, Params(query): Params<RunQuery>) -> Result<Json<Page<Run>>, ApiError> {
    Ok(Json(analysis::runs(workload.pool(), &query).await?))
}

/// Make an analysis run, which waits to be started.
#[utoipa::path(
    post, path = "/api/v1/analysis/runs", tag = "analysis",
    request_body(content = NewRun),
    responses(
        (status = 201, description = "It waits to be started", body = Run),
        (status = 400, description = "A field is wrong", body = ErrorBody),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn create(
    State(workload): State<Workload>,
    JsonBody(new): JsonBody<NewRun>,
) -> Result<(StatusCode, Json<Run>), ApiError> {
    Ok((StatusCode::CREATED, Json(analysis::create_run(workload.pool(), &new).await?)))
}

/// One analysis run.
#[utoipa::path(
    get, path = "/api/v1/analysis/runs/{id}", tag = "analysis",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "The run", body = Run),
        (status = 404, description = "There is no such run", body = ErrorBody),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn show(State(workload): State<Workload>, Id(id): Id) -> Result<Json<Run>, ApiError> {
    Ok(Json(analysis::run(workload.pool(), id).await?))
}

/// The lines of a run's log, oldest first, at most a thousand.
#[utoipa::path(
    get, path = "/api/v1/analysis/runs/{id}/log", tag = "analysis",
    params(("id" = Uuid, Path), LogQuery),
    responses(
        (status = 200, description = "The lines", body = Vec<RunLogLine>),
        (status = 400, description = "A parameter is wrong", body = ErrorBody),
        (status = 404, description = "There is no such run", body = ErrorBody),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn log(
    State(workload): State<Workload>,
    Id(id): Id,
    Params(query): Params<LogQuery>,
) -> Result<Json<Vec<RunLogLine>>, ApiError> {
    Ok(Json(analysis::run_log(workload.pool(), id, query.after).await?))
}

/// Start a run: it is put into the queue. One whose assignment is not there is failed.
#[utoipa::path(
    post, path = "/api/v1/analysis/runs/{id}/start", tag = "analysis",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "It waits in the queue", body = RunStarted),
        (status = 400, description = "Its assignment can't be used; the run is failed", body = ErrorBody),
        (status = 404, description = "There is no such run", body = ErrorBody),
        (status = 409, description = "It was started already", body = ErrorBody),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn start(State(workload): State<Workload>, Id(id): Id) -> Result<Json<RunStarted>, ApiError> {
    Ok(Json(analysis::start_run(workload.queue().await?, id).await?))
}

/// Stop a run that is not over.
#[utoipa::path(
    post, path = "/api/v1/analysis/runs/{id}/cancel", tag = "analysis",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "It is cancelled", body = Run),
        (status = 404, description = "There is no such run", body = ErrorBody),
        (status = 409, description = "It is over", body = ErrorBody),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn cancel(State(workload): State<Workload>, Id(id): Id) -> Result<Json<Run>, ApiError> {
    Ok(Json(analysis::cancel_run(workload.pool(), id).await?))
}

/// Close a run: its review is final.
#[utoipa::path(
    post, path = "/api/v1/analysis/runs/{id}/close", tag = "analysis",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "It is closed", body = Run),
        (status = 404, description = "There is no such run", body = ErrorBody),
        (status = 409, description = "Proposals are not reviewed, or the run is not completed", body = ErrorBody),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn close(State(workload): State<Workload>, Id(id): Id) -> Result<Json<Run>, ApiError> {
    Ok(Json(analysis::close_run(workload.pool(), id).await?))
}

/// A page of proposals, in the order in which they were made.
#[utoipa::path(
    get, path = "/api/v1/proposals", tag = "analysis",
    params(ProposalQuery),
    responses(
        (status = 200, description = "The proposals", body = Page<Proposal>),
        (status = 400, description = "A parameter is wrong", body = ErrorBody),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn proposals(
    State(workload): State<Workload>,
    Params(query): Params<ProposalQuery>,
) -> Result<Json<Page<Proposal>>, ApiError> {
    Ok(Json(analysis::proposals(workload.pool(), &query).await?))
}

/// One proposal.
#[utoipa::path(
    get, path = "/api/v1/proposals/{id}", tag = "analysis",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "The proposal", body = Proposal),
        (status = 404, description = "There is no such proposal", body = ErrorBody),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn proposal(State(workload): State<Workload>, Id(id): Id) -> Result<Json<Proposal>, ApiError> {
    Ok(Json(analysis::proposal(workload.pool(), id).await?))
}

/// Review a proposal, or take a review back, until its run is closed.
#[utoipa::path(
    put, path = "/api/v1/proposals/{id}/{review}", tag = "analysis",
    params(("id" = Uuid, Path), ("review" = Review, Path, description = "approve, reject, merge or undo")),
    request_body(content = MergeRequest, description = "For merge: into which one; without it the one that it duplicates"),
    responses(
        (status = 200, description = "The proposal as it is now", body = Proposal),
        (status = 400, description = "The target of the merge is wrong", body = ErrorBody),
        (status = 404, description = "There is no such proposal, or no such review", body = ErrorBody),
        (status = 409, description = "Its run is closed, or not completed yet", body = ErrorBody),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn review(
    State(workload): State<Workload>,
    Path((id, review)): Path<(String, String)>,
    OptionalJsonBody(merge): OptionalJsonBody<MergeRequest>,
) -> Result<Json<Proposal>, ApiError> {
    let id: Uuid = id.parse().map_err(|_| ApiError::Invalid(format!("the id in the path must be a UUID, not {id:?}")))?;
    let review: Review = review
        .parse()
        .map_err(|_| ApiError::NotFound(format!("review {review:?}: there are approve, reject, merge and undo")))?;
    Ok(Json(analysis::review(workload.pool(), id, review, &merge).await?))
}
