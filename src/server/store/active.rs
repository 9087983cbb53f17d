//! `task_active`: what is pending or running, and why it stalls. The recorder keeps it in the transaction in which it writes the log.

use chrono::{DateTime, Utc};
use sqlx::{Postgres, Transaction};
use taskscope_wire::{Cursor, TaskStatus};

use super::{
    BatchTx, StoreError, StoredAttempt,
    rollup::{Place, Window},
};

/// What is asked for where only executions that are not over are.
#[derive(Debug)]
pub(super) struct OpenOnly {
    task_names: Option<Vec<String>>,
    statuses: Vec<String>,
}

impl OpenOnly {
    /// None where a window lets others through, too.
    pub(super) fn of(window: &Window) -> Option<Self> {
        let statuses = window.statuses.as_ref().filter(|statuses| !statuses.iter().any(|status| status.is_finished()))?;
        Some(Self { task_names: window.task_names.clone(), statuses: statuses.iter().map(TaskStatus::to_string).collect() })
    }

    /// The times of creation and numbers of the executions at a place, newest first.
    pub(super) async fn keys(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        place: Place,
        cursor: Option<Cursor>,
        limit: i64,
    ) -> Result<Vec<(DateTime<Utc>, i64)>, StoreError> {
        let keys = sqlx::query!(
            "select created_at, id from task_active
             where created_at >= $1 and created_at < $2 and status = any($3) and ($4::text[] is null or task_name = any($4))
               and ($5::timestamptz is null or created_at <= $5) and ($6::bigint is null or id <= $6)
             order by created_at desc, id desc limit $7 offset $8",
            place.from,
            place.to,
            &self.statuses,
            self.task_names.as_deref(),
            cursor.map(|cursor| cursor.until),
            cursor.map(|cursor| cursor.last_id),
            limit,
            place.offset,
        );
        Ok(keys.fetch_all(&mut **tx).await?.into_iter().map(|row| (row.created_at, row.id)).collect())
    }
}

impl BatchTx {
    /// Puts pending and running attempts into `task_active`. One that reports doesn't count as stalled any more.
    pub(super) async fn keep_active(&mut self, attempts: &[&StoredAttempt]) -> Result<(), StoreError> {
        if attempts.is_empty() {
            return Ok(());
        }
        let a = ActiveColumns::of(attempts);
        let stalled = sqlx::query_scalar!(
            r#"with kept as (
                   insert into task_active (id, created_at, task_name, status, queue, worker, since)
                   select * from unnest(
                       $1::bigint[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[]
                   )
                   on conflict (id) do update set
                       created_at = excluded.created_at, task_name = excluded.task_name, status = excluded.status,
                       queue = excluded.queue, worker = excluded.worker, since = excluded.since, stalled = null
               )
               -- As it was before this statement.
               select exists (select from task_active where id = any($1) and stalled is not null) as "stalled!""#,
            &a.id,
            &a.created_at,
            &a.task_name as _,
            &a.status as _,
            &a.queue as _,
            &a.worker as _,
            &a.since,
        )
        .fetch_one(&mut *self.tx)
        .await?;
        self.recovered |= stalled;
        Ok(())
    }

    /// Takes rows out of `task_active`, and notes whether one of them counted as stalled.
    pub(super) async fn forget_active(&mut self, ids: &[i64]) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let stalled = sqlx::query_scalar!(
            r#"with gone as (delete from task_active where id = any($1) returning stalled)
               select exists (select from gone where stalled is not null) as "stalled!""#,
            ids,
        )
        .fetch_one(&mut *self.tx)
        .await?;
        self.recovered |= stalled;
        Ok(())
    }
}

/// Active attempts turned by 90 degrees, for `unnest`.
#[derive(Default)]
struct ActiveColumns<'a> {
    id: Vec<i64>,
    created_at: Vec<DateTime<Utc>>,
    task_name: Vec<&'a str>,
    status: Vec<&'static str>,
    queue: Vec<Option<&'a str>>,
    worker: Vec<Option<&'a str>>,
    since: Vec<DateTime<Utc>>,
}

impl<'a> ActiveColumns<'a> {
    fn of(attempts: &[&'a StoredAttempt]) -> Self {
        let mut columns = Self::default();
        for (attempt, key) in attempts.iter().filter_map(|attempt| Some((*attempt, attempt.key?))) {
            columns.id.push(key.id);
            columns.created_at.push(attempt.created_at());
            columns.task_name.push(&attempt.task_name);
            columns.status.push(attempt.status().as_str());
            columns.queue.push(attempt.queue());
            columns.worker.push(attempt.worker());
            columns.since.push(attempt.started_at.unwrap_or(attempt.created_at()));
        }
        columns
    }
}
