//! The one way in which executions are written: a batch of events in one transaction, with the live messages that it gives.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::{Postgres, Transaction};
use taskscope_wire::{LiveMessage, Position, Source};

use super::{
    End, LIVE_CHANNEL, Memo, RowKey, Store, StoreError, StoredAttempt,
    attempt::{Described, FinishText},
    rollup::{Fact, wait},
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
    pub(super) tx: Transaction<'static, Postgres>,
    position: Position,
    /// An execution that counted as stalled has reported, which no event says: watchers must count anew.
    pub(super) recovered: bool,
    /// How the attempts that were loaded count, by the ids of their rows. By SQL a row can be made what no report says.
    pub(super) loaded: HashMap<i64, Fact>,
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
        let mut tx = self.pool.begin_with(BEGIN).await?;
        let row = sqlx::query!("select epoch, last_seq from live_stream for update").fetch_one(&mut *tx).await?;
        Ok(BatchTx { tx, position: Position { epoch: row.epoch, seq: row.last_seq }, recovered: false, loaded: HashMap::new() })
    }

    /// Keeps an event that Postgres refuses, with its reason.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn bury(&self, event: &str, reason: &str) -> Result<(), StoreError> {
        sqlx::query!("insert into dead_letters (event, reason) values ($1, $2)", event, reason).execute(&self.pool).await?;
        Ok(())
    }

    /// How many events Postgres refused.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn dead_letters(&self) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar!(r#"select count(*) as "count!" from dead_letters"#).fetch_one(&self.pool).await?)
    }
}

impl BatchTx {
    /// The attempts of these tasks that were created at `since` or later, or all of them.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn load(&mut self, task_ids: &[String], since: Option<DateTime<Utc>>) -> Result<Vec<StoredAttempt>, StoreError> {
        let rows = sqlx::query_as!(
            Row,
            r#"select id as "id!", created_at as "created_at!", updated_at as "updated_at!", source as "source!", task_id as "task_id!",
                      task_name as "task_name!", status as "status!", attempt as "attempt!", queued_at, started_at, completed_at,
                      duration_ms, reported_ms, params::text, labels::text, queue, worker, max_retries, error_type, error_message,
                      error_traceback, result::text, memo::text
               from unnest($1::text[]) as wanted (wanted_id) cross join lateral (
                   select * from task_execution_logs
                   where task_id = wanted_id and source <> 'sql' and created_at >= coalesce($2::timestamptz, '-infinity')
                   -- Keeps Postgres from turning the loop round.
                   offset 0
               ) found"#,
            task_ids,
            since,
        )
        .fetch_all(&mut *self.tx)
        .await?;
        self.loaded.extend(rows.iter().map(|row| (row.id, Fact::from(row))));
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

    /// Stores attempts, which have their keys: new ones, and ones that have changed. A row whose time of creation moves is replaced.
    ///
    /// # Errors
    /// Postgres doesn't answer, or refuses a value.
    pub async fn write(&mut self, attempts: &[&StoredAttempt]) -> Result<(), StoreError> {
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
            &c.id, &c.created_at, &c.source as _, &c.task_id, &c.task_name, &c.status as _, &c.attempt,
            &c.queued_at as _, &c.started_at as _, &c.completed_at as _, &c.duration_ms as _, &c.reported_ms as _, &c.params as _,
            &c.labels as _, &c.queue as _, &c.worker as _, &c.max_retries as _, &c.error_message as _, &c.error_traceback as _,
            &c.result as _, &c.memo as _, &c.error_type as _,
        )
        .execute(&mut *self.tx)
        .await?;
        self.keep_active(attempts).await
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

