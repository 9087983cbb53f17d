use chrono::Utc;
use serde_json::json;
use sqlx::PgConnection;
use taskscope_wire::{Run, RunError, RunStarted, RunStatus};
use uuid::Uuid;

use super::{journal, run_row, setup::Setup};
use crate::{Queue, ServiceError, TriggerError};

/// The task type that executes runs.
const TASK: &str = "execute_analysis_run";

/// Puts a run into the queue. A run whose assignment is not there is failed.
///
/// # Errors
/// There is no such run, it was started already, its assignment is not there, or Postgres doesn't answer.
pub async fn start_run(queue: &Queue, id: Uuid) -> Result<RunStarted, ServiceError> {
    let mut tx = queue.pool().begin().await?;
    let run = run_row::lock(&mut tx, id).await?;
    check(&run)?;
    if let Err(reason) = Setup::of_assignment(&mut tx, run.agent_assignment_id).await? {
        let error = RunError { error: reason.clone(), step: "start_run".to_owned(), batch: None, at: Utc::now() };
        journal::fail(&mut tx, id, &error).await?;
        tx.commit().await?;
        return Err(ServiceError::Invalid(reason));
    }
    tx.commit().await?;
    // Another one may start it at the same time, and a server may die before it has noted the task: the queue takes a run once, whoever
    // asks, and the task notes itself when it begins.
    let pushed = queue.push_once(TASK, json!({"run_id": id}), &format!("analysis-run@{id}")).await.map_err(refusal)?;
    let Some(triggered) = pushed else { return Err(started_already(RunStatus::Pending)) };
    let mut db = queue.pool().acquire().await?;
    note_task(&mut db, id, &triggered.task_id).await?;
    Ok(RunStarted { status: "started".to_owned(), run_id: id, message: "Analysis run job triggered successfully".to_owned() })
}

fn check(run: &Run) -> Result<(), ServiceError> {
    if run.status == RunStatus::Pending && run.task_id.is_none() {
        return Ok(());
    }
    Err(started_already(run.status))
}

fn started_already(status: RunStatus) -> ServiceError {
    ServiceError::Conflict(match status {
        RunStatus::Pending => "the run was started already: it waits for a worker".to_owned(),
        RunStatus::Cancelled => "the run was cancelled: make a new one".to_owned(),
        status => format!("the run was started already: it is {status}"),
    })
}

fn refusal(error: TriggerError) -> ServiceError {
    match error {
        TriggerError::Database(cause) => ServiceError::Database(cause),
        other => ServiceError::Conflict(other.to_string()),
    }
}

async fn note_task(db: &mut PgConnection, run: Uuid, task: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("update analysis_runs set task_id = $2, updated_at = now() where id = $1 and task_id is null", run, task)
        .execute(db)
        .await?;
    Ok(())
}
