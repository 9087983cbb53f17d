use chrono::{DateTime, Utc};
use sqlx::{PgConnection, types::Json as SqlJson};
use taskscope_wire::{AccuracyMetrics, Json, Run, RunError};
use uuid::Uuid;

use crate::ServiceError;

/// A run, locked until the transaction ends: whoever changes it waits.
pub(super) async fn lock(db: &mut PgConnection, id: Uuid) -> Result<Run, ServiceError> {
    sqlx::query_scalar!("select id from analysis_runs where id = $1 for no key update", id).fetch_optional(&mut *db).await?;
    load(db, id).await?.ok_or_else(|| not_found(id))
}

/// One run, without its snapshot.
pub(super) async fn load(db: &mut PgConnection, id: Uuid) -> Result<Option<Run>, sqlx::Error> {
    Ok(load_all(db, &[id]).await?.pop())
}

/// One run, with its snapshot.
pub(super) async fn load_whole(db: &mut PgConnection, id: Uuid) -> Result<Option<Run>, sqlx::Error> {
    Ok(read(db, &[id], true).await?.pop())
}

/// That a run is not there.
pub(super) fn not_found(id: Uuid) -> ServiceError {
    ServiceError::NotFound(format!("analysis run {id}"))
}

/// The runs with these ids, newest first, without their snapshots.
pub(super) async fn load_all(db: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Run>, sqlx::Error> {
    read(db, ids, false).await
}

async fn read(db: &mut PgConnection, ids: &[Uuid], with_snapshot: bool) -> Result<Vec<Run>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select id, status, time_window_start, time_window_end, agent_assignment_id, project_config_id, trigger_type, agent_name,
               case when $2 then config_snapshot::text end as config_snapshot, task_id, created_at, started_at, completed_at, closed_at,
               total_messages_in_window, messages_after_prefilter, messages_processed, batches_created, batches_done, proposals_total,
               proposals_pending, proposals_approved, proposals_rejected, proposals_merged, llm_tokens, prompt_tokens, completion_tokens,
               cost, error_log as "error_log: SqlJson<RunError>", accuracy_metrics as "accuracy_metrics: SqlJson<AccuracyMetrics>"
           from analysis_runs where id = any($1) order by created_at desc, id desc"#,
        ids,
        with_snapshot,
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(Run::try_from).collect()
}

/// A word of the database as one of an enum's.
pub(super) fn word<T: std::str::FromStr>(text: &str) -> Result<T, sqlx::Error> {
    text.parse().map_err(|_| sqlx::Error::Decode(format!("{text:?} is no {}", std::any::type_name::<T>()).into()))
}

struct Row {
    id: Uuid,
    status: String,
    time_window_start: DateTime<Utc>,
    time_window_end: DateTime<Utc>,
    agent_assignment_id: Uuid,
    project_config_id: Option<Uuid>,
    trigger_type: String,
    agent_name: Option<String>,
    config_snapshot: Option<String>,
    task_id: Option<String>,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
    closed_at: Option<DateTime<Utc>>,
    total_messages_in_window: i64,
    messages_after_prefilter: i64,
    messages_processed: i64,
    batches_created: i64,
    batches_done: i64,
    proposals_total: i64,
    proposals_pending: i64,
    proposals_approved: i64,
    proposals_rejected: i64,
    proposals_merged: i64,
    llm_tokens: i64,
    prompt_tokens: i64,
    completion_tokens: i64,
    cost: Option<f64>,
    error_log: Option<SqlJson<RunError>>,
    accuracy_metrics: Option<SqlJson<AccuracyMetrics>>,
}

impl TryFrom<Row> for Run {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        let snapshot = row.config_snapshot.map(Json::parse).transpose();
        Ok(Self {
            id: row.id,
            status: word(&row.status)?,
            time_window_start: row.time_window_start,
            time_window_end: row.time_window_end,
            agent_assignment_id: row.agent_assignment_id,
            project_config_id: row.project_config_id,
            trigger_type: word(&row.trigger_type)?,
            agent_name: row.agent_name,
            config_snapshot: snapshot.map_err(|error| sqlx::Error::Decode(error.into()))?,
            task_id: row.task_id,
            created_at: row.created_at,
            started_at: row.started_at,
            completed_at: row.completed_at,
            closed_at: row.closed_at,
            total_messages_in_window: row.total_messages_in_window,
            messages_after_prefilter: row.messages_after_prefilter,
            messages_processed: row.messages_processed,
            batches_created: row.batches_created,
            batches_done: row.batches_done,
            proposals_total: row.proposals_total,
            proposals_pending: row.proposals_pending,
            proposals_approved: row.proposals_approved,
            proposals_rejected: row.proposals_rejected,
            proposals_merged: row.proposals_merged,
            llm_tokens: row.llm_tokens,
            prompt_tokens: row.prompt_tokens,
            completion_tokens: row.completion_tokens,
            cost: row.cost,
            error_log: row.error_log.map(|error| error.0),
            accuracy_metrics: row.accuracy_metrics.map(|metrics| metrics.0),
        })
    }
}
