use sqlx::PgPool;
use taskscope_wire::{AnalysisEventKind, NewRun, Page, Run, RunLogLine, RunQuery, RunStatus, check_page};
use uuid::Uuid;

use super::{journal, run_row};
use crate::{ServiceError, bounds};

/// Lines of a log that are given at once.
const LINES: i64 = 1000;

/// Makes a run, which waits to be started.
///
/// # Errors
/// A field is wrong, or Postgres doesn't answer.
pub async fn create_run(pool: &PgPool, new: &NewRun) -> Result<Run, ServiceError> {
    bounds::time("time_window_start", new.time_window_start)?;
    bounds::time("time_window_end", new.time_window_end)?;
    let trigger_type: &str = new.trigger_type.into();
    let id = sqlx::query_scalar!(
        "insert into analysis_runs (time_window_start, time_window_end, agent_assignment_id, project_config_id, trigger_type)
         values ($1, $2, $3, $4, $5) returning id",
        new.time_window_start,
        new.time_window_end,
        new.agent_assignment_id,
        new.project_config_id,
        trigger_type,
    )
    .fetch_one(pool)
    .await?;
    run(pool, id).await
}

/// Stops a run that is not over.
///
/// # Errors
/// There is no such run, it is over, or Postgres doesn't answer.
pub async fn cancel_run(pool: &PgPool, id: Uuid) -> Result<Run, ServiceError> {
    let mut tx = pool.begin().await?;
    let status = run_row::lock(&mut tx, id).await?.status;
    if !matches!(status, RunStatus::Pending | RunStatus::Running) {
        return Err(ServiceError::Conflict(format!(
            "only a run that is pending or running can be cancelled; this one is {status}"
        )));
    }
    sqlx::query!("update analysis_runs set status = 'cancelled', completed_at = now(), updated_at = now() where id = $1", id)
        .execute(&mut *tx)
        .await?;
    journal::log(&mut *tx, id, "Cancelled").await?;
    let run = journal::tell_run(&mut tx, AnalysisEventKind::RunUpdated, id).await?;
    tx.commit().await?;
    Ok(run)
}

/// A page of runs, newest first, without their snapshots.
///
/// # Errors
/// The query asks for what is not allowed, or Postgres doesn't answer.
pub async fn runs(pool: &PgPool, query: &RunQuery) -> Result<Page<Run>, ServiceError> {
    check_page(query.page, query.page_size).map_err(ServiceError::Invalid)?;
    let status: Option<&str> = query.status.map(Into::into);
    let mut db = pool.acquire().await?;
    let counted = sqlx::query_scalar!(
        r#"select count(*) as "count!" from analysis_runs where $1::text is null or status = $1"#,
        status as Option<&str>,
    );
    let total_count = counted.fetch_one(&mut *db).await?;
    let ids = sqlx::query_scalar!(
        "select id from analysis_runs where $1::text is null or status = $1
         order by created_at desc, id desc limit $2 offset $3",
        status as Option<&str>,
        query.page_size,
        (query.page - 1) * query.page_size,
    )
    .fetch_all(&mut *db)
    .await?;
    let items = run_row::load_all(&mut db, &ids).await?;
    Ok(Page::new(total_count, query.page, query.page_size, items))
}

/// One run.
///
/// # Errors
/// There is no such run, or Postgres doesn't answer.
pub async fn run(pool: &PgPool, id: Uuid) -> Result<Run, ServiceError> {
    let mut db = pool.acquire().await?;
    run_row::load_whole(&mut db, id).await?.ok_or_else(|| run_row::not_found(id))
}

/// The lines of a run's log after this one (0: from the first), oldest first, at most a thousand.
///
/// # Errors
/// There is no such run, or Postgres doesn't answer.
pub async fn run_log(pool: &PgPool, id: Uuid, after: i64) -> Result<Vec<RunLogLine>, ServiceError> {
    let lines = sqlx::query_as!(
        RunLogLine,
        "select id, at, line from analysis_log where run_id = $1 and id > $2 order by id limit $3",
        id,
        after,
        LINES,
    )
    .fetch_all(pool)
    .await?;
    if lines.is_empty() {
        sqlx::query_scalar!("select id from analysis_runs where id = $1", id)
            .fetch_optional(pool)
            .await?
            .ok_or_else(|| run_row::not_found(id))?;
    }
    Ok(lines)
}
