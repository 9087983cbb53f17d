use std::sync::Arc;

use sqlx::PgPool;

use crate::{WorkloadConfig, http};

/// What requests of people and programs are answered with, where that takes more than the database. Clones share it.
#[derive(Debug, Clone)]
pub struct Service {
    pub(crate) pool: PgPool,
    pub(crate) config: Arc<WorkloadConfig>,
    pub(crate) http: reqwest::Client,
}

impl Service {
    /// The service on this database.
    ///
    /// # Errors
    /// The machine's certificates can't be read.
    pub fn new(pool: PgPool, config: WorkloadConfig) -> anyhow::Result<Self> {
        let http = http::client(&config)?;
        Ok(Self { pool, config: Arc::new(config), http })
    }

    /// The connections of the product's own tables.
    #[must_use]
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The settings of the task types.
    #[must_use]
    pub fn config(&self) -> &WorkloadConfig {
        &self.config
    }
}
