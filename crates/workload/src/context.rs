use std::sync::Arc;

use serde_json::Value;
use sqlx::PgPool;

use crate::{Queue, WorkloadConfig, failure::TaskResult};

/// What a task body has to work with.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) pool: PgPool,
    pub(crate) config: Arc<WorkloadConfig>,
    pub(crate) http: reqwest::Client,
    /// The task's own name, the same in all its attempts: what an attempt left half done is found by it.
    pub(crate) task_id: String,
    pub(crate) queue: Queue,
}

impl Context {
    /// Has another task run later.
    pub(crate) async fn later(&self, name: &str, params: Value) -> TaskResult<()> {
        self.queue.push(name, params, None).await?;
        Ok(())
    }
}
