//! What others did to the execution log by SQL: the triggers note it, the recorder makes live messages of it.

use chrono::{DateTime, Utc};

use super::{BatchTx, Store, StoreError};

/// A row that somebody inserted, updated or deleted by SQL.
#[derive(Debug, Clone)]
pub struct ForeignChange {
    /// Its status before; none where it is new.
    pub old_status: Option<String>,
    /// Its status after; none where it was deleted.
    pub new_status: Option<String>,
    /// The row's id.
    pub row_id: i64,
    /// How the row is now; none where it is gone.
    pub row: Option<ForeignRow>,
}

/// A row as it is now.
#[derive(Debug, Clone)]
pub struct ForeignRow {
    /// The task type.
    pub task_name: String,
    /// The broker's id.
    pub task_id: Option<String>,
    /// The attempt.
    pub attempt: i32,
    /// When it started.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub completed_at: Option<DateTime<Utc>>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// How long it ran.
    pub duration_ms: Option<i64>,
    /// Why it failed.
    pub error_message: Option<String>,
    /// JSON text of what it was called with.
    pub params: Option<String>,
}

impl Store {
    /// Whether somebody wrote the log by SQL since the last look.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn has_foreign_changes(&self) -> Result<bool, StoreError> {
        let any = sqlx::query_scalar!(r#"select exists (select from foreign_changes) as "any!""#);
        Ok(any.fetch_one(&self.pool).await?)
    }
}

impl BatchTx {
    /// Takes the oldest noted changes out, at most `limit`.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn take_foreign_changes(&mut self, limit: i64) -> Result<Vec<ForeignChange>, StoreError> {
        let rows = sqlx::query!(
            r#"with taken as (
                   delete from foreign_changes where id in (select id from foreign_changes order by id limit $1)
                   returning id, row_id, old_status, new_status
               )
               select taken.row_id, taken.old_status, taken.new_status, log.task_name as "task_name?", log.task_id, log.attempt as "attempt?",
                      log.started_at, log.completed_at, log.created_at as "created_at?", log.updated_at as "updated_at?",
                      log.duration_ms, log.error_message, log.params::text
               from taken left join task_execution_logs log on log.id = taken.row_id
               order by taken.id"#,
            limit,
        )
        .fetch_all(&mut *self.tx)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| ForeignChange {
                old_status: row.old_status,
                new_status: row.new_status,
                row_id: row.row_id,
                row: match (row.task_name, row.attempt, row.created_at, row.updated_at) {
                    (Some(task_name), Some(attempt), Some(created_at), Some(updated_at)) => Some(ForeignRow {
                        task_name,
                        task_id: row.task_id,
                        attempt,
                        started_at: row.started_at,
                        completed_at: row.completed_at,
                        created_at,
                        updated_at,
                        duration_ms: row.duration_ms,
                        error_message: row.error_message,
                        params: row.params,
                    }),
                    _ => None,
                },
            })
            .collect())
    }
}
