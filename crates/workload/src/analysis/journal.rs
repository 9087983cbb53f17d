use serde::Serialize;
use sqlx::{PgConnection, PgExecutor, types::Json as SqlJson};
use taskscope_wire::{AnalysisEventKind, Run};
use uuid::Uuid;

use super::run_row;

/// Notes what happened to a run, in the transaction in which it happened. The run's row must be locked, so that events keep their order.
pub(super) async fn tell(db: &mut PgConnection, event: AnalysisEventKind, data: &impl Serialize) -> Result<(), sqlx::Error> {
    let event: &str = event.into();
    let data = serde_json::to_value(data).map_err(|error| sqlx::Error::Encode(error.into()))?;
    sqlx::query!("insert into analysis_events (event, data) values ($1, $2)", event, data).execute(db).await?;
    Ok(())
}

/// The same, with the run as it is now; gives it back.
pub(super) async fn tell_run(db: &mut PgConnection, event: AnalysisEventKind, id: Uuid) -> Result<Run, sqlx::Error> {
    let run = run_row::load(&mut *db, id).await?.ok_or(sqlx::Error::RowNotFound)?;
    tell(db, event, &run).await?;
    Ok(run)
}

/// Writes a line of a run's log: the run's name comes first.
pub(super) async fn log(db: impl PgExecutor<'_>, run: Uuid, text: &str) -> Result<(), sqlx::Error> {
    log_line(db, run, &format!("Run {run}: {text}")).await
}

/// Writes a line of a run's log as it is.
pub(super) async fn log_line(db: impl PgExecutor<'_>, run: Uuid, line: &str) -> Result<(), sqlx::Error> {
    tracing::info!("{line}");
    sqlx::query!("insert into analysis_log (run_id, line) values ($1, $2)", run, line).execute(db).await?;
    Ok(())
}

/// Why a run failed, as its `error_log` has it; ends the run, and tells so.
pub(super) async fn fail(db: &mut PgConnection, run: Uuid, error: &taskscope_wire::RunError) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update analysis_runs set status = 'failed', error_log = $2, completed_at = $3, updated_at = now() where id = $1",
        run,
        SqlJson(error) as _,
        error.at,
    )
    .execute(&mut *db)
    .await?;
    let place = error.batch.map_or_else(|| error.step.clone(), |batch| format!("{} of batch {batch}", error.step));
    log(&mut *db, run, &format!("Failed in {place}: {}", error.error)).await?;
    tell_run(db, AnalysisEventKind::RunFailed, run).await?;
    Ok(())
}
