//! Postgres: the only place with SQL on the monitor's tables.
//!
//! Reads take one snapshot each, so that the numbers of an answer agree with each other. Writes go through [`BatchTx`] alone,
//! which holds the sequencer's row: batches of all recorders on one database are one after the other.

mod access;
mod active;
mod analysis;
mod attempt;
mod batch;
mod copy;
mod dead_letters;
mod events;
mod executions;
mod export;
mod filter;
mod foreign;
mod history;
mod kept;
mod metrics;
mod partitions;
mod pulse;
mod queue;
mod redaction;
mod replica;
mod rollup;
mod rows;
mod scan;
mod search;
mod search_index;
mod search_words;
mod series;
mod usual;
mod workers;

use std::time::Duration;

use sqlx::{
    PgPool, Postgres, Transaction,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use taskscope_wire::Position;

pub use access::{AccessRows, Action, Changed, ProviderAccount, StoredAccount, StoredSession, StoredToken};
pub use attempt::{Described, End, FinishText, Memo, RowKey, StoredAttempt};
pub use batch::{BatchTx, LiveText, Written};
pub use events::StoredBatch;
pub use export::Export;
pub use foreign::{ForeignChange, ForeignRow};
use kept::Kept;
use pulse::Pulse;
pub use redaction::{ExecutionTexts, StoredRules};
use replica::Replica;
pub use replica::ReplicaState;
pub use rollup::{BatchCounts, Difference, Loaded};
pub use workers::{Replaced, StallRules, UsualTime};

/// How long a read may take. Postgres is told, and the client side gives up a little later, for a server that is frozen.
const READ_LIMIT: Duration = Duration::from_secs(5);
/// How long a sign of life may take. With the pause between two, readers know within two seconds that there is none.
const PULSE_LIMIT: Duration = Duration::from_secs(1);

/// How many connections read first of all, and are kept. Each has to learn all partitions and plan every query, which takes longer than answering it, so
/// that few answer faster than many that take turns.
const READERS: u32 = 3;
const SNAPSHOT: &str = "begin isolation level repeatable read read only";

/// Postgres' code for a table that is not there.
const UNDEFINED_TABLE: &str = "42P01";
/// And for a lock that was waited for in vain.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// And for a database that lets nobody in.
const NO_CONNECTIONS: &str = "55000";

/// The channel on which recorders tell each other that a batch was committed.
const LIVE_CHANNEL: &str = "taskscope_live";
/// The channel on which triggers tell that somebody wrote the log by SQL, or that something happened to an analysis run.
const FOREIGN_CHANNEL: &str = "taskscope_foreign";

/// The connections to Postgres. Clones share them.
#[derive(Debug, Clone)]
pub struct Store {
    pool: PgPool,
    readers: PgPool,
    batches: Kept,
    pulse: Pulse,
    replica: Option<Replica>,
}

/// Why the store didn't do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Postgres can't be reached, is starting or stopping, or doesn't answer in time. The same call may work later.
    #[error("the database is not reachable: {0}")]
    Unavailable(String),
    /// Postgres refuses the data.
    #[error("the database refuses the data: {0}")]
    Refused(String),
    /// Anything else.
    #[error(transparent)]
    Failed(sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::Tls(_)
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Protocol(_) => Self::Unavailable(error.to_string()),
            // A starting server has not made the tables yet.
            sqlx::Error::Database(cause) if cause.code().as_deref() == Some(UNDEFINED_TABLE) => {
                Self::Unavailable(cause.to_string())
            }
            sqlx::Error::Database(cause) => match cause.code().as_deref().and_then(|code| code.get(..2)) {
                // Somebody else holds it for too long, or shuts everybody out.
                Some("55") if matches!(cause.code().as_deref(), Some(LOCK_NOT_AVAILABLE | NO_CONNECTIONS)) => {
                    Self::Unavailable(cause.to_string())
                }
                // Connection, resources (disk full, too many connections), operator intervention, system errors.
                Some("08" | "53" | "57" | "58") => Self::Unavailable(cause.to_string()),
                // Data, constraints, program limits.
                Some("22" | "23" | "54") => Self::Refused(cause.to_string()),
                _ => Self::Failed(error),
            },
            _ => Self::Failed(error),
        }
    }
}

