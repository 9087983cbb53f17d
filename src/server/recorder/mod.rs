//! From an accepted event to a committed row and a live message.
//!
//! **Promises.** [`Recorder::accept`] returns once the events are durable. Every accepted event reaches Postgres, however often Postgres or this
//! process fails in between; a repetition changes nothing. The oldest comes first; where many wait, what is new takes turns with them. Nothing reaches the hub before it
//! is committed. No secret reaches the disk: what [`Redactor`](super::redact::Redactor) finds is replaced before the spool, and in what waited under other rules. One event that Postgres refuses costs no other: the batch is halved until it is found, and it is kept with the reason.
//!
//! **Fails** by waiting: while Postgres is away events stay in the spool, and the hub tells browsers.

mod changes;
mod fold;
mod spool;
mod tasks;
mod turns;
mod writer;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use taskscope_wire::{Attribution, DeadLetter, EventKind, Finish, Replayed, Source, TaskEvent, taskiq};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};

pub use self::{
    fold::{WORKER_GONE, fold},
    spool::{Findings, Ids, Spool, SpoolError, SpoolFile},
};
use self::{
    spool::Spooled,
    turns::Turns,
    writer::{LONGEST_PAUSE, Writer},
};
use super::{
    hub::Hub,
    redact::Current,
    store::{Replaced, Store, StoreError},
};

/// Events that are written together when that many wait. A batch may be larger, since requests aren't split.
const BATCH: usize = 1000;
/// The same when many more wait: then fewer turns at Postgres count for more than an early answer.
const LARGE_BATCH: usize = 4000;
/// Events that count as new when a backlog is found: what came in its last seconds. Postgres is there again for a moment before it is found.
const NEWEST: u64 = 2000;
/// How often changes by SQL and events of analysis runs are looked for if no notification comes.
const FOREIGN_POLL: Duration = Duration::from_secs(1);
/// The same while events wait.
const BUSY_POLL: Duration = Duration::from_millis(250);

/// Why dead letters could not be sent again. Those that were not are still there.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The spool takes no more.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// They can't be read, or not be removed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes events and sees that they are stored.
#[derive(Debug, Clone)]
pub struct Recorder {
    spool: Spool,
    store: Store,
    hub: Hub,
    rules: Current,
    foreign: Arc<Notify>,
    /// Which events of the spool are in Postgres.
    stored: watch::Sender<Turns>,
}

impl Recorder {
    /// Opens the spool. [`Recorder::run`] does the work.
    ///
    /// # Errors
    /// The spool can't be opened.
    pub fn open(directory: &Path, limit_bytes: u64, store: Store, hub: Hub, rules: Current) -> Result<Self, SpoolError> {
        let spool = Spool::open(directory, limit_bytes)?;
        Ok(Self { spool, store, hub, rules, foreign: Arc::new(Notify::new()), stored: watch::Sender::new(Turns::default()) })
    }

    /// Redacts events and makes them durable; they are in Postgres and on screens soon after.
    ///
    /// # Errors
    /// Too much is waiting, or the disk failed. No event of the call was kept then.
    pub async fn accept(&self, events: Vec<TaskEvent>) -> Result<(), SpoolError> {
        self.append(events).await.map(drop)
    }

    /// Does the same and waits until Postgres has committed them, however long it is away. Given up in between, they are stored all the same.
    ///
    /// # Errors
    /// Too much is waiting, or the disk failed. No event of the call was kept then.
    pub async fn store(&self, events: Vec<TaskEvent>) -> Result<(), SpoolError> {
        let mut stored = self.stored.subscribe();
        let id = self.append(events).await?;
        // The sender lives as long as this recorder.
        let _ = stored.wait_for(|stored| stored.hold(id)).await;
        Ok(())
    }

    /// The one way into the spool; gives the id of its last batch.
    async fn append(&self, mut events: Vec<TaskEvent>) -> Result<i64, SpoolError> {
        self.rules.get().events(&mut events);
        self.spool.append(events).await
    }

