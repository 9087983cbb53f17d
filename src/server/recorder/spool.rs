//! The durable queue between a client's request and Postgres.
//!
//! **Promises.** An event whose [`Spool::append`] returned is on disk: fsynced, and there after `kill -9` and power loss. Events are
//! read in the order in which they were appended. They stay until [`Spool::forget`], which comes after Postgres has committed; a crash
//! in between gives them again, and the fold makes that harmless.
//!
//! **Refuses** more than its limit of bytes, and more waiting requests than its queue holds ([`SpoolError::Full`]): the client is told
//! to come again, nothing is dropped in silence.
//!
//! **How.** SQLite in WAL mode, one connection on one thread; `synchronous=FULL` when it appends, `NORMAL` when it forgets. Requests that
//! wait together share one transaction and so one fsync. Events that are on disk are also held as they came, up to a limit, so that while
//! Postgres keeps up nothing is read and decoded again. SQLite before 3.51.3 can lose committed WAL data when a checkpoint races a
//! writer, so older ones are refused at start (one connection would avoid the race too).

mod batches;
mod held;
mod tools;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use rusqlite::{Connection, params};
use taskscope_wire::TaskEvent;
use tokio::sync::{Notify, mpsc, oneshot};

pub(super) use self::batches::Spooled;
pub use self::{
    batches::Ids,
    tools::{Findings, SpoolFile},
};
use self::{
    batches::{Batch, Raw},
    held::Held,
};

/// Its file in its directory.
const FILE: &str = "spool.sqlite3";
/// The oldest SQLite that doesn't have the WAL-reset bug.
const OLDEST_SQLITE: i32 = 3_051_003;
/// Requests that may wait for the thread.
const QUEUE: usize = 4096;
/// Requests that share one transaction at the most.
const GROUP: usize = 1024;
/// About what an event takes.
const USUAL_BYTES: usize = 320;
/// Bytes after which a read ends. One batch is read while another is written, and each is in memory several times on its way: as lines, events,
/// attempts and rows. It is more than the largest batch of usual events takes.
const LARGEST_READ: usize = 2 * 1024 * 1024;

/// Why events were not taken.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// Too much is waiting already.
    #[error("too many events are waiting to be stored; send them again later")]
    Full,
    /// The disk failed; nothing was kept.
    #[error("events can't be made durable: {0}")]
    Disk(String),
}

impl From<rusqlite::Error> for SpoolError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Disk(error.to_string())
    }
}

/// A handle to the spool's thread. Clones share it.
#[derive(Debug, Clone)]
pub struct Spool {
    commands: mpsc::Sender<Command>,
    gauges: Arc<Gauges>,
    wake: Arc<Notify>,
    limit_bytes: u64,
}

#[derive(Debug, Default)]
struct Gauges {
    events: AtomicU64,
    bytes: AtomicU64,
}

#[derive(Debug)]
enum Command {
    Append { lines: String, events: Vec<TaskEvent>, done: oneshot::Sender<Result<i64, SpoolError>> },
    Read { ids: Ids, at_least: usize, done: oneshot::Sender<Result<Raw, SpoolError>> },
    Forget { ids: Ids, done: oneshot::Sender<Result<(), SpoolError>> },
    BeforeNewest { events: u64, done: oneshot::Sender<Result<i64, SpoolError>> },
}

impl Spool {
    /// Opens or makes the spool in a directory and starts its thread, which ends with the last handle.
    ///
    /// # Errors
    /// The file can't be opened or is no spool.
    pub fn open(directory: &Path, limit_bytes: u64) -> Result<Self, SpoolError> {
        let connection = open(&directory.join(FILE))?;
        let gauges = Arc::new(Gauges::default());
        let (events, bytes): (u64, u64) =
            connection.query_row("select coalesce(sum(count), 0), coalesce(sum(bytes), 0) from batches", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        gauges.events.store(events, Ordering::Relaxed);
        gauges.bytes.store(bytes, Ordering::Relaxed);
        let (commands, inbox) = mpsc::channel(QUEUE);
        let (worker_gauges, wake) = (Arc::clone(&gauges), Arc::new(Notify::new()));
        let worker_wake = Arc::clone(&wake);
        std::thread::Builder::new()
            .name("spool".to_owned())
            .spawn(move || {
                Worker { connection, syncs: true, held: Held::default(), gauges: worker_gauges, wake: worker_wake }.run(inbox);
            })
            .map_err(|error| SpoolError::Disk(error.to_string()))?;
        Ok(Self { commands, gauges, wake, limit_bytes })
    }

    /// Makes events durable. They are among those up to the id that it gives.
    ///
    /// # Errors
    /// The spool is full, or the disk failed. Nothing was kept then.
    pub async fn append(&self, events: Vec<TaskEvent>) -> Result<i64, SpoolError> {
        let lines = encode(&events).map_err(|error| SpoolError::Disk(error.to_string()))?;
        if self.gauges.bytes.load(Ordering::Relaxed) + lines.len() as u64 > self.limit_bytes {
            return Err(SpoolError::Full);
        }
        let (done, answer) = oneshot::channel();
        let command = Command::Append { lines, events, done };
        self.commands.try_send(command).map_err(|_| SpoolError::Full)?;
        answer.await.map_err(|_| SpoolError::Disk("the spool has stopped".to_owned()))?
    }

    /// The events after `after`: at least `at_least` of them, or some megabytes, if there are so many.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn read(&self, after: i64, at_least: usize) -> Result<Spooled, SpoolError> {
        self.read_of(Ids { after, up_to: i64::MAX }, at_least).await
    }

