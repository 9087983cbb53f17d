use serde_json::Value;
use sqlx::PgConnection;
use taskscope_wire::{AnalysisEventKind, RunStatus};

use super::{Executor, Stop};
use crate::{
    analysis::{
        journal,
        run_row::word,
        setup::{Setup, Snapshot},
    },
    failure::Failure,
};

/// A run as an attempt finds it.
struct Found {
    status: RunStatus,
    task_id: Option<String>,
    assignment: uuid::Uuid,
    project: Option<uuid::Uuid>,
    snapshot: Value,
    batches_created: i64,
    batches_done: i64,
}

impl Executor<'_> {
    /// Takes the run: what it goes by is noted the first time, and told.
    pub(super) async fn start_run(&self) -> Result<Snapshot, Stop> {
        let mut tx = self.pool.begin().await?;
        let found = self.find(&mut tx).await?;
        sqlx::query!(
            "update analysis_runs set executor = $2, task_id = $3, updated_at = now() where id = $1",
            self.run_id,
            self.id,
            self.context.task_id,
        )
        .execute(&mut *tx)
        .await?;
        journal::log_line(&mut *tx, self.run_id, &format!("Starting analysis run execution: {}", self.run_id)).await?;
        let snapshot = match found.status {
            RunStatus::Running => self.resume(&mut tx, &found).await?,
            _ => self.begin(&mut tx, &found).await?,
        };
        tx.commit().await?;
        snapshot.map_err(|reason| Stop::Failed(Failure::permanent(reason)))
    }

    /// Reads and locks the run, if it is this task's.
    async fn find(&self, db: &mut PgConnection) -> Result<Found, Stop> {
        let row = sqlx::query!(
            "select status, task_id, agent_assignment_id, project_config_id, config_snapshot, batches_created, batches_done
             from analysis_runs where id = $1 for no key update",
            self.run_id,
        );
        let Some(row) = row.fetch_optional(db).await? else { return Err(Stop::Again(self.is_gone())) };
        let found = Found {
            status: word(&row.status)?,
            task_id: row.task_id,
            assignment: row.agent_assignment_id,
            project: row.project_config_id,
            snapshot: row.config_snapshot,
            batches_created: row.batches_created,
            batches_done: row.batches_done,
        };
        if !matches!(found.status, RunStatus::Pending | RunStatus::Running) {
            return Err(Stop::Over(found.status));
        }
        match &found.task_id {
            Some(task) if *task != self.context.task_id => {
                Err(Stop::Again(Failure::permanent(format!("the run is executed by the task {task}"))))
            }
            _ => Ok(found),
        }
    }

    /// The first attempt.
    async fn begin(&self, db: &mut PgConnection, found: &Found) -> Result<Result<Snapshot, String>, Stop> {
        let setup = match Setup::of_assignment(&mut *db, found.assignment).await? {
            Ok(setup) => setup,
            Err(reason) => return Ok(Err(reason)),
        };
        let snapshot = Snapshot::take(&mut *db, setup, found.project, &self.context.config.analysis).await?;
        sqlx::query!(
            "update analysis_runs set status = 'running', started_at = now(), agent_name = $2, config_snapshot = $3 where id = $1",
            self.run_id,
            snapshot.setup.agent_name,
            sqlx::types::Json(&snapshot) as _,
        )
        .execute(&mut *db)
        .await?;
        journal::log(&mut *db, self.run_id, "Starting run").await?;
        journal::tell_run(db, AnalysisEventKind::RunStarted, self.run_id).await?;
        Ok(Ok(snapshot))
    }

    /// Any later attempt.
    async fn resume(&self, db: &mut PgConnection, found: &Found) -> Result<Result<Snapshot, String>, Stop> {
        let place = match found.batches_created {
            0 => "Going on from the beginning".to_owned(),
            all => format!("Going on after {} of {all} batches", found.batches_done),
        };
        journal::log(db, self.run_id, &place).await?;
        Ok(serde_json::from_value(found.snapshot.clone())
            .map_err(|error| format!("the run's config_snapshot can't be read: {error}")))
    }
}
