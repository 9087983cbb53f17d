use sqlx::{PgConnection, PgPool, types::Json as SqlJson};
use taskscope_wire::{AccuracyMetrics, AnalysisEventKind, Run, RunStatus};
use uuid::Uuid;

use super::{journal, run_row};
use crate::ServiceError;

/// Makes the review of a run final.
///
/// # Errors
/// There is no such run, proposals are not reviewed, or Postgres doesn't answer.
pub async fn close_run(pool: &PgPool, id: Uuid) -> Result<Run, ServiceError> {
    let mut tx = pool.begin().await?;
    check(&run_row::lock(&mut tx, id).await?)?;
    let metrics = accuracy(&mut tx, id).await?;
    sqlx::query!(
        "update analysis_runs set status = 'closed', closed_at = now(), updated_at = now(), accuracy_metrics = $2 where id = $1",
        id,
        SqlJson(&metrics) as _,
    )
    .execute(&mut *tx)
    .await?;
    let run = journal::tell_run(&mut tx, AnalysisEventKind::RunUpdated, id).await?;
    tx.commit().await?;
    Ok(run)
}

fn check(run: &Run) -> Result<(), ServiceError> {
    let sentence = match (run.status, run.proposals_pending) {
        (RunStatus::Completed | RunStatus::Reviewed, 0) => return Ok(()),
        (RunStatus::Completed | RunStatus::Reviewed, 1) => format!("1 of {} proposals is not reviewed", run.proposals_total),
        (RunStatus::Completed | RunStatus::Reviewed, pending) => {
            format!("{pending} of {} proposals are not reviewed", run.proposals_total)
        }
        (RunStatus::Closed, _) => "the run is closed already".to_owned(),
        (status, _) => format!("only a run that is completed or reviewed can be closed; this one is {status}"),
    };
    Err(ServiceError::Conflict(sentence))
}

async fn accuracy(db: &mut PgConnection, run: Uuid) -> Result<AccuracyMetrics, sqlx::Error> {
    sqlx::query_as!(
        AccuracyMetrics,
        r#"select avg((status in ('approved', 'merged'))::int)::float8 as approval_rate,
               avg((status = 'rejected')::int)::float8 as rejection_rate,
               avg(confidence) as average_confidence,
               avg(confidence) filter (where status in ('approved', 'merged')) as approved_confidence,
               avg(confidence) filter (where status = 'rejected') as rejected_confidence
           from proposals where run_id = $1"#,
        run,
    )
    .fetch_one(db)
    .await
}
