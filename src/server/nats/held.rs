//! Messages between NATS and Postgres: held until they are stored, then acknowledged.

use std::{pin::pin, time::Duration};

use async_nats::jetstream::{AckKind, Message};
use chrono::Utc;
use taskscope_wire::{BatchForm, TaskEvent, clean_batch, decode_batch, limits};
use tokio::sync::OwnedSemaphorePermit;

use crate::server::{
    recorder::Recorder,
    store::{Store, StoreError},
};

/// How often NATS hears that a message is still worked on: several times in the ten seconds after which it would go to another server.
const SIGN_OF_LIFE: Duration = Duration::from_secs(3);
/// The pause before what failed is tried again.
const PAUSE: Duration = Duration::from_millis(500);
/// What a small message counts: it takes more than its bytes.
const LEAST_COST: usize = 8 * 1024;

/// What messages count towards what may be held.
pub(super) fn cost(messages: &[Message]) -> usize {
    messages.iter().map(|message| message.length.max(LEAST_COST)).sum()
}

/// Sees that messages are stored. Clones share everything.
#[derive(Clone)]
pub(super) struct Keeper {
    recorder: Recorder,
    store: Store,
    stream: String,
}

impl Keeper {
    pub(super) const fn new(recorder: Recorder, store: Store, stream: String) -> Self {
        Self { recorder, store, stream }
    }

    /// Stores what messages say, however long it takes, and acknowledges them. The share of the room is given back at the end.
    pub(super) async fn keep(self, messages: Vec<Message>, _share: Option<OwnedSemaphorePermit>) {
        let mut stored = pin!(self.store(&messages));
        let acks = loop {
            tokio::select! {
                acks = &mut stored => break acks,
                () = tokio::time::sleep(SIGN_OF_LIFE) => all(&messages, || AckKind::Progress).await,
            }
        };
        if let Err(error) = acknowledge(&messages, acks).await {
            tracing::debug!(%error, "messages that are stored could not be acknowledged; they come again and change nothing");
        }
    }

    /// How each message is acknowledged, once all that they say is in Postgres.
    async fn store(&self, messages: &[Message]) -> Vec<AckKind> {
        let mut events = Vec::with_capacity(messages.len());
        let mut acks = Vec::with_capacity(messages.len());
        let mut refused = 0;
        for message in messages {
            let known = events.len();
            let text = clean_batch(&message.payload, BatchForm::Any);
            for (event, reason) in read(&text, &mut events) {
                refused += 1;
                self.bury(message, event, &reason).await;
            }
            acks.push(if events.len() > known { AckKind::Ack } else { AckKind::Term });
        }
        count(events.len(), refused);
        while !events.is_empty() {
            match self.recorder.store(events.clone()).await {
                Ok(()) => break,
                Err(error) => {
                    tracing::warn!(%error, "events from NATS can't be taken now; trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        acks
    }

    /// Keeps what is no event, whatever it takes.
    async fn bury(&self, message: &Message, event: &str, reason: &str) {
        let (sequence, delivered) = message.info().map_or((0, 2), |info| (info.stream_sequence, info.delivered));
        let reason = format!("message {sequence} of the stream {}: {reason}", self.stream);
        tracing::warn!(reason, "an event from NATS was refused");
        let event = storable(event);
        loop {
            match self.store.bury(&event, &reason, delivered > 1).await {
                Ok(()) => return,
                Err(StoreError::Refused(error)) => {
                    tracing::error!(error, event, "a refused event could not be kept");
                    return;
                }
                Err(error) => tracing::warn!(%error, "a refused event can't be kept now; trying again"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Puts the events of a message behind the others; what is none, with the reason.
fn read<'a>(text: &'a str, events: &mut Vec<TaskEvent>) -> Vec<(&'a str, String)> {
    match decode_batch(text, BatchForm::Any, Utc::now()) {
        Err(error) => vec![(text, error.to_string())],
        Ok(batch) if batch.is_empty() => vec![(text, "there is no event in it".to_owned())],
        Ok(batch) => {
            let mut refused = Vec::new();
            for decoded in batch {
                match decoded.event {
                    Ok(event) => events.push(event),
                    Err(reason) => refused.push((decoded.text, reason)),
                }
            }
            refused
        }
    }
}

/// As much of a refused text as an event may have, without what Postgres takes in no text.
fn storable(text: &str) -> String {
    let text = text.replace('\0', "\u{fffd}");
    match text.get(..text.floor_char_boundary(limits::EVENT)) {
        Some(start) if start.len() < text.len() => format!("{start}… (cut: {} bytes in all)", text.len()),
        _ => text,
    }
}

/// Waits for NATS' word on the last one only: it takes them in their order.
async fn acknowledge(messages: &[Message], mut acks: Vec<AckKind>) -> Result<(), async_nats::Error> {
    let (Some((last, others)), Some(last_ack)) = (messages.split_last(), acks.pop()) else { return Ok(()) };
    for (message, ack) in others.iter().zip(acks) {
        message.ack_with(ack).await?;
    }
    last.double_ack_with(last_ack).await
}

async fn all(messages: &[Message], ack: impl Fn() -> AckKind) {
    for message in messages {
        // Without a connection they come again, which changes nothing.
        if message.ack_with(ack()).await.is_err() {
            return;
        }
    }
}

fn count(accepted: usize, rejected: usize) {
    metrics::counter!("taskscope_events_accepted_total", "source" => "nats").increment(accepted as u64);
    metrics::counter!("taskscope_events_rejected_total", "source" => "nats").increment(rejected as u64);
}