    /// The same of these batches only.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn read_of(&self, ids: Ids, at_least: usize) -> Result<Spooled, SpoolError> {
        let raw = self.ask(|done| Command::Read { ids, at_least, done }).await?;
        // Decoded here, so that nobody who appends waits for it.
        Ok(raw.decode())
    }

    /// Drops what Postgres has. If power is lost before that is on disk, the events are read and stored again, which changes nothing.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn forget(&self, ids: Ids) -> Result<(), SpoolError> {
        self.ask(|done| Command::Forget { ids, done }).await
    }

    /// The id of the batch after which only the newest events wait: so many, or a batch more.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn before_newest(&self, events: u64) -> Result<i64, SpoolError> {
        self.ask(|done| Command::BeforeNewest { events, done }).await
    }

    /// Returns when something was appended since the last call.
    pub async fn appended(&self) {
        self.wake.notified().await;
    }

    /// Events that wait for Postgres.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.gauges.events.load(Ordering::Relaxed)
    }

    /// Bytes of the events that wait for Postgres.
    #[must_use]
    pub fn waiting_bytes(&self) -> u64 {
        self.gauges.bytes.load(Ordering::Relaxed)
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<Result<T, SpoolError>>) -> Command) -> Result<T, SpoolError> {
        let stopped = || SpoolError::Disk("the spool has stopped".to_owned());
        let (done, answer) = oneshot::channel();
        self.commands.send(command(done)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

/// One event a line.
fn encode(events: &[TaskEvent]) -> Result<String, serde_json::Error> {
    let mut lines = Vec::with_capacity(events.len() * USUAL_BYTES);
    for event in events {
        let start = lines.len();
        serde_json::to_writer(&mut lines, event)?;
        // Params are kept as their client wrote them, perhaps with line breaks, which in JSON are space wherever they stand as such.
        lines.iter_mut().skip(start).filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
        lines.push(b'\n');
    }
    // JSON always is UTF-8, so this never fails; the check costs less than building the text event by event.
    String::from_utf8(lines).map_err(serde::ser::Error::custom)
}

/// Puts a batch behind the others; its id.
fn insert(connection: &Connection, lines: &str, count: u64) -> Result<i64, rusqlite::Error> {
    let insert = "insert into batches (count, bytes, lines) values (?1, ?2, ?3)";
    connection.prepare_cached(insert)?.execute(params![count, lines.len() as u64, lines])?;
    Ok(connection.last_insert_rowid())
}

fn open(path: &Path) -> Result<Connection, SpoolError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(SpoolError::Disk(format!("SQLite {} is older than 3.51.3 and may lose data", rusqlite::version())));
    }
    let connection = Connection::open(path)?;
    connection.execute_batch(
        "pragma locking_mode = exclusive;
         pragma journal_mode = wal;
         pragma synchronous = full;
         create table if not exists batches (
             id integer primary key autoincrement,
             count integer not null,
             bytes integer not null,
             lines text not null
         );",
    )?;
    Ok(connection)
}

struct Worker {
    connection: Connection,
    /// Whether its commits are fsynced.
    syncs: bool,
    held: Held,
    gauges: Arc<Gauges>,
    wake: Arc<Notify>,
}

/// Requests that share one transaction.
#[derive(Default)]
struct Group {
    lines: String,
    events: Vec<TaskEvent>,
    waiting: Vec<oneshot::Sender<Result<i64, SpoolError>>>,
}

impl Group {
    fn add(&mut self, lines: String, events: Vec<TaskEvent>, done: oneshot::Sender<Result<i64, SpoolError>>) {
        if self.waiting.is_empty() {
            (self.lines, self.events) = (lines, events);
        } else {
            self.lines.push_str(&lines);
            self.events.extend(events);
        }
        self.waiting.push(done);
    }
}