    /// Events that are durable and not yet in Postgres.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.spool.waiting()
    }

    /// Bytes of the events that wait.
    #[must_use]
    pub fn waiting_bytes(&self) -> u64 {
        self.spool.waiting_bytes()
    }

    /// Somebody wrote the log by SQL, or something happened to an analysis run: have a look.
    pub fn look_for_foreign_changes(&self) {
        self.foreign.notify_one();
    }

    /// Ends executions whose worker is gone and whose task another attempt has taken over.
    ///
    /// # Errors
    /// The database doesn't answer, or the events can't be made durable.
    pub async fn end_replaced(&self) -> anyhow::Result<()> {
        // What waits may hold the very ends that would be told again.
        if self.waiting() > 0 {
            return Ok(());
        }
        let replaced = self.store.replaced_executions().await?;
        let ends: Vec<TaskEvent> = replaced.iter().map(end_of_replaced).collect();
        if !ends.is_empty() {
            self.accept(ends).await?;
        }
        Ok(())
    }

    /// Takes the events that Postgres has refused so far anew, and forgets their letters; what isn't an event stays. Cut off in between, some come
    /// twice, which changes nothing.
    ///
    /// # Errors
    /// Postgres doesn't answer, or the spool takes no more.
    pub async fn replay_dead_letters(&self) -> Result<Replayed, ReplayError> {
        let last = self.store.last_dead_letter().await?;
        let (mut after, mut replayed) = (0, Replayed::default());
        loop {
            let letters = self.store.dead_letters_between(after, last, BATCH as i64).await?;
            let Some(newest) = letters.last() else { return Ok(replayed) };
            after = newest.id;
            let read = |letter: &DeadLetter| Some((letter.id, serde_json::from_str(&letter.event).ok()?));
            let (ids, events): (Vec<i64>, Vec<TaskEvent>) = letters.iter().filter_map(read).unzip();
            replayed.unreadable += (letters.len() - ids.len()) as u64;
            if !events.is_empty() {
                replayed.accepted += events.len() as u64;
                self.accept(events).await?;
                self.store.forget_dead_letters(&ids).await?;
            }
        }
    }

    /// Moves events from the spool to Postgres, for ever.
    pub async fn run(self) {
        let mut writer = Writer::new(self.store.clone(), self.hub.clone(), self.rules.clone());
        let mut turns = Turns::default();
        let mut last_look = Instant::now();
        let mut ahead = None;
        loop {
            if turns.find_backlog(self.waiting())
                && let Ok(newest) = self.spool.before_newest(NEWEST).await
            {
                turns.split(newest);
            }
            let ids = turns.next();
            let mut spooled = self.next_batch(ids, &mut ahead).await;
            // An earlier version may have spooled them, or other rules may have held then.
            self.rules.get().events(&mut spooled.events);
            for (line, reason) in &spooled.unreadable {
                writer.bury(line, reason).await;
            }
            let some = spooled.last_id > ids.after;
            if some {
                if ids == turns.oldest() {
                    ahead = self.read_ahead(&spooled, &turns);
                }
                writer.write(&spooled.events).await;
            }
            let more = turns.store(spooled.last_id);
            if some {
                self.stored.send_replace(turns);
                self.forget(turns);
                // However many events wait, runs and changes by SQL are heard of.
                if last_look.elapsed() > BUSY_POLL {
                    writer.tell_foreign_changes().await;
                    last_look = Instant::now();
                }
            }
            if more {
                continue;
            }
            tokio::select! {
                () = self.spool.appended() => {}
                () = self.foreign.notified() => writer.tell_foreign_changes().await,
                () = tokio::time::sleep(FOREIGN_POLL) => {
                    // All that waits is stored, and a full disk kept it from being forgotten.
                    if self.waiting() > 0 {
                        self.forget(turns);
                    }
                    writer.tell_foreign_changes().await;
                }
            }
        }
    }

    /// Lets the spool drop what is stored. The next batch doesn't wait for it.
    fn forget(&self, turns: Turns) {
        let spool = self.spool.clone();
        tokio::spawn(async move {
            for ids in turns.stored() {
                if let Err(error) = spool.forget(ids).await {
                    tracing::error!(%error, "stored events stay in the spool; storing them again will change nothing");
                }
            }
        });
    }

    /// The first of these batches, which may have been read already.
    async fn next_batch(&self, ids: Ids, ahead: &mut Option<ReadAhead>) -> Spooled {
        if let Some(reading) = ahead.take_if(|reading| reading.ids == ids)
            && let Ok(Ok(spooled)) = reading.task.await
        {
            return spooled;
        }
        loop {
            match self.spool.read_of(ids, self.batch_size()).await {
                Ok(spooled) => return spooled,
                Err(error) => {
                    tracing::error!(%error, "the spool can't be read");
                    tokio::time::sleep(LONGEST_PAUSE).await;
                }
            }
        }
    }

    /// Reads the batch after this one of the oldest while this one is written, if it is whole already: what comes meanwhile may join it.
    fn read_ahead(&self, spooled: &Spooled, turns: &Turns) -> Option<ReadAhead> {
        let (spool, ids) = (self.spool.clone(), Ids { after: spooled.last_id, ..turns.oldest() });
        // What is new waits for one batch of a backlog.
        let size = if turns.is_busy() { BATCH } else { self.batch_size() };
        let behind = self.waiting() >= (spooled.events.len() + size) as u64;
        behind.then(|| ReadAhead { ids, task: tokio::spawn(async move { spool.read_of(ids, size).await }) })
    }

    fn batch_size(&self) -> usize {
        if self.waiting() > 2 * LARGE_BATCH as u64 { LARGE_BATCH } else { BATCH }
    }
}

/// A batch that is being read.
struct ReadAhead {
    ids: Ids,
    task: JoinHandle<Result<Spooled, SpoolError>>,
}

fn end_of_replaced(replaced: &Replaced) -> TaskEvent {
    let finish = Finish {
        failed: true,
        // What TaskIQ's attempts are told apart by, and how far back the attempt is looked for.
        started_at: Some(replaced.started_at),
        error_type: Some(WORKER_GONE.to_owned()),
        error_message: Some(format!("The worker was gone, and attempt {} took over.", replaced.later_attempt)),
        ..Finish::default()
    };
    TaskEvent {
        source: replaced.source,
        task_id: replaced.task_id.clone(),
        attribution: match replaced.source {
            Source::Taskiq => taskiq::attribution(replaced.labels.as_ref()),
            Source::Native | Source::Sql => Attribution::Attempt(replaced.attempt),
        },
        at: replaced.last_seen.max(replaced.started_at),
        task_name: Some(replaced.task_name.clone()),
        max_retries: None,
        queue: None,
        worker: replaced.worker.clone(),
        labels: replaced.labels.clone(),
        params: None,
        kind: EventKind::Finished(finish),
    }
}
