//! What analysis runs are set up with: providers, agents, task configs, projects and assignments. All but the last are alike.

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use taskscope_wire::{Assignment, ErrorBody, Project};
use taskscope_workload::{
    analysis::{
        self, AssignmentChange, NewAssignment,
        agents::{self, Agent, AgentChange, AgentPrompt, AgentTest, NewAgent},
        projects::{self, NewProject, ProjectChange},
        task_configs::{self, NewTaskConfig, TaskConfig, TaskConfigChange},
    },
    providers::{self, NewProvider, Provider, ProviderChange},
};

use super::{
    error::ApiError,
    extract::{Id, JsonBody, Params},
};
use crate::server::workload::Workload;

/// The five routes of a kind of resource.
macro_rules! resource {
    ($module:ident, $path:literal, $one:literal, $what:literal, $resource:ident, $new:ident, $change:ident, $on:ident, $service:ident $(, $by:tt)?) => {
        #[doc = concat!("The routes of `", $path, "`.")]
        pub(super) mod $module {
            use super::*;

            #[utoipa::path(
                get, path = $path, tag = "setup", summary = concat!("Every ", $what, ", by name."),
                responses(
                    (status = 200, body = Vec<$resource>),
                    (status = 503, description = "The database is not reachable", body = ErrorBody),
                ),
            )]
            pub(in super::super) async fn list(State(workload): State<Workload>) -> Result<Json<Vec<$resource>>, ApiError> {
                Ok(Json($service::list(workload.$on()).await?))
            }

            #[utoipa::path(
                post, path = $path, tag = "setup", summary = concat!("Make a ", $what, "."), request_body(content = $new),
                responses(
                    (status = 201, description = "It is there", body = $resource),
                    (status = 400, description = "A field is wrong", body = ErrorBody),
                    (status = 409, description = "The name is taken", body = ErrorBody),
                    (status = 415, description = "The body is of another type", body = ErrorBody),
                    (status = 503, description = "The database is not reachable", body = ErrorBody),
                ),
            )]
            pub(in super::super) async fn create(
                State(workload): State<Workload>,
                JsonBody(new): JsonBody<$new>,
            ) -> Result<(StatusCode, Json<$resource>), ApiError> {
                Ok((StatusCode::CREATED, Json($service::create(workload.$on(), $($by)? new).await?)))
            }

            #[utoipa::path(
                get, path = $one, tag = "setup", summary = concat!("One ", $what, "."), params(("id" = Uuid, Path)),
                responses(
                    (status = 200, body = $resource),
                    (status = 404, description = "It is not there", body = ErrorBody),
                    (status = 503, description = "The database is not reachable", body = ErrorBody),
                ),
            )]
            pub(in super::super) async fn show(State(workload): State<Workload>, Id(id): Id) -> Result<Json<$resource>, ApiError> {
                Ok(Json($service::get(workload.$on(), id).await?))
            }

            #[utoipa::path(
                put, path = $one, tag = "setup", summary = concat!("Change a ", $what, ": what is not given stays as it is."),
                params(("id" = Uuid, Path)), request_body(content = $change),
                responses(
                    (status = 200, description = "As it is now", body = $resource),
                    (status = 400, description = "A field is wrong", body = ErrorBody),
                    (status = 404, description = "It is not there", body = ErrorBody),
                    (status = 409, description = "The name is taken", body = ErrorBody),
                    (status = 415, description = "The body is of another type", body = ErrorBody),
                    (status = 503, description = "The database is not reachable", body = ErrorBody),
                ),
            )]
            pub(in super::super) async fn change(
                State(workload): State<Workload>,
                Id(id): Id,
                JsonBody(change): JsonBody<$change>,
            ) -> Result<Json<$resource>, ApiError> {
                Ok(Json($service::change(workload.$on(), id, $($by)? change).await?))
            }

            #[utoipa::path(
                delete, path = $one, tag = "setup", summary = concat!("Delete a ", $what, "."), params(("id" = Uuid, Path)),
                responses(
                    (status = 204, description = "It is gone"),
                    (status = 404, description = "It is not there", body = ErrorBody),
                    (status = 409, description = "Something refers to it", body = ErrorBody),
                    (status = 503, description = "The database is not reachable", body = ErrorBody),
                ),
            )]
            pub(in super::super) async fn delete(State(workload): State<Workload>, Id(id): Id) -> Result<StatusCode, ApiError> {
                $service::delete(workload.$on(), id).await?;
                Ok(StatusCode::NO_CONTENT)
            }
        }
    };
}

