//! The task types of the own worker: what there is, and running one.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use taskscope_wire::{ErrorBody, Import, TaskType, TriggerRequest, Triggered};

use super::{error::ApiError, extract::OptionalJsonBody};
use crate::server::workload::Workload;

/// The task types that Taskscope's own worker runs, with what they take.
#[utoipa::path(get, path = "/api/v1/tasks", tag = "tasks", responses((status = 200, body = Vec<TaskType>)))]
pub(super) async fn list(State(workload): State<Workload>) -> Json<Vec<TaskType>> {
    Json(workload.task_types().to_vec())
}

/// How far the newest imports of messages have come, newest first.
#[utoipa::path(
    get, path = "/api/v1/imports", tag = "tasks",
    responses(
        (status = 200, body = Vec<Import>),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn imports(State(workload): State<Workload>) -> Result<Json<Vec<Import>>, ApiError> {
    Ok(Json(workload.imports().await?))
}

/// Run a task: it is put into its queue, and its executions have the answer's `task_id`.
#[utoipa::path(
    post, path = "/api/v1/tasks/{name}", tag = "tasks",
    params(("name" = String, Path, description = "The task type")),
    request_body(content = TriggerRequest, description = "Without a body the task is called without params"),
    responses(
        (status = 202, description = "It waits in its queue", body = Triggered),
        (status = 400, description = "A param is wrong", body = ErrorBody),
        (status = 404, description = "There is no such task type", body = ErrorBody),
        (status = 413, description = "The body is too large", body = ErrorBody),
        (status = 415, description = "The body is of another type", body = ErrorBody),
        (status = 503, description = "The database is not reachable: come again after Retry-After", body = ErrorBody),
    ),
)]
pub(super) async fn trigger(
    State(workload): State<Workload>,
    Path(name): Path<String>,
    OptionalJsonBody(request): OptionalJsonBody<TriggerRequest>,
) -> Result<Response, ApiError> {
    let triggered: Triggered = workload.trigger(&name, request.params).await?;
    Ok((StatusCode::ACCEPTED, Json(triggered)).into_response())
}
