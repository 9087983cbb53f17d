//! Connections that carry nothing over from whoever had them before.

use sqlx::{PgConnection, Row, postgres::PgPoolOptions};

/// Whether the connection is in no transaction. Asked by the simple protocol: there, and only there, a statement that begins its own
/// transaction has its very timestamp.
const ALONE: &str = "select transaction_timestamp() = statement_timestamp()";

/// A pool in which a connection that was left inside a transaction is closed instead of handed out.
///
/// sqlx 0.9.0 leaves one so when `begin` is dropped while it waits, as it is when a client hangs up or a worker is stopped
/// (launchbadge/sqlx 4385 and 4393): what the next user writes would be answered as written, unseen by everybody, and be rolled back one day.
/// The question takes the place of the ping, which costs as much and doesn't see it.
#[must_use]
pub fn pool_options() -> PgPoolOptions {
    PgPoolOptions::new().test_before_acquire(false).before_acquire(|connection, _| {
        // One that doesn't answer any more is closed too: Postgres has ended it, which is no news.
        Box::pin(async { Ok(is_alone(connection).await.unwrap_or(false)) })
    })
}

async fn is_alone(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::raw_sql(ALONE).fetch_one(connection).await?.try_get(0)
}