    /// Numbers the live messages, keeps them for those who miss them, and commits everything.
    ///
    /// # Errors
    /// Postgres doesn't answer; nothing was written then, or nobody knows: writing the same events again is harmless.
    pub async fn commit(mut self, mut messages: Vec<LiveMessage>) -> Result<Written, StoreError> {
        if self.recovered {
            messages.push(LiveMessage::Changed { seq: 0 });
        }
        let first_seq = self.position.seq + 1;
        let messages: Vec<String> =
            messages.into_iter().zip(first_seq..).filter_map(|(message, seq)| number(message, seq).encode().ok()).collect();
        if !messages.is_empty() {
            self.position.seq += messages.len() as i64;
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

fn number(mut message: LiveMessage, number: i64) -> LiveMessage {
    match &mut message {
        LiveMessage::Event(event) => event.seq = number,
        LiveMessage::Analysis(event) => event.seq = number,
        LiveMessage::Changed { seq } => *seq = number,
        _ => {}
    }
    message
}

struct Row {
    id: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    source: String,
    task_id: String,
    task_name: String,
    status: String,
    attempt: i32,
    queued_at: Option<DateTime<Utc>>,
    started_at: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
    duration_ms: Option<i64>,
    reported_ms: Option<i64>,
    params: Option<String>,
    labels: Option<String>,
    queue: Option<String>,
    worker: Option<String>,
    max_retries: Option<i32>,
    error_type: Option<String>,
    error_message: Option<String>,
    error_traceback: Option<String>,
    result: Option<String>,
    memo: Option<String>,
}

impl From<&Row> for Fact {
    fn from(row: &Row) -> Self {
        Self {
            created_at: row.created_at,
            task_name: row.task_name.clone(),
            status: super::executions::status(&row.status),
            duration_ms: row.duration_ms,
            wait_ms: wait(row.queued_at, row.started_at),
        }
    }
}

impl From<Row> for StoredAttempt {
    fn from(row: Row) -> Self {
        let status = super::executions::status(&row.status);
        let finish = FinishText {
            failed: status == taskscope_wire::TaskStatus::Failed,
            reported_ms: row.reported_ms,
            error_type: row.error_type,
            error_message: row.error_message,
            error_traceback: row.error_traceback,
            result: row.result,
        };
        let memo: Memo = row.memo.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let mut described = Described {
            params: row.params,
            labels: row.labels,
            queue: row.queue,
            worker: row.worker,
            max_retries: row.max_retries,
        };
        // A column holds what the end said only where nothing else did.
        if let Some(from_end) = &memo.from_end {
            described.leave_out(from_end);
        }
        Self {
            key: Some(RowKey { id: row.id, created_at: row.created_at }),
            source: Source::parse(&row.source).unwrap_or(Source::Taskiq),
            task_id: row.task_id,
            task_name: row.task_name,
            number: row.attempt,
            queued_at: row.queued_at,
            started_at: row.started_at,
            end: status.is_finished().then(|| End { at: row.completed_at.unwrap_or(row.updated_at), of: None, finish }),
            described,
            memo,
        }
    }
}

/// Attempts turned by 90 degrees, for `unnest`.
#[derive(Default)]
struct Columns {
    id: Vec<i64>,
    created_at: Vec<DateTime<Utc>>,
    source: Vec<&'static str>,
    task_id: Vec<String>,
    task_name: Vec<String>,
    status: Vec<&'static str>,
    attempt: Vec<i32>,
    queued_at: Vec<Option<DateTime<Utc>>>,
    started_at: Vec<Option<DateTime<Utc>>>,
    completed_at: Vec<Option<DateTime<Utc>>>,
    duration_ms: Vec<Option<i64>>,
    reported_ms: Vec<Option<i64>>,
    params: Vec<Option<String>>,
    labels: Vec<Option<String>>,
    queue: Vec<Option<String>>,
    worker: Vec<Option<String>>,
    max_retries: Vec<Option<i32>>,
    error_message: Vec<Option<String>>,
    error_traceback: Vec<Option<String>>,
    result: Vec<Option<String>>,
    memo: Vec<Option<String>>,
    error_type: Vec<Option<String>>,
}

impl Columns {
    fn of(attempts: &[&StoredAttempt]) -> Self {
        let mut columns = Self::default();
        for (attempt, key) in attempts.iter().filter_map(|attempt| Some((attempt, attempt.key?))) {
            columns.push(attempt, key.id);
        }
        columns
    }

    fn push(&mut self, attempt: &StoredAttempt, id: i64) {
        let description = attempt.description();
        let end = attempt.end.clone();
        let at = end.as_ref().map(|end| end.at);
        let finish = end.map(|end| end.finish).unwrap_or_default();
        self.id.push(id);
        self.created_at.push(attempt.created_at());
        self.source.push(attempt.source.as_str());
        self.task_id.push(attempt.task_id.clone());
        self.task_name.push(attempt.task_name.clone());
        self.status.push(attempt.status().as_str());
        self.attempt.push(attempt.number);
        self.queued_at.push(attempt.queued_at);
        self.started_at.push(attempt.started_at);
        self.completed_at.push(at);
        self.duration_ms.push(attempt.duration_ms());
        self.reported_ms.push(finish.reported_ms);
        self.params.push(description.params);
        self.labels.push(description.labels);
        self.queue.push(description.queue);
        self.worker.push(description.worker);
        self.max_retries.push(description.max_retries);
        self.error_type.push(finish.error_type);
        self.error_message.push(finish.error_message);
        self.error_traceback.push(finish.error_traceback);
        self.result.push(finish.result);
        self.memo.push((attempt.memo != Memo::default()).then(|| serde_json::to_string(&attempt.memo).unwrap_or_default()));
    }
}
