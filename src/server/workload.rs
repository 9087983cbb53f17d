//! The product's own task types, as the rest of the server sees them: what there is to run, and the way into the queue.

use std::sync::Arc;

use sqlx::{PgPool, postgres::PgConnectOptions};
use taskscope_client::Reporter;
use taskscope_wire::{Import, Json, TaskType, Triggered};
use taskscope_workload::{Queue, Service, ServiceError, TriggerError, WorkloadConfig};
use tokio::sync::OnceCell;

use super::{config::Config, store::StoreError};
use crate::error::AppError;

/// Connections that requests may use.
const CONNECTIONS: u32 = 8;
/// How long one statement of a request may take, in milliseconds, and how long it may wait for what another one holds.
const STATEMENT_LIMIT: &str = "10000";
const LOCK_LIMIT: &str = "5000";

/// The way to the queue. Clones share it.
#[derive(Debug, Clone)]
pub struct Workload(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: Queue,
    service: Service,
    types: Vec<TaskType>,
    set_up: OnceCell<()>,
    reporter: Reporter,
}

impl Workload {
    /// Prepares the way; the queue's tables are made when they are first needed. `reporter` tells the monitor of what is queued.
    ///
    /// # Errors
    /// The machine's certificates can't be read.
    pub(super) fn new(options: PgConnectOptions, reporter: Reporter, config: &Config) -> anyhow::Result<Self> {
        let pool = taskscope_workload::pool_options()
            .max_connections(CONNECTIONS)
            .acquire_timeout(std::time::Duration::from_secs(2))
            .connect_lazy_with(
                options
                    .application_name("taskscope-queue")
                    .options([("statement_timeout", STATEMENT_LIMIT), ("lock_timeout", LOCK_LIMIT)]),
            );
        Ok(Self(Arc::new(Shared {
            queue: Queue::new(pool.clone(), Some(reporter.clone())),
            types: taskscope_workload::task_types(&config.workload),
            service: Service::new(pool, config.workload.clone())?,
            set_up: OnceCell::new(),
            reporter,
        })))
    }

    /// All task types.
    #[must_use]
    pub fn task_types(&self) -> &[TaskType] {
        &self.0.types
    }

    /// Puts a task into its queue.
    ///
    /// # Errors
    /// There is no such task type, a param is wrong, or the database doesn't answer.
    pub async fn trigger(&self, name: &str, params: Option<Json>) -> Result<Triggered, TriggerError> {
        self.queue().await?.trigger(name, params).await
    }

    /// The queue, with its tables.
    ///
    /// # Errors
    /// The tables can't be made.
    pub async fn queue(&self) -> Result<&Queue, TriggerError> {
        let set_up = self.0.set_up.get_or_try_init(|| self.0.queue.setup()).await;
        // Only the log says why: callers are told that it can't be done now.
        set_up.map_err(|error| TriggerError::Database(sqlx::Error::Protocol(format!("{error:#}"))))?;
        Ok(&self.0.queue)
    }

    /// The newest imports of messages, newest first.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn imports(&self) -> Result<Vec<Import>, StoreError> {
        Ok(taskscope_workload::imports(self.pool()).await?)
    }

    /// What answers requests on the product's own tables.
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.0.service
    }

    /// The connections of the product's own tables.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        self.0.service.pool()
    }

    /// The settings of the task types.
    #[must_use]
    pub fn config(&self) -> &WorkloadConfig {
        self.0.service.config()
    }

    /// Tells what is left to tell.
    pub(super) async fn stop(&self, limit: std::time::Duration) {
        self.0.reporter.shutdown(limit).await;
        let _ = tokio::time::timeout(limit, self.pool().close()).await;
    }
}

impl From<TriggerError> for AppError {
    fn from(error: TriggerError) -> Self {
        match error {
            TriggerError::UnknownTask { name, .. } => Self::NotFound(format!("task type {name}")).with_status(),
            TriggerError::Database(cause) => StoreError::from(cause).into(),
            other => Self::Refused(other.to_string()).with_status(),
        }
    }
}

impl From<ServiceError> for AppError {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::NotFound(what) => Self::NotFound(what).with_status(),
            ServiceError::Database(cause) => StoreError::from(cause).into(),
            other => Self::Refused(other.to_string()).with_status(),
        }
    }
}
