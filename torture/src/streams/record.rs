//! What is in the stream: as Postgres has stored it, and as watchers were told.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use anyhow::Context;
use serde_json::value::RawValue;
use sqlx::{Connection, PgConnection};

use crate::postgres::Postgres;

/// Batches that are read at once.
const BATCHES: i64 = 1000;

/// A mark of every message's text, by its number. Zero stands for none.
#[derive(Debug, Default)]
pub(super) struct Record {
    stored: Mutex<Vec<u64>>,
    told: Mutex<Vec<u64>>,
    floor: AtomicI64,
}

impl Record {
    /// A watcher was told this.
    ///
    /// # Errors
    /// Another one was told something else.
    pub(super) fn tell(&self, seq: i64, text: &str) -> Result<(), String> {
        let mark = mark(text);
        match replace(&self.told, seq, mark) {
            0 => Ok(()),
            known if known == mark => Ok(()),
            _ => Err(format!("{seq} was told otherwise to others: {text}")),
        }
    }

    /// Postgres has stored this.
    pub(super) fn store(&self, seq: i64, text: &str) {
        replace(&self.stored, seq, mark(text));
    }

    /// Places before this number can't be recovered, since nothing is kept of what follows them.
    pub(super) fn floor(&self) -> i64 {
        self.floor.load(Ordering::SeqCst)
    }

    /// Sets that number.
    pub(super) fn forget(&self, floor: i64) {
        self.floor.store(floor, Ordering::SeqCst);
    }

    /// The last number that is stored.
    pub(super) fn last(&self) -> i64 {
        lock(&self.stored).len() as i64 - 1
    }

    /// How many messages up to a number are not stored, or were told otherwise.
    pub(super) fn compare(&self, last: i64) -> Vec<String> {
        let (stored, told) = (lock(&self.stored), lock(&self.told));
        let at = |marks: &[u64], seq: i64| marks.get(seq as usize).copied().unwrap_or_default();
        let flaw = |seq| match (at(&stored, seq), at(&told, seq)) {
            (0, _) => Some(format!("{seq} is not stored")),
            (stored, told) => (told != 0 && told != stored).then(|| format!("{seq} is not stored as it was told")),
        };
        (1..=last).filter_map(flaw).collect()
    }

    /// How many messages watchers were told of, each counted once.
    pub(super) fn heard(&self) -> usize {
        lock(&self.told).iter().filter(|mark| **mark != 0).count()
    }
}

/// Reads what Postgres stores of the stream, before it is pruned.
#[derive(Debug)]
pub(super) struct Reader(PgConnection);

impl Reader {
    /// Connects past every network.
    pub(super) async fn connect(postgres: &Postgres) -> anyhow::Result<Self> {
        Ok(Self(PgConnection::connect_with(&postgres.options()).await?))
    }

    /// Reads on to the end.
    pub(super) async fn read(&mut self, record: &Record) -> anyhow::Result<()> {
        loop {
            let batches: Vec<(i64, String)> =
                sqlx::query_as("select first_seq, messages from live_batches where last_seq > $1 order by last_seq limit $2")
                    .bind(record.last())
                    .bind(BATCHES)
                    .fetch_all(&mut self.0)
                    .await?;
            for (first, messages) in &batches {
                let messages: Vec<&RawValue> = serde_json::from_str(messages).context("a stored batch is no array")?;
                (*first..).zip(messages).for_each(|(seq, message)| record.store(seq, message.get()));
            }
            if (batches.len() as i64) < BATCHES {
                return Ok(());
            }
        }
    }

    /// Where the stream stands.
    pub(super) async fn position(&mut self) -> anyhow::Result<i64> {
        Ok(sqlx::query_scalar("select last_seq from live_stream").fetch_one(&mut self.0).await?)
    }

    /// Forgets all that was read, as retention does some day; nobody before it can be recovered by a server that starts then.
    pub(super) async fn prune(&mut self, record: &Record) -> anyhow::Result<()> {
        self.read(record).await?;
        let last = record.last();
        record.forget(last);
        sqlx::query("delete from live_batches where last_seq <= $1").bind(last).execute(&mut self.0).await?;
        Ok(())
    }
}

fn replace(marks: &Mutex<Vec<u64>>, seq: i64, mark: u64) -> u64 {
    let mut marks = lock(marks);
    let seq = seq.max(0) as usize;
    if marks.len() <= seq {
        marks.resize(seq + 1, 0);
    }
    std::mem::replace(&mut marks[seq], mark)
}

fn mark(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish().max(1)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
