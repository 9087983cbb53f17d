//! Keeps the hub where the live stream stands, whoever commits to it.

use std::time::Duration;

use serde_json::value::RawValue;
use taskscope_wire::Position;

use super::PULSE;
use crate::server::{
    hub::Hub,
    recorder::Recorder,
    store::{Notice, Store, StoreError},
};

/// Live batches that are read at once when catching up.
const CATCH_UP: i64 = 500;
/// Messages that a starting server loads, so that watchers of the one before lose nothing.
const PRELOADED_MESSAGES: i64 = 10_000;
/// How often other recorders' batches are looked for if no notification comes.
const POLL: Duration = Duration::from_secs(2);
/// How long our own batch may take from its notification to the hub.
const OWN_BATCH: Duration = Duration::from_millis(25);

/// Brings what others commit to the hub, and what they write by SQL to the recorder.
pub(super) async fn follow(store: Store, recorder: Recorder, hub: Hub) {
    loop {
        if let Err(error) = listen(&store, &recorder, &hub).await {
            tracing::warn!(%error, "not listening to the database");
        }
        tokio::time::sleep(PULSE).await;
    }
}

async fn listen(store: &Store, recorder: &Recorder, hub: &Hub) -> Result<(), StoreError> {
    let mut news = store.listen().await?;
    catch_up(store, hub).await?;
    recorder.look_for_foreign_changes();
    loop {
        tokio::select! {
            notice = news.next() => match notice? {
                Notice::Foreign => recorder.look_for_foreign_changes(),
                Notice::Committed(seq) if seq <= hub.position().seq => {}
                Notice::Committed(seq) => {
                    tokio::time::sleep(OWN_BATCH).await;
                    if seq > hub.position().seq {
                        catch_up(store, hub).await?;
                    }
                }
            },
            () = hub.behind() => catch_up(store, hub).await?,
            () = tokio::time::sleep(POLL) => {
                if store.position().await? != hub.position() {
                    catch_up(store, hub).await?;
                }
            }
        }
    }
}

pub(super) async fn catch_up(store: &Store, hub: &Hub) -> Result<(), StoreError> {
    let Position { mut epoch, seq: mut after } = hub.position();
    if epoch.is_empty() {
        (epoch, after) = from(store.position().await?);
    }
    loop {
        let (position, batches) = store.batches_after(after, CATCH_UP).await?;
        if position.epoch != epoch {
            (epoch, after) = from(position);
            continue;
        }
        let last = batches.last().filter(|_| batches.len() as i64 == CATCH_UP).map(|batch| batch.last_seq);
        hub.catch_up(&position, batches.into_iter().map(|batch| (batch.first_seq, split(&batch.messages))).collect());
        match last {
            Some(last) => after = last,
            None => return Ok(()),
        }
    }
}

/// From where on a stream is loaded that is new here.
fn from(position: Position) -> (String, i64) {
    (position.epoch, position.seq - PRELOADED_MESSAGES)
}

/// The messages of a stored JSON array, each as its text.
fn split(array: &str) -> Vec<String> {
    let messages: Vec<&RawValue> = serde_json::from_str(array).unwrap_or_default();
    messages.into_iter().map(|message| message.get().to_owned()).collect()
}
