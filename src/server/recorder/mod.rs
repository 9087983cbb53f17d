//! From an accepted event to a committed row and a live message.
//!
//! **Promises.** [`Recorder::accept`] returns once the events are durable. Every accepted event reaches Postgres, in the order of
//! acceptance, however often Postgres or this process fails in between; a repetition changes nothing. Nothing reaches the hub before it
//! is committed. One event that Postgres refuses costs no other: the batch is halved until it is found, and it is kept with the reason.
//!
//! **Fails** by waiting: while Postgres is away events stay in the spool, and the hub tells browsers.

mod changes;
mod fold;
mod spool;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use taskscope_wire::{Attribution, EventKind, Finish, LiveMessage, Source, TaskEvent, taskiq};
use tokio::sync::Notify;

use self::changes::{Changes, foreign_messages};
pub use self::{
    fold::{WORKER_GONE, fold},
    spool::{Spool, SpoolError},
};
use super::{
    hub::Hub,
    store::{BatchTx, Replaced, Store, StoreError, StoredAttempt},
};

/// Events that are written together. More may be, since requests aren't split.
const BATCH: usize = 1000;
/// How long a batch may take before its connection is given up: a frozen Postgres never answers.
const BATCH_LIMIT: Duration = Duration::from_secs(15);
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How far back attempts of a task are looked for at first: nearly always its first event is younger.
const NEAR: TimeDelta = TimeDelta::hours(36);
/// Changes by SQL, or events of analysis runs, that are told together.
const FOREIGN_BATCH: i64 = 5000;
/// How often these are looked for if no notification comes.
const FOREIGN_POLL: Duration = Duration::from_secs(1);

/// The same while events wait.
const BUSY_POLL: Duration = Duration::from_millis(250);

/// Takes events and sees that they are stored.
#[derive(Debug, Clone)]
pub struct Recorder {
    spool: Spool,
    store: Store,
    hub: Hub,
    foreign: Arc<Notify>,
}

impl Recorder {
    /// Opens the spool. [`Recorder::run`] does the work.
    ///
    /// # Errors
    /// The spool can't be opened.
    pub fn open(directory: &Path, limit_bytes: u64, store: Store, hub: Hub) -> Result<Self, SpoolError> {
        let spool = Spool::open(directory, limit_bytes)?;
        Ok(Self { spool, store, hub, foreign: Arc::new(Notify::new()) })
    }

    /// Makes events durable; they are in Postgres and on screens soon after.
    ///
    /// # Errors
    /// Too much is waiting, or the disk failed. No event of the call was kept then.
    pub async fn accept(&self, events: &[TaskEvent]) -> Result<(), SpoolError> {
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
            self.accept(&ends).await?;
        }
        Ok(())
    }

    /// Moves events from the spool to Postgres, for ever.
    pub async fn run(self) {
        let mut writer = Writer { store: self.store, hub: self.hub, made_days: BTreeSet::new() };
        let mut stored = 0;
        let mut last_look = Instant::now();
        loop {
            let spooled = match self.spool.read(stored, BATCH).await {
                Ok(spooled) => spooled,
                Err(error) => {
                    tracing::error!(%error, "the spool can't be read");
                    tokio::time::sleep(LONGEST_PAUSE).await;
                    continue;
                }
            };
            for (line, reason) in &spooled.unreadable {
                writer.bury(line, reason).await;
            }
            if spooled.last_id > stored {
                writer.write(&spooled.events).await;
                stored = spooled.last_id;
                if let Err(error) = self.spool.forget(stored).await {
                    tracing::error!(%error, "stored events stay in the spool; storing them again will change nothing");
                }
                // However many events wait, runs and changes by SQL are heard of.
                if last_look.elapsed() > BUSY_POLL {
                    writer.tell_foreign_changes().await;
                    last_look = Instant::now();
                }
                continue;
            }
            tokio::select! {
                () = self.spool.appended() => {}
                () = self.foreign.notified() => writer.tell_foreign_changes().await,
                () = tokio::time::sleep(FOREIGN_POLL) => writer.tell_foreign_changes().await,
            }
        }
    }
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

struct Writer {
    store: Store,
    hub: Hub,
    /// Days whose partition is known to be there.
    made_days: BTreeSet<NaiveDate>,
}