impl Worker {
    fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        while let Some(first) = inbox.blocking_recv() {
            let (mut group, mut others) = (Group::default(), Vec::new());
            for command in std::iter::once(first).chain(std::iter::from_fn(|| inbox.try_recv().ok())).take(GROUP) {
                match command {
                    Command::Append { lines, events, done } => group.add(lines, events, done),
                    other => others.push(other),
                }
            }
            if !group.waiting.is_empty() {
                self.append(group);
            }
            for command in others {
                self.answer(command);
            }
        }
    }

    fn append(&mut self, group: Group) {
        let Group { lines, events, waiting } = group;
        match self.insert(&lines, events.len() as u64) {
            Ok(id) => {
                self.gauges.events.fetch_add(events.len() as u64, Ordering::Relaxed);
                self.gauges.bytes.fetch_add(lines.len() as u64, Ordering::Relaxed);
                self.held.keep(id, lines.len(), events);
                self.wake.notify_one();
                waiting.into_iter().for_each(|done| drop(done.send(Ok(id))));
            }
            Err(error) => {
                tracing::error!(%error, "events could not be written to the spool");
                waiting.into_iter().for_each(|done| drop(done.send(Err(SpoolError::Disk(error.to_string())))));
            }
        }
    }

    /// The id of the batch.
    fn insert(&mut self, lines: &str, count: u64) -> Result<i64, rusqlite::Error> {
        self.sync_at_commit(true)?;
        insert(&self.connection, lines, count)
    }

    fn answer(&mut self, command: Command) {
        match command {
            // Whoever asked may be gone; then nobody needs the answer.
            Command::Read { ids, at_least, done } => drop(done.send(self.read(ids, at_least))),
            Command::Forget { ids, done } => drop(done.send(self.forget(ids))),
            Command::BeforeNewest { events, done } => drop(done.send(self.before_newest(events))),
            Command::Append { lines, events, done } => self.append(Group { lines, events, waiting: vec![done] }),
        }
    }

    fn read(&mut self, Ids { after, up_to }: Ids, at_least: usize) -> Result<Raw, SpoolError> {
        let mut raw = Raw { last_id: after, batches: Vec::new() };
        let (mut events, mut bytes) = (0, 0);
        let of_these = "select id, count, bytes, lines from batches where id > ?1 and id <= ?2 order by id";
        let mut statement = self.connection.prepare_cached(of_these)?;
        let mut rows = statement.query([after, up_to])?;
        while events < at_least
            && bytes < LARGEST_READ
            && let Some(row) = rows.next()?
        {
            raw.last_id = row.get(0)?;
            events += row.get::<_, usize>(1)?;
            bytes += row.get::<_, usize>(2)?;
            raw.batches.push(match self.held.take(raw.last_id) {
                Some(events) => Batch::Held(events),
                // Only what is asked for leaves the file: these lines, not those of batches that are held.
                None => Batch::Lines(row.get(3)?),
            });
        }
        Ok(raw)
    }

    fn before_newest(&mut self, events: u64) -> Result<i64, SpoolError> {
        let mut statement = self.connection.prepare_cached("select id, count from batches order by id desc")?;
        let mut rows = statement.query([])?;
        let (mut id, mut newer) = (0, 0);
        while newer < events
            && let Some(row) = rows.next()?
        {
            // Before this one there may be none.
            id = row.get::<_, i64>(0)? - 1;
            newer += row.get::<_, u64>(1)?;
        }
        Ok(id)
    }

    /// Without an fsync: nobody must wait for it, and the next append's makes it durable too.
    fn forget(&mut self, ids: Ids) -> Result<(), SpoolError> {
        let Ids { after, up_to } = ids;
        let sums = "select coalesce(sum(count), 0), coalesce(sum(bytes), 0) from batches where id > ?1 and id <= ?2";
        let (events, bytes): (u64, u64) =
            self.connection.prepare_cached(sums)?.query_row([after, up_to], |row| Ok((row.get(0)?, row.get(1)?)))?;
        self.sync_at_commit(false)?;
        self.connection.prepare_cached("delete from batches where id > ?1 and id <= ?2")?.execute([after, up_to])?;
        self.held.forget(ids);
        self.gauges.events.fetch_sub(events, Ordering::Relaxed);
        self.gauges.bytes.fetch_sub(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Whether a commit waits until it is on disk.
    fn sync_at_commit(&mut self, sync: bool) -> Result<(), rusqlite::Error> {
        if self.syncs != sync {
            self.connection.pragma_update(None, "synchronous", if sync { "full" } else { "normal" })?;
            self.syncs = sync;
        }
        Ok(())
    }
}