impl Store {
    /// Prepares connections; the first one is made when it is needed.
    #[must_use]
    pub fn new(options: PgConnectOptions) -> Self {
        let options = reading(options);
        let pools = pool_options();
        let readers = pools.clone().max_connections(READERS).idle_timeout(None).max_lifetime(None);
        let pool = pools.max_connections(12).idle_timeout(Duration::from_secs(120));
        Self {
            readers: readers.connect_lazy_with(options.clone()),
            pool: pool.connect_lazy_with(options),
            batches: Kept::default(),
            pulse: Pulse::default(),
            replica: None,
        }
    }

    /// Brings the tables up to this version.
    ///
    /// # Errors
    /// Postgres doesn't answer, or the database was made by a newer version.
    pub async fn migrate(&self) -> Result<(), sqlx::migrate::MigrateError> {
        sqlx::migrate!().run(&self.pool).await
    }

    /// Takes every migration back: the tables and all that is in them are gone.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn migrate_down(&self) -> Result<(), sqlx::migrate::MigrateError> {
        sqlx::migrate!().undo(&self.pool, 0).await
    }

    /// Asks Postgres for a sign of life.
    ///
    /// # Errors
    /// There was none within a second.
    pub async fn ping(&self) -> Result<(), StoreError> {
        match tokio::time::timeout(PULSE_LIMIT, self.pulse.feel(&self.pool.connect_options())).await {
            Ok(answer) => answer.map_err(Into::into),
            Err(_) => Err(StoreError::Unavailable(format!("no answer within {} s", PULSE_LIMIT.as_secs()))),
        }
    }

    /// Listens for commits of other recorders and for changes made by SQL.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn listen(&self) -> Result<News, StoreError> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen_all([LIVE_CHANNEL, FOREIGN_CHANNEL]).await?;
        Ok(News(listener))
    }

    /// Where the live stream stands.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn position(&self) -> Result<Position, StoreError> {
        read(async { position(&mut self.snapshot().await?).await }).await
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.batches.close().await;
        self.pulse.close().await;
        if let Some(replica) = &self.replica {
            replica.close().await;
        }
        self.readers.close().await;
        self.pool.close().await;
    }

    /// A read-only transaction in which all queries see the same rows.
    async fn snapshot(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        let has_reader = self.readers.num_idle() > 0 || self.readers.size() < READERS;
        let pool = if has_reader { &self.readers } else { &self.pool };
        Ok(pool.begin_with(SNAPSHOT).await?)
    }
}

fn pool_options() -> PgPoolOptions {
    taskscope_workload::pool_options().acquire_timeout(Duration::from_secs(2))
}

/// What holds for every connection that reads.
fn reading(options: PgConnectOptions) -> PgConnectOptions {
    // Compiling a plan over thirty partitions takes a second or two; what it could save here is milliseconds.
    options
        .application_name("taskscope")
        .options([("statement_timeout", format!("{}ms", READ_LIMIT.as_millis())), ("jit", "off".to_owned())])
}

/// What other connections tell.
#[derive(Debug)]
pub struct News(PgListener);

/// Something that another connection did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// A recorder committed a batch that ends with this number.
    Committed(i64),
    /// Somebody wrote the log by SQL.
    Foreign,
}

impl News {
    /// Waits for the next notice.
    ///
    /// # Errors
    /// The connection is lost: listen anew, and look what was missed.
    pub async fn next(&mut self) -> Result<Notice, StoreError> {
        let notification =
            self.0.try_recv().await?.ok_or_else(|| StoreError::Unavailable("the connection was lost".to_owned()))?;
        Ok(match notification.channel() {
            FOREIGN_CHANNEL => Notice::Foreign,
            _ => Notice::Committed(notification.payload().parse().unwrap_or(i64::MAX)),
        })
    }
}

async fn position(tx: &mut Transaction<'static, Postgres>) -> Result<Position, StoreError> {
    let row = sqlx::query!("select epoch, last_seq from live_stream").fetch_one(&mut **tx).await?;
    Ok(Position { epoch: row.epoch, seq: row.last_seq })
}

/// Gives a read its time limit on this side too, since a frozen server can't keep its own.
async fn read<T>(query: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match tokio::time::timeout(READ_LIMIT, query).await {
        Ok(answer) => answer,
        Err(_) => Err(StoreError::Unavailable(format!("no answer within {} s", READ_LIMIT.as_secs()))),
    }
}