impl Writer {
    /// Stores events, whatever it takes.
    async fn write(&mut self, events: &[TaskEvent]) {
        let mut pause = Duration::from_millis(50);
        let mut parts = vec![events];
        while let Some(part) = parts.pop() {
            match limited(self.try_write(part)).await {
                Ok(()) => pause = Duration::from_millis(50),
                Err(StoreError::Refused(reason)) => match part {
                    [event] => self.bury(&serde_json::to_string(event).unwrap_or_default(), &reason).await,
                    _ => {
                        let (first, second) = part.split_at(part.len() / 2);
                        parts.extend([second, first]);
                    }
                },
                Err(error) => {
                    tracing::warn!(%error, waiting = part.len(), "events can't be stored now; trying again");
                    parts.push(part);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn try_write(&mut self, events: &[TaskEvent]) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let days = events.iter().flat_map(|event| [event.at.date_naive(), event.earliest().date_naive()]);
        self.make_days(days.collect()).await?;
        let mut tx = self.store.begin_batch().await?;
        let mut changes = fold_batch(&mut tx, events).await?;
        if changes.is_empty() {
            return Ok(());
        }
        tx.assign_ids(&mut changes.insert).await?;
        tx.write(&changes.insert.iter().chain(&changes.update).collect::<Vec<_>>()).await?;
        tx.delete(&changes.gone.iter().filter_map(|attempt| attempt.key).collect::<Vec<_>>()).await?;
        let written = tx.commit(changes.messages()).await?;
        self.hub.publish(written.position, written.messages);
        Ok(())
    }

    async fn make_days(&mut self, days: BTreeSet<NaiveDate>) -> Result<(), StoreError> {
        let missing: BTreeSet<NaiveDate> = days.difference(&self.made_days).copied().collect();
        if !missing.is_empty() {
            self.store.ensure_partitions(&missing).await?;
            self.made_days.extend(missing);
        }
        Ok(())
    }

    /// Keeps what Postgres refuses. If even that fails, the log has it.
    async fn bury(&self, event: &str, reason: &str) {
        tracing::warn!(reason, "an event was refused");
        if let Err(error) = self.store.bury(event, reason).await {
            tracing::error!(%error, event, "a refused event could not be kept");
        }
    }

    async fn tell_foreign_changes(&mut self) {
        while let Ok(true) = limited(self.try_tell_foreign_changes()).await {}
        while let Ok(true) = limited(self.try_tell_analysis_events()).await {}
    }

    /// Whether there may be more.
    async fn try_tell_foreign_changes(&mut self) -> Result<bool, StoreError> {
        if !self.store.has_foreign_changes().await? {
            return Ok(false);
        }
        let mut tx = self.store.begin_batch().await?;
        let taken = tx.take_foreign_changes(FOREIGN_BATCH).await?;
        let more = taken.len() as i64 == FOREIGN_BATCH;
        let written = tx.commit(foreign_messages(taken)).await?;
        self.hub.publish(written.position, written.messages);
        Ok(more)
    }

    /// Whether there may be more.
    async fn try_tell_analysis_events(&mut self) -> Result<bool, StoreError> {
        if !self.store.has_analysis_events().await? {
            return Ok(false);
        }
        let mut tx = self.store.begin_batch().await?;
        let taken = tx.take_analysis_events(FOREIGN_BATCH).await?;
        let more = taken.len() as i64 == FOREIGN_BATCH;
        let messages = taken.into_iter().map(|event| LiveMessage::Analysis(Box::new(event))).collect();
        let written = tx.commit(messages).await?;
        self.hub.publish(written.position, written.messages);
        Ok(more)
    }
}

async fn limited<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match tokio::time::timeout(BATCH_LIMIT, work).await {
        Ok(done) => done,
        Err(_) => Err(StoreError::Unavailable(format!("no answer within {} s", BATCH_LIMIT.as_secs()))),
    }
}

type TaskKey = (Source, String);

/// Folds a batch of events into the attempts that are stored of their tasks.
async fn fold_batch(tx: &mut BatchTx, events: &[TaskEvent]) -> Result<Changes, StoreError> {
    let mut tasks: BTreeMap<TaskKey, Vec<TaskEvent>> = BTreeMap::new();
    for event in events {
        tasks.entry((event.source, event.task_id.clone())).or_default().push(event.clone());
    }
    let mut stored = load(tx, &tasks).await?;
    let mut changes = Changes::default();
    for (key, events) in tasks {
        let before = stored.remove(&key).unwrap_or_default();
        let after = fold(before.clone(), &events);
        changes.add(before, after);
    }
    Ok(changes)
}

/// The stored attempts of the tasks: first among the young ones, then everywhere for tasks that must be older.
async fn load(
    tx: &mut BatchTx,
    tasks: &BTreeMap<TaskKey, Vec<TaskEvent>>,
) -> Result<BTreeMap<TaskKey, Vec<StoredAttempt>>, StoreError> {
    let first: Option<DateTime<Utc>> = tasks.values().flatten().map(TaskEvent::earliest).min();
    let ids: Vec<String> = tasks.keys().map(|(_, task_id)| task_id.clone()).collect();
    let mut found = group(tx.load(&ids, first.map(|first| first - NEAR)).await?);
    let older: Vec<String> = tasks
        .iter()
        .filter(|(key, events)| !found.contains_key(*key) && !events.iter().any(begins_a_task))
        .map(|((_, task_id), _)| task_id.clone())
        .collect();
    if !older.is_empty() {
        found.extend(group(tx.load(&older, None).await?));
    }
    Ok(found)
}

fn group(attempts: Vec<StoredAttempt>) -> BTreeMap<TaskKey, Vec<StoredAttempt>> {
    let mut groups: BTreeMap<TaskKey, Vec<StoredAttempt>> = BTreeMap::new();
    for attempt in attempts {
        groups.entry((attempt.source, attempt.task_id.clone())).or_default().push(attempt);
    }
    groups
}

/// Whether nothing older can be stored of the task of this event.
fn begins_a_task(event: &TaskEvent) -> bool {
    let first = matches!(event.attribution, Attribution::Attempt(1) | Attribution::Counters { retries: 0, requeues: 0 });
    first && matches!(event.kind, EventKind::Queued)
}
