//! The connection on which batches are written.

use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::{Connection, PgConnection, PgPool};

/// How long a new connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// A connection that is kept from batch to batch. The pool hands out its connections in turn, so that each of them would have to learn all
/// partitions and their indexes, plan every statement, and keep that in memory.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept(Arc<Mutex<Option<PgConnection>>>);

/// A transaction on that connection. Dropping it closes the connection, whatever its state: Postgres takes everything back then.
#[derive(Debug)]
pub(super) struct KeptTx {
    connection: PgConnection,
    kept: Kept,
}

impl Kept {
    /// Begins a transaction by these statements. Where another one is open, it gets a connection of its own.
    pub(super) async fn begin(&self, pool: &PgPool, statements: &'static str) -> Result<KeptTx, sqlx::Error> {
        if let Some(mut connection) = self.take()
            && sqlx::raw_sql(statements).execute(&mut connection).await.is_ok()
        {
            return Ok(KeptTx { connection, kept: self.clone() });
        }
        // The one that was kept is broken: Postgres has been away, or has ended it.
        let options = pool.connect_options();
        let mut connection = tokio::time::timeout(CONNECT_LIMIT, PgConnection::connect_with(&options))
            .await
            .map_err(|_| sqlx::Error::PoolTimedOut)??;
        sqlx::raw_sql(statements).execute(&mut connection).await?;
        Ok(KeptTx { connection, kept: self.clone() })
    }

    /// Closes it.
    pub(super) async fn close(&self) {
        if let Some(connection) = self.take() {
            // What matters is that it is gone.
            let _ = connection.close().await;
        }
    }

    fn take(&self) -> Option<PgConnection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl KeptTx {
    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        self.end("commit").await
    }

    /// Takes back what was done, and keeps the connection.
    pub(super) async fn roll_back(self) -> Result<(), sqlx::Error> {
        self.end("rollback").await
    }

    async fn end(mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(statement).execute(&mut self.connection).await?;
        let spare = self.kept.0.lock().unwrap_or_else(PoisonError::into_inner).replace(self.connection);
        if let Some(spare) = spare {
            // Two were open at once.
            let _ = spare.close().await;
        }
        Ok(())
    }
}

impl Deref for KeptTx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for KeptTx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}
