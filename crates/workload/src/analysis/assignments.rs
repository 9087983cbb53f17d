use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use taskscope_wire::Assignment;
use uuid::Uuid;

use crate::ServiceError;

/// The body of `POST /api/v1/agents/{id}/tasks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewAssignment {
    /// The task config.
    pub task_id: Uuid,
    /// Whether runs may use it.
    #[serde(default = "active")]
    pub is_active: bool,
}

/// The body of `PUT /api/v1/assignments/{id}`: what is not given stays as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct AssignmentChange {
    /// Whether runs may use it.
    pub is_active: Option<bool>,
}

const fn active() -> bool {
    true
}

/// Which agents do which tasks. Of the active ones agent, task config and provider are active too.
///
/// # Errors
/// Postgres doesn't answer.
pub async fn assignments(pool: &PgPool, active_only: bool) -> Result<Vec<Assignment>, ServiceError> {
    load(pool, None, active_only).await
}

/// One assignment.
///
/// # Errors
/// There is no such assignment, or Postgres doesn't answer.
pub async fn assignment(pool: &PgPool, id: Uuid) -> Result<Assignment, ServiceError> {
    load(pool, Some(id), false).await?.pop().ok_or_else(|| not_found(id))
}

/// Gives an agent a task.
///
/// # Errors
/// There is no such agent or task config, the agent has the task already, or Postgres doesn't answer.
pub async fn assign(pool: &PgPool, agent_id: Uuid, new: NewAssignment) -> Result<Assignment, ServiceError> {
    // The agent is in the address, so that one that is not there is not a wrong field.
    super::agents::get(pool, agent_id).await?;
    let id = sqlx::query_scalar!(
        "insert into agent_assignments (agent_id, task_id, is_active) values ($1, $2, $3) returning id",
        agent_id,
        new.task_id,
        new.is_active,
    );
    let id = id.fetch_one(pool).await?;
    assignment(pool, id).await
}

/// Changes an assignment.
///
/// # Errors
/// There is no such assignment, or Postgres doesn't answer.
pub async fn change_assignment(pool: &PgPool, id: Uuid, change: AssignmentChange) -> Result<Assignment, ServiceError> {
    sqlx::query!(
        "update agent_assignments set is_active = coalesce($2, is_active) where id = $1",
        id,
        change.is_active as Option<bool>,
    )
    .execute(pool)
    .await?;
    assignment(pool, id).await
}

/// Deletes an assignment. Runs that are over keep their own record of it.
///
/// # Errors
/// There is no such assignment, a run that is not over uses it, or Postgres doesn't answer.
pub async fn delete_assignment(pool: &PgPool, id: Uuid) -> Result<(), ServiceError> {
    assignment(pool, id).await?;
    let deleted = sqlx::query!(
        "delete from agent_assignments a where id = $1 and not exists (
             select from analysis_runs r where r.agent_assignment_id = a.id and r.status in ('pending', 'running')
         )",
        id,
    );
    if deleted.execute(pool).await?.rows_affected() == 0 {
        return Err(ServiceError::Conflict("an analysis run that is not over uses this assignment".to_owned()));
    }
    Ok(())
}

async fn load(pool: &PgPool, id: Option<Uuid>, active_only: bool) -> Result<Vec<Assignment>, ServiceError> {
    let assignments = sqlx::query_as!(
        Assignment,
        "select s.id, s.agent_id, a.name as agent_name, s.task_id, c.name as task_name, p.name as provider_name,
             p.type as provider_type, a.model_name, s.is_active, s.created_at
         from agent_assignments s join agents a on a.id = s.agent_id join providers p on p.id = a.provider_id
             join task_configs c on c.id = s.task_id
         where ($1::uuid is null or s.id = $1)
             and (not $2 or (s.is_active and a.is_active and p.is_active and c.is_active))
         order by a.name, c.name, s.id",
        id as Option<Uuid>,
        active_only,
    );
    Ok(assignments.fetch_all(pool).await?)
}

fn not_found(id: Uuid) -> ServiceError {
    ServiceError::NotFound(format!("agent assignment {id}"))
}