resource!(agent, "/api/v1/agents", "/api/v1/agents/{id}", "agent", Agent, NewAgent, AgentChange, pool, agents, &);
resource!(
    task_config,
    "/api/v1/task-configs",
    "/api/v1/task-configs/{id}",
    "task config",
    TaskConfig,
    NewTaskConfig,
    TaskConfigChange,
    pool,
    task_configs,
    &
);
resource!(
    provider,
    "/api/v1/providers",
    "/api/v1/providers/{id}",
    "provider of language models",
    Provider,
    NewProvider,
    ProviderChange,
    service,
    providers
);
resource!(project, "/api/v1/projects", "/api/v1/projects/{id}", "project", Project, NewProject, ProjectChange, pool, projects, &);

/// Check whether a provider can be reached, and which models it has.
#[utoipa::path(
    post, path = "/api/v1/providers/{id}/check", tag = "setup", params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "The provider, with what was found", body = Provider),
        (status = 404, description = "There is no such provider", body = ErrorBody),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn check_provider(State(workload): State<Workload>, Id(id): Id) -> Result<Json<Provider>, ApiError> {
    Ok(Json(providers::check(workload.service(), id).await?))
}

/// Ask an agent something, to try it.
#[utoipa::path(
    post, path = "/api/v1/agents/{id}/test", tag = "setup", params(("id" = Uuid, Path)), request_body(content = AgentPrompt),
    responses(
        (status = 200, description = "What it answered", body = AgentTest),
        (status = 400, description = "The prompt is wrong", body = ErrorBody),
        (status = 404, description = "There is no such agent", body = ErrorBody),
        (status = 409, description = "Its provider is not active, or its key is not there", body = ErrorBody),
        (status = 502, description = "Its provider gave no answer; in the provider's words", body = ErrorBody),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn test_agent(
    State(workload): State<Workload>,
    Id(id): Id,
    JsonBody(AgentPrompt { prompt }): JsonBody<AgentPrompt>,
) -> Result<Json<AgentTest>, ApiError> {
    Ok(Json(agents::test(workload.service(), id, &prompt).await?))
}

/// Let an agent do a task: a run is made with the assignment that this gives.
#[utoipa::path(
    post, path = "/api/v1/agents/{id}/tasks", tag = "setup", params(("id" = Uuid, Path)), request_body(content = NewAssignment),
    responses(
        (status = 201, description = "The assignment", body = Assignment),
        (status = 400, description = "There is no such task config", body = ErrorBody),
        (status = 404, description = "There is no such agent", body = ErrorBody),
        (status = 409, description = "The agent has this task already", body = ErrorBody),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn assign(
    State(workload): State<Workload>,
    Id(id): Id,
    JsonBody(new): JsonBody<NewAssignment>,
) -> Result<(StatusCode, Json<Assignment>), ApiError> {
    Ok((StatusCode::CREATED, Json(analysis::assign(workload.pool(), id, new).await?)))
}

/// Which assignments to list.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AssignmentQuery {
    /// Only those that runs may use.
    active_only: bool,
}

/// Which agents do which tasks.
#[utoipa::path(
    get, path = "/api/v1/assignments", tag = "setup", params(AssignmentQuery),
    responses(
        (status = 200, body = Vec<Assignment>),
        (status = 400, description = "A parameter is wrong", body = ErrorBody),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn assignments(
    State(workload): State<Workload>,
    Params(query): Params<AssignmentQuery>,
) -> Result<Json<Vec<Assignment>>, ApiError> {
    Ok(Json(analysis::assignments(workload.pool(), query.active_only).await?))
}

/// Let runs use an assignment, or no more.
#[utoipa::path(
    put, path = "/api/v1/assignments/{id}", tag = "setup", params(("id" = Uuid, Path)), request_body(content = AssignmentChange),
    responses(
        (status = 200, description = "As it is now", body = Assignment),
        (status = 400, description = "A field is wrong", body = ErrorBody),
        (status = 404, description = "It is not there", body = ErrorBody),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn change_assignment(
    State(workload): State<Workload>,
    Id(id): Id,
    JsonBody(change): JsonBody<AssignmentChange>,
) -> Result<Json<Assignment>, ApiError> {
    Ok(Json(analysis::change_assignment(workload.pool(), id, change).await?))
}

/// Delete an assignment that no run works with. Runs that are over stay.
#[utoipa::path(
    delete, path = "/api/v1/assignments/{id}", tag = "setup", params(("id" = Uuid, Path)),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "It is not there", body = ErrorBody),
        (status = 409, description = "A run that is not over works with it", body = ErrorBody),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn delete_assignment(State(workload): State<Workload>, Id(id): Id) -> Result<StatusCode, ApiError> {
    analysis::delete_assignment(workload.pool(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
