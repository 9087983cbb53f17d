//! A Postgres that streams from ours, for what may be some seconds old: history, search, charts and single executions. What is live stays here.
//!
//! An answer from there is as consistent as one from here: it takes one snapshot, which has its own place in the live stream, and the page gets what
//! followed. A replica that is away, or behind for longer than that, isn't asked.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{PgPool, Postgres, Transaction, postgres::PgConnectOptions};
use taskscope_wire::Position;

use super::{SNAPSHOT, Store, StoreError, pool_options, position, read, reading};

/// A replica that is further behind isn't asked.
const MOST_LAG: Duration = Duration::from_secs(5);
/// How far back it is known where the primary stood.
const SAMPLES: usize = 120;
/// How many connections it is asked on.
const CONNECTIONS: u32 = 8;

/// The replica. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Replica {
    pool: PgPool,
    /// Whether it may be asked.
    current: Arc<AtomicBool>,
    /// Where the primary stood when. Both clocks are this machine's.
    stood: Arc<Mutex<VecDeque<(Instant, Position)>>>,
}

/// How a replica is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplicaState {
    /// It is asked, and so far behind.
    Current(Duration),
    /// It isn't asked: so far behind.
    Behind(Duration),
    /// It isn't asked: it doesn't answer.
    Away(String),
    /// It isn't asked: it streams from another Postgres.
    Strange,
}

impl Replica {
    pub(super) fn new(options: PgConnectOptions) -> Self {
        let pools = pool_options().max_connections(CONNECTIONS).idle_timeout(Duration::from_secs(120));
        Self { pool: pools.connect_lazy_with(reading(options)), current: Arc::default(), stood: Arc::default() }
    }

    /// A snapshot, if it may be asked and answers.
    pub(super) async fn snapshot(&self) -> Option<Transaction<'static, Postgres>> {
        if !self.current.load(Ordering::Relaxed) {
            return None;
        }
        match self.pool.begin_with(SNAPSHOT).await {
            Ok(tx) => {
                metrics::counter!("taskscope_replica_reads_total").increment(1);
                Some(tx)
            }
            Err(error) => {
                tracing::warn!(%error, "the replica doesn't answer; the database itself is asked");
                self.current.store(false, Ordering::Relaxed);
                None
            }
        }
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }

    async fn position(&self) -> Result<Position, StoreError> {
        read(async { position(&mut self.pool.begin_with(SNAPSHOT).await?).await }).await
    }

    /// How it is, given where the primary stood before it was asked.
    async fn look(&self, primary: Position) -> ReplicaState {
        let asked = Instant::now();
        let state = match self.position().await {
            Err(error) => ReplicaState::Away(error.to_string()),
            Ok(replica) if replica.epoch != primary.epoch => ReplicaState::Strange,
            Ok(replica) => match self.lag(asked, primary, &replica) {
                lag if lag > MOST_LAG => ReplicaState::Behind(lag),
                lag => ReplicaState::Current(lag),
            },
        };
        self.current.store(matches!(state, ReplicaState::Current(_)), Ordering::Relaxed);
        state
    }

    /// For how long the primary has been further than the replica is.
    fn lag(&self, asked: Instant, primary: Position, replica: &Position) -> Duration {
        let mut stood = self.stood.lock().unwrap_or_else(PoisonError::into_inner);
        stood.push_back((asked, primary));
        while stood.len() > SAMPLES {
            stood.pop_front();
        }
        let ahead = stood.iter().find(|(_, primary)| primary.epoch == replica.epoch && primary.seq > replica.seq);
        ahead.map(|(since, _)| since.elapsed()).unwrap_or_default()
    }
}

impl Store {
    /// Lets a replica answer what may be some seconds old, once [`Store::look_at_replica`] has found it current.
    #[must_use]
    pub fn with_replica(mut self, options: PgConnectOptions) -> Self {
        self.replica = Some(Replica::new(options));
        self
    }

    /// How the replica is, which says whether it is asked until the next look; none where there is none.
    ///
    /// # Errors
    /// The database itself doesn't answer, so that nothing new can be said.
    pub async fn look_at_replica(&self) -> Result<Option<ReplicaState>, StoreError> {
        let Some(replica) = &self.replica else { return Ok(None) };
        let primary = self.position().await?;
        Ok(Some(replica.look(primary).await))
    }

    /// Asks for what may be some seconds old: the replica, and where it breaks off, as it does when it must replay what a query still needs, the
    /// database itself.
    pub(super) async fn read_past<T, Answer>(
        &self,
        query: impl Fn(Transaction<'static, Postgres>) -> Answer,
    ) -> Result<T, StoreError>
    where
        Answer: Future<Output = Result<T, StoreError>>,
    {
        if let Some(replica) = &self.replica
            && let Some(tx) = replica.snapshot().await
        {
            match read(query(tx)).await {
                Err(error) => tracing::debug!(%error, "the replica broke off; the database itself is asked"),
                answer => return answer,
            }
        }
        read(async { query(self.snapshot().await?).await }).await
    }
}
