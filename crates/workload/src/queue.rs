use std::{sync::Arc, time::Duration};

use apalis::prelude::{TaskBuilder, TaskId, TaskSink, TaskSinkError};
use apalis_postgres::{Config, PostgresStorage};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgPool;
use taskscope_client::Reporter;
use taskscope_wire::{Json, Triggered};
use ulid::Ulid;

use crate::{
    registry::{self, Definition},
    reporting,
};

/// How long the queue remembers a task that is done: long enough to keep a tick of the clock from being queued twice.
const REMEMBERED: &str = "1 day";

/// The queue of the product's own tasks: apalis' tables in Postgres. Clones share it.
#[derive(Debug, Clone)]
pub struct Queue {
    pool: PgPool,
    reporter: Option<Arc<Reporter>>,
}

/// A task as it stands in the queue.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) params: Value,
}

/// Why a task was not queued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TriggerError {
    /// There is no such task type.
    #[error("there is no task type {name:?}: they are {}", .known.join(", "))]
    UnknownTask {
        /// What was asked for.
        name: String,
        /// The names there are.
        known: &'static [&'static str],
    },
    /// A sentence that names the parameter and what is allowed.
    #[error("{0}")]
    InvalidParams(String),
    /// Postgres didn't take it.
    #[error("the queue can't be reached")]
    Database(#[source] sqlx::Error),
}

impl Queue {
    /// The queue in this database. With a reporter, what is put into it is reported as queued.
    #[must_use]
    pub fn new(pool: PgPool, reporter: Option<Reporter>) -> Self {
        Self { pool, reporter: reporter.map(Arc::new) }
    }

    /// Brings apalis' tables, in a schema of their own, up to its version.
    ///
    /// # Errors
    /// A sentence: Postgres doesn't answer, or lacks the extensions.
    pub async fn setup(&self) -> anyhow::Result<()> {
        PostgresStorage::setup(&self.pool).await.map_err(|error| setup_error(error.into()))
    }

    /// Puts a task into its queue.
    ///
    /// # Errors
    /// The name is unknown, a parameter is wrong, or Postgres doesn't answer.
    pub async fn trigger(&self, name: &str, params: Option<Json>) -> Result<Triggered, TriggerError> {
        let params = params.map_or_else(|| Ok(json!({})), |params| serde_json::from_str(params.as_str()));
        let params = params.map_err(|error| TriggerError::InvalidParams(error.to_string()))?;
        self.push(name, params, None).await
    }

    /// The same for a tick of the clock, which several workers may see: the first one queues it, and is the one to be told.
    pub(crate) async fn push_tick(&self, name: &str, tick: DateTime<Utc>) -> Result<Option<Triggered>, TriggerError> {
        self.push_once(name, json!({}), &format!("{name}@{}", tick.format("%FT%TZ"))).await
    }

    /// Puts a task into its queue unless one with this key was, in the last day or so.
    pub(crate) async fn push_once(&self, name: &str, params: Value, key: &str) -> Result<Option<Triggered>, TriggerError> {
        match self.push(name, params, Some(key)).await {
            Ok(triggered) => Ok(Some(triggered)),
            Err(TriggerError::Database(error)) if is_unique_violation(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn push(&self, name: &str, params: Value, key: Option<&str>) -> Result<Triggered, TriggerError> {
        let definition = checked(name, &params)?;
        let id = Ulid::generate();
        let task_id = id.to_string();
        let work = reporting::work(&task_id, definition, &params, 1);
        let job = json!(Job { name: name.to_owned(), params });
        let task = TaskBuilder::new(job).task_id(TaskId::from_ulid(id)).max_attempts(definition.max_attempts.into());
        let task = match key {
            Some(key) => task.idempotency_key(key),
            None => task,
        };
        let config = Config::default().queue(definition.queue);
        let mut storage = PostgresStorage::<Value>::new(&self.pool).with_config(config);
        storage.push_task(task.build()).await.map_err(database_error)?;
        reporting::queued(self.reporter(), &work);
        Ok(Triggered { task_id, task_name: name.to_owned(), queue: definition.queue.to_owned() })
    }

    /// Lets a failed task rest before its next attempt.
    pub(crate) async fn postpone(&self, task_id: &str, pause: Duration) -> Result<(), sqlx::Error> {
        sqlx::query("update apalis.jobs set run_at = now() + $2 * interval '1 second' where id = $1")
            .bind(task_id)
            .bind(pause.as_secs_f64())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Says that a worker of the queue is alive.
    pub(crate) async fn keep_alive(&self, worker: &str) -> Result<(), sqlx::Error> {
        sqlx::query("update apalis.workers set last_seen = now() where id = $1").bind(worker).execute(&self.pool).await?;
        Ok(())
    }

    /// Forgets tasks that ended and workers that are gone, and says how many tasks it was.
    pub(crate) async fn tidy(&self) -> Result<u64, sqlx::Error> {
        let forgotten = sqlx::query(
            "delete from apalis.jobs
             where (status in ('Done', 'Killed') or (status = 'Failed' and attempts >= max_attempts))
               and done_at < now() - $1::text::interval",
        )
        .bind(REMEMBERED)
        .execute(&self.pool)
        .await?;
        sqlx::query(
            "delete from apalis.workers w
             where last_seen < now() - $1::text::interval and not exists (select from apalis.jobs where lock_by = w.id)",
        )
        .bind(REMEMBERED)
        .execute(&self.pool)
        .await?;
        Ok(forgotten.rows_affected())
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    pub(crate) fn reporter(&self) -> Option<&Reporter> {
        self.reporter.as_deref()
    }
}

/// The usual cause has a remedy.
fn setup_error(error: anyhow::Error) -> anyhow::Error {
    let text = format!("{error:#}");
    if text.contains("pgcrypto") || text.contains("hstore") {
        return error.context(
            "the queue needs the extensions pgcrypto and hstore of Postgres: install the contrib modules of the server's version \
             (Debian's package postgresql has them), or have its administrator create the extensions in this database",
        );
    }
    error.context("the queue's tables can't be brought up to date")
}

/// The task type, if it can run with these params.
fn checked(name: &str, params: &Value) -> Result<&'static Definition, TriggerError> {
    let definition =
        registry::find(name).ok_or_else(|| TriggerError::UnknownTask { name: name.to_owned(), known: registry::names() })?;
    (definition.body.check)(params).map_err(TriggerError::InvalidParams)?;
    Ok(definition)
}

fn database_error(error: TaskSinkError<apalis_postgres::Error>) -> TriggerError {
    TriggerError::Database(match error {
        TaskSinkError::PushError(apalis_postgres::Error::Database(error)) => error,
        other => sqlx::Error::Protocol(other.to_string()),
    })
}

fn is_unique_violation(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}
