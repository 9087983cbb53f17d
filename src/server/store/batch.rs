//! The one way in which executions are written: a batch of events in one transaction, with the live messages that it gives.

use chrono::{DateTime, Utc};
use taskscope_wire::{LiveMessage, Position};

use super::{
    LIVE_CHANNEL, RowKey, Store, StoreError, StoredAttempt,
    kept::KeptTx,
    rollup::{Fact, Loaded},
    rows::{self, Columns, Row},
};

/// Says who writes, and that each row is found by its key, through an index, by a plan that is made once. Left alone, Postgres may plan
/// for the empty table that a new day is, and read it from end to end while it grows, until it is analyzed (measured: 75 % of a core at
/// 1,000 events a second).
const BEGIN: &str = "begin;
    set local taskscope.recorder = 'on';
    set local plan_cache_mode = 'force_generic_plan';
    set local enable_seqscan = off;
    set local enable_bitmapscan = off";

/// A transaction that holds the sequencer's row. Dropping it takes everything back.
#[derive(Debug)]
pub struct BatchTx {
    pub(super) tx: KeptTx,
    position: Position,
    /// An execution that counted as stalled has reported, which no event says: watchers must count anew.
    pub(super) recovered: bool,
    loaded: Loaded,
}

/// Numbered live messages, each as JSON.
#[derive(Debug)]
pub struct LiveText {
    first_seq: i64,
    messages: Vec<String>,
}

/// A committed batch.
#[derive(Debug, Clone)]
pub struct Written {
    /// Where the stream stands after it.
    pub position: Position,
    /// Its live messages, one JSON text each; the last one has the number of `position`.
    pub messages: Vec<String>,
}

impl Store {
    /// Waits for its turn among all recorders of this database and opens a batch.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn begin_batch(&self) -> Result<BatchTx, StoreError> {
        let mut tx = self.batches.begin(&self.pool, BEGIN).await?;
        let row = sqlx::query!("select epoch, last_seq from live_stream for update").fetch_one(&mut *tx).await?;
        Ok(BatchTx {
            tx,
            position: Position { epoch: row.epoch, seq: row.last_seq },
            recovered: false,
            loaded: Loaded::default(),
        })
    }
}

