//! Batches of events into Postgres, and from there to the hub.

use std::{collections::BTreeSet, panic::resume_unwind, sync::Arc, time::Duration};

use chrono::NaiveDate;
use taskscope_wire::{LiveMessage, TaskEvent};

use super::{changes::foreign_messages, tasks::fold_batch};
use crate::server::{
    hub::Hub,
    redact::Current,
    store::{LiveText, Store, StoreError},
};

/// How long a batch may take before its connection is given up: a frozen Postgres never answers.
const BATCH_LIMIT: Duration = Duration::from_secs(15);
/// The first pause between two tries.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause between two tries.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// Changes by SQL, or events of analysis runs, that are told together.
const FOREIGN_BATCH: i64 = 5000;

/// The one who writes. There is one in a process, and the sequencer's lock among processes.
#[derive(Debug)]
pub(super) struct Writer {
    store: Store,
    hub: Hub,
    rules: Current,
    /// Days whose partition is known to be there.
    made_days: BTreeSet<NaiveDate>,
}

impl Writer {
    pub(super) fn new(store: Store, hub: Hub, rules: Current) -> Self {
        Self { store, hub, rules, made_days: BTreeSet::new() }
    }

    /// Stores events, whatever it takes.
    pub(super) async fn write(&mut self, events: &[TaskEvent]) {
        let mut pause = SHORTEST_PAUSE;
        let mut parts = vec![events];
        while let Some(part) = parts.pop() {
            match limited(self.try_write(part)).await {
                Ok(()) => pause = SHORTEST_PAUSE,
                Err(StoreError::Refused(reason)) => match part {
                    [event] => self.bury(&serde_json::to_string(event).unwrap_or_default(), &reason).await,
                    _ => {
                        let (first, second) = part.split_at(part.len() / 2);
                        parts.extend([second, first]);
                    }
                },
                Err(error) => {
                    // It may quote what it was given.
                    let error = error.to_string();
                    // Once for all tries until it works.
                    if pause == SHORTEST_PAUSE {
                        tracing::warn!(
                            error = &*self.rules.get().line(&error),
                            waiting = part.len(),
                            "events can't be stored now; trying again"
                        );
                    }
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
            return tx.leave().await;
        }
        tx.assign_ids(&mut changes.insert).await?;
        let changes = Arc::new(changes);
        // Written out and counted on another thread while Postgres works.
        let (told, first_seq, loaded) = (Arc::clone(&changes), tx.next_seq(), tx.take_loaded());
        let prepared = tokio::task::spawn_blocking(move || (told.counts(&loaded), LiveText::new(first_seq, told.messages())));
        tx.write(&changes.insert, &changes.update).await?;
        tx.delete(&changes.gone.iter().filter_map(|attempt| attempt.key).collect::<Vec<_>>()).await?;
        let (counts, messages) = prepared.await.unwrap_or_else(|error| resume_unwind(error.into_panic()));
        tx.count(counts?).await?;
        let written = tx.commit_text(messages).await?;
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

    /// Keeps what Postgres refuses, whatever it takes, without secrets: the reason may quote the event. What can't be kept at all, the log has.
    pub(super) async fn bury(&self, event: &str, reason: &str) {
        let rules = self.rules.get();
        let (event, reason) = (&*rules.line(event), &*rules.line(reason));
        tracing::warn!(reason, "an event was refused");
        let (mut pause, mut may_be_kept) = (SHORTEST_PAUSE, false);
        loop {
            match limited(self.store.bury(event, reason, may_be_kept)).await {
                Ok(()) => return,
                Err(StoreError::Refused(error)) => {
                    tracing::error!(error, event, "a refused event could not be kept");
                    return;
                }
                Err(error) => tracing::warn!(%error, "a refused event can't be kept now; trying again"),
            }
            may_be_kept = true;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    pub(super) async fn tell_foreign_changes(&mut self) {
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
