use chrono::Utc;
use taskscope_wire::{AnalysisEventKind, Progress, RunError, RunStatus};

use super::{Executor, Outcome, Place, Stop, progress};
use crate::{
    analysis::{journal, run_row::word},
    failure::{Failure, TaskResult},
};

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
        }
        Err(failure.never_again())
    }
}
