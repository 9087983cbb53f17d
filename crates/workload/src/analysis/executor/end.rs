use chrono::Utc;
use sqlx::PgPool;
use taskscope_wire::{AnalysisEventKind, Progress, RunError, RunStatus};
use uuid::Uuid;

use super::{Executor, Outcome, Place, Stop, progress};
use crate::{
    analysis::{journal, run_row::word},
    failure::{Failure, TaskResult},
};

/// Ends a run whose task has failed for good without a word about it: its workers died, its time was up, or the database was away.
pub(crate) async fn give_up(pool: &PgPool, run_id: Uuid, task_id: &str, reason: String) -> TaskResult<()> {
    let mut tx = pool.begin().await?;
    let waiting = sqlx::query_scalar!(
        "select id from analysis_runs where id = $1 and task_id = $2 and status in ('pending', 'running') for no key update",
        run_id,
        task_id,
    );
    if waiting.fetch_optional(&mut *tx).await?.is_some() {
        let error = RunError { error: reason, step: "execute_run".to_owned(), batch: None, at: Utc::now() };
        journal::fail(&mut tx, run_id, &error).await?;
        tx.commit().await?;
    }
    Ok(())
}

impl Executor<'_> {
    /// Ends the run well.
    pub(super) async fn complete_run(&self) -> Result<Progress, Stop> {
        let mut tx = self.turn().await?;
        sqlx::query!(
            "update analysis_runs set status = 'completed', completed_at = now(), updated_at = now() where id = $1",
            self.run_id,
        )
        .execute(&mut *tx)
        .await?;
        journal::log(&mut *tx, self.run_id, "Successfully completed").await?;
        let run = journal::tell_run(&mut tx, AnalysisEventKind::RunCompleted, self.run_id).await?;
        let progress = progress(&mut tx, self.run_id, run.batches_done).await?;
        tx.commit().await?;
        Ok(progress)
    }

    /// Ends the run with what went wrong, unless it is over or another attempt's by now. The task fails with it for good; only where the
    /// database doesn't take it, another attempt comes to the same end.
    pub(super) async fn fail_run(&self, place: &Place, failure: Failure) -> TaskResult<Outcome> {
        let mut tx = self.context.pool.begin().await?;
        let row = sqlx::query!("select status, executor from analysis_runs where id = $1 for no key update", self.run_id);
        let row = row.fetch_one(&mut *tx).await?;
        let is_on = matches!(word(&row.status)?, RunStatus::Pending | RunStatus::Running);
        if is_on && row.executor == Some(self.id) {
            let (step, batch) = (place.step.to_owned(), place.batch);
            let error = RunError { error: failure.message(), step, batch, at: Utc::now() };
            journal::fail(&mut tx, self.run_id, &error).await?;
            tx.commit().await?;
        } else if is_on && place.step != "start_run" {
            // This one had it, and another one has it now.
            tx.rollback().await?;
            return Err(self.stand_by().await?);
        }
        Err(failure.never_again())
    }
}