impl BatchTx {
    /// The attempts of these tasks that were created between `since`, or however long ago, and `until`.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn load(
        &mut self,
        task_ids: &[&str],
        since: Option<DateTime<Utc>>,
        until: DateTime<Utc>,
    ) -> Result<Vec<StoredAttempt>, StoreError> {
        // The times only choose partitions. Written as alternatives, no index fits them, so that each partition is asked for all ids at
        // once through the one index that fits, whatever the planner thinks of a partition that was empty when it looked.
        let rows = sqlx::query_as!(
            Row,
            r#"select id as "id!", created_at as "created_at!", updated_at as "updated_at!", source as "source!", task_id as "task_id!",
                      task_name as "task_name!", status as "status!", attempt as "attempt!", queued_at, started_at, completed_at,
                      duration_ms, reported_ms, params::text, labels::text, queue, worker, max_retries, error_type, error_message,
                      error_traceback, result::text, memo::text
               from task_execution_logs
               where task_id = any($1::text[]) and source <> 'sql'
                   and (created_at > coalesce($2::timestamptz, '-infinity') or created_at = $2)
                   and (created_at < $3 or created_at = $3)"#,
            task_ids as _,
            since,
            until,
        )
        .fetch_all(&mut *self.tx)
        .await?;
        self.loaded.0.extend(rows.iter().map(|row| (row.id, Fact::from(row))));
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Gives attempts that are not stored yet their ids.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn assign_ids(&mut self, attempts: &mut [StoredAttempt]) -> Result<(), StoreError> {
        if attempts.is_empty() {
            return Ok(());
        }
        let count = i32::try_from(attempts.len()).unwrap_or(i32::MAX);
        let ids =
            sqlx::query_scalar!(r#"select nextval('task_execution_logs_id_seq') as "id!" from generate_series(1, $1)"#, count)
                .fetch_all(&mut *self.tx)
                .await?;
        for (attempt, id) in attempts.iter_mut().zip(ids) {
            attempt.key = Some(RowKey { id, created_at: attempt.created_at() });
        }
        Ok(())
    }

    /// Stores attempts, which have their keys: new ones, and ones that have changed. A changed row whose time of creation moves is
    /// replaced.
    ///
    /// # Errors
    /// Postgres doesn't answer, or refuses a value.
    pub async fn write(&mut self, new: &[StoredAttempt], changed: &[StoredAttempt]) -> Result<(), StoreError> {
        self.insert(new).await?;
        self.update(changed).await?;
        // One that is new and has ended was never there.
        let finished = changed.iter().filter(|attempt| attempt.status().is_finished()).filter_map(|attempt| attempt.key);
        self.forget_active(&finished.map(|key| key.id).collect::<Vec<_>>()).await?;
        let active = new.iter().chain(changed).filter(|attempt| !attempt.status().is_finished());
        self.keep_active(&active.collect::<Vec<_>>()).await
    }

    async fn insert(&mut self, attempts: &[StoredAttempt]) -> Result<(), StoreError> {
        if attempts.is_empty() {
            return Ok(());
        }
        let rows = rows::to_copy(attempts);
        let mut copy = self.tx.copy_in_raw(rows::COPY).await?;
        copy.send(rows).await?;
        copy.finish().await?;
        Ok(())
    }

    async fn update(&mut self, attempts: &[StoredAttempt]) -> Result<(), StoreError> {
        if attempts.is_empty() {
            return Ok(());
        }
        let moved = attempts.iter().filter_map(|attempt| attempt.key.filter(|key| key.created_at != attempt.created_at()));
        self.delete(&moved.collect::<Vec<_>>()).await?;
        let c = Columns::of(attempts);
        sqlx::query!(
            r#"insert into task_execution_logs (
                   id, created_at, source, task_id, task_name, status, attempt, queued_at, started_at, completed_at, duration_ms,
                   reported_ms, params, labels, queue, worker, max_retries, error_message, error_traceback, result, memo, error_type
               )
               select id, created_at, source, task_id, task_name, status, attempt, queued_at, started_at, completed_at, duration_ms,
                      reported_ms, params::jsonb, labels::jsonb, queue, worker, max_retries, error_message, error_traceback,
                      result::jsonb, memo::jsonb, error_type
               from unnest(
                   $1::bigint[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::integer[],
                   $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::bigint[], $12::bigint[], $13::text[],
                   $14::text[], $15::text[], $16::text[], $17::integer[], $18::text[], $19::text[], $20::text[], $21::text[],
                   $22::text[]
               ) as new (
                   id, created_at, source, task_id, task_name, status, attempt, queued_at, started_at, completed_at, duration_ms,
                   reported_ms, params, labels, queue, worker, max_retries, error_message, error_traceback, result, memo, error_type
               )
               on conflict (created_at, id) do update set
                   task_name = excluded.task_name, status = excluded.status, attempt = excluded.attempt,
                   queued_at = excluded.queued_at, started_at = excluded.started_at, completed_at = excluded.completed_at,
                   duration_ms = excluded.duration_ms, reported_ms = excluded.reported_ms, params = excluded.params,
                   labels = excluded.labels, queue = excluded.queue, worker = excluded.worker, max_retries = excluded.max_retries,
                   error_message = excluded.error_message, error_traceback = excluded.error_traceback, result = excluded.result,
                   memo = excluded.memo, error_type = excluded.error_type, updated_at = now()"#,
            &c.id, &c.created_at, &c.source as _, &c.task_id as _, &c.task_name as _, &c.status as _, &c.attempt,
            &c.queued_at as _, &c.started_at as _, &c.completed_at as _, &c.duration_ms as _, &c.reported_ms as _, &c.params as _,
            &c.labels as _, &c.queue as _, &c.worker as _, &c.max_retries as _, &c.error_message as _, &c.error_traceback as _,
            &c.result as _, &c.memo as _, &c.error_type as _,
        )
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    /// Removes rows: those that turned out to be part of another attempt, and those that move.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn delete(&mut self, keys: &[RowKey]) -> Result<(), StoreError> {
        self.forget_active(&keys.iter().map(|key| key.id).collect::<Vec<_>>()).await?;
        for key in keys {
            sqlx::query!("delete from task_execution_logs where created_at = $1 and id = $2", key.created_at, key.id)
                .execute(&mut *self.tx)
                .await?;
        }
        Ok(())
    }

    /// How the attempts that were loaded so far counted, for [`BatchCounts::of`](super::BatchCounts::of).
    #[must_use]
    pub fn take_loaded(&mut self) -> Loaded {
        std::mem::take(&mut self.loaded)
    }

    /// Ends a batch that changes nothing.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn leave(self) -> Result<(), StoreError> {
        Ok(self.tx.roll_back().await?)
    }

    /// The number that the first live message of this batch gets.
    #[must_use]
    pub fn next_seq(&self) -> i64 {
        self.position.seq + 1
    }

    /// Numbers the live messages, keeps them for those who miss them, and commits everything.
    ///
    /// # Errors
    /// As of [`BatchTx::commit_text`].
    pub async fn commit(self, messages: Vec<LiveMessage>) -> Result<Written, StoreError> {
        let text = LiveText::new(self.next_seq(), messages);
        self.commit_text(text).await
    }

    /// The same for messages that are written out already.
    ///
    /// # Errors
    /// Postgres doesn't answer; nothing was written then, or nobody knows: writing the same events again is harmless.
    pub async fn commit_text(mut self, mut text: LiveText) -> Result<Written, StoreError> {
        if self.recovered {
            text.push(LiveMessage::Changed { seq: 0 });
        }
        let LiveText { first_seq, messages } = text;
        if !messages.is_empty() {
            self.position.seq = first_seq + messages.len() as i64 - 1;
            sqlx::query!(
                r#"with batch as (insert into live_batches (first_seq, last_seq, messages) values ($1, $2, $3)),
                        stream as (update live_stream set last_seq = $2)
                   select pg_notify($4, ($2::bigint)::text)::text as "sent""#,
                first_seq,
                self.position.seq,
                format!("[{}]", messages.join(",")),
                LIVE_CHANNEL,
            )
            .fetch_one(&mut *self.tx)
            .await?;
        }
        self.tx.commit().await?;
        Ok(Written { position: self.position, messages })
    }
}

impl LiveText {
    /// Numbers messages from `first_seq` on, which is [`BatchTx::next_seq`], and writes each as JSON.
    #[must_use]
    pub fn new(first_seq: i64, messages: Vec<LiveMessage>) -> Self {
        let mut text = Self { first_seq, messages: Vec::with_capacity(messages.len() + 1) };
        messages.into_iter().for_each(|message| text.push(message));
        text
    }

    fn push(&mut self, message: LiveMessage) {
        let seq = self.first_seq + self.messages.len() as i64;
        self.messages.extend(number(message, seq).encode());
    }
}

fn number(mut message: LiveMessage, number: i64) -> LiveMessage {
    match &mut message {
        LiveMessage::Event(event) => event.seq = number,
        LiveMessage::Analysis(event) => event.seq = number,
        LiveMessage::Changed { seq } => *seq = number,
        _ => {}
    }
    message
}
