//! The live stream as it was sent: what a client missed, and what other recorders committed.

use taskscope_wire::{LiveEvent, LiveMessage, MissedEvents, Position};

use super::{Store, StoreError, position, read};

/// Events of the live feed.
const FEED: i64 = 50;
/// Batches of the stream that are kept after a clean-up; each holds 1 to 1,000 messages.
const KEPT_BATCHES: i64 = 20_000;

/// A committed batch of live messages.
#[derive(Debug, Clone)]
pub struct StoredBatch {
    /// The number of its first message.
    pub first_seq: i64,
    /// The number of its last message.
    pub last_seq: i64,
    /// A JSON array of messages.
    pub messages: String,
}

impl Store {
    /// The newest events, oldest first: what the live feed starts with.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn latest_events(&self) -> Result<MissedEvents, StoreError> {
        let newest = self.events_after(None, FEED).await?;
        Ok(MissedEvents { complete: true, ..newest })
    }

    /// What follows `after` in the stream; if that is more than `limit` messages, or some are gone, the newest ones.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn missed_events(&self, after: i64, limit: i64) -> Result<MissedEvents, StoreError> {
        self.events_after(Some(after), limit).await
    }

    async fn events_after(&self, after: Option<i64>, limit: i64) -> Result<MissedEvents, StoreError> {
        read(async {
            let mut tx = self.snapshot().await?;
            let position = position(&mut tx).await?;
            // Numbers have no gaps, so this bounds what is read, however much was missed.
            let from = after.unwrap_or(0).max(position.seq - limit);
            let batches =
                sqlx::query!("select first_seq, messages from live_batches where last_seq > $1 order by last_seq", from)
                    .fetch_all(&mut *tx)
                    .await?;
            let reached = batches.first().map_or(position.seq + 1, |batch| batch.first_seq);
            let mut events = Vec::new();
            for batch in batches {
                events.extend(decode(&batch.messages)?.into_iter().filter(|event| event.seq > from));
            }
            let complete = after.is_some_and(|after| after == from && after <= position.seq && reached <= after + 1);
            Ok(MissedEvents { position, complete, events })
        })
        .await
    }

    /// The batches after a place in the stream, oldest first, with where the stream stands.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn batches_after(&self, seq: i64, limit: i64) -> Result<(Position, Vec<StoredBatch>), StoreError> {
        read(async {
            let mut tx = self.snapshot().await?;
            let position = position(&mut tx).await?;
            let batches = sqlx::query_as!(
                StoredBatch,
                "select first_seq, last_seq, messages from live_batches where last_seq > $1 order by last_seq limit $2",
                seq,
                limit,
            )
            .fetch_all(&mut *tx)
            .await?;
            Ok((position, batches))
        })
        .await
    }

    /// Drops live batches that nobody can ask for any more.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn prune_live_batches(&self) -> Result<(), StoreError> {
        sqlx::query!(
            "delete from live_batches where last_seq <= (select last_seq from live_batches order by last_seq desc offset $1 limit 1)",
            KEPT_BATCHES,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

/// The task events of a stored batch.
fn decode(messages: &str) -> Result<Vec<LiveEvent>, StoreError> {
    let messages = LiveMessage::decode_batch(messages).map_err(|error| StoreError::Failed(sqlx::Error::Decode(error.into())))?;
    Ok(messages
        .into_iter()
        .filter_map(|message| match message {
            LiveMessage::Event(event) => Some(*event),
            _ => None,
        })
        .collect())
}
