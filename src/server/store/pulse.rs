//! The connection on which Postgres is asked for a sign of life.

use std::sync::Arc;

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::sync::Mutex;

/// A connection of its own: with the pool's, a crowd that waits for them would look like a Postgres that is away, and each question that a
/// frozen one doesn't answer would take one of them away for as long.
#[derive(Debug, Clone, Default)]
pub(super) struct Pulse(Arc<Mutex<Option<PgConnection>>>);

impl Pulse {
    /// Asks. Dropping it, as after too long, closes the connection.
    pub(super) async fn feel(&self, options: &PgConnectOptions) -> Result<(), sqlx::Error> {
        let mut kept = self.0.lock().await;
        if let Some(connection) = kept.take()
            && let Ok(alive) = ask(connection).await
        {
            *kept = Some(alive);
            return Ok(());
        }
        // Only that one may have been ended.
        *kept = Some(ask(PgConnection::connect_with(options).await?).await?);
        Ok(())
    }

    /// Closes it.
    pub(super) async fn close(&self) {
        if let Some(connection) = self.0.lock().await.take() {
            // What matters is that it is gone.
            let _ = connection.close().await;
        }
    }
}

async fn ask(mut connection: PgConnection) -> Result<PgConnection, sqlx::Error> {
    sqlx::query_scalar!("select 1 as one").fetch_one(&mut connection).await?;
    Ok(connection)
}
