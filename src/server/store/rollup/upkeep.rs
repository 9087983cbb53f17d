//! Merges what batches changed into the cells, and counts anew the hours in which others wrote.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use sqlx::{Postgres, Transaction};
use taskscope_wire::TaskStatus;

use super::{
    cell::{Cell, Fact, Grain, encode, wait},
    delta::{Deltas, Key},
    plan::{Source, Stretch},
    read::Window,
};
use crate::server::store::{Store, StoreError, executions::status};

/// Rows of `rollup_deltas` that are merged at once.
const MOST_DELTAS: i64 = 2000;

/// All sees one snapshot, so that what is merged or counted anew is exactly what its marks and deltas say. Another server that did the same
/// meanwhile makes it fail, and it is tried again.
const BEGIN: &str = "begin isolation level repeatable read; set local statement_timeout = '5min'; set local enable_seqscan = off";

/// Cells to be written, by grain and start.
type Cells = BTreeMap<(Grain, DateTime<Utc>, Key), Cell>;

impl Store {
    /// Merges deltas into cells and counts the marked hours of one day anew. Returns whether there may be more to do. One server at a time does it.
    ///
    /// # Errors
    /// Postgres doesn't answer, or another server was faster.
    pub async fn keep_rollups(&self) -> Result<bool, StoreError> {
        let any =
            sqlx::query_scalar!(r#"select exists (select from rollup_deltas) or exists (select from rollup_dirty) as "any!""#);
        if !any.fetch_one(&self.pool).await? {
            return Ok(false);
        }
        let mut tx = self.pool.begin_with(BEGIN).await?;
        let locked = sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock(7239412806) as "locked!""#);
        if !locked.fetch_one(&mut *tx).await? {
            return Ok(false);
        }
        let dirty = take_marks(&mut tx).await?;
        // A recount holds what they say.
        sqlx::query!("delete from rollup_deltas where hour = any($1)", &dirty.iter().copied().collect::<Vec<_>>())
            .execute(&mut *tx)
            .await?;
        let merged = merge_deltas(&mut tx).await?;
        for hour in &dirty {
            recount(&mut tx, *hour).await?;
        }
        if let Some(hour) = dirty.first() {
            rebuild_day(&mut tx, Grain::Day.start_of(*hour)).await?;
        }
        tx.commit().await?;
        Ok(merged == MOST_DELTAS || !dirty.is_empty())
    }

    /// Marks every hour of the log, and every hour that has cells, to be counted anew.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn mark_all_hours(&self) -> Result<(), StoreError> {
        sqlx::query!(
            r#"insert into rollup_dirty (hour)
               with recursive hours (hour) as (
                   select date_trunc('hour', min(created_at), 'UTC') from task_execution_logs
                   union all
                   select (
                       select date_trunc('hour', min(created_at), 'UTC') from task_execution_logs
                       where created_at >= hours.hour + interval '1 hour'
                   )
                   from hours where hours.hour is not null
               )
               select hour from hours where hour is not null
               union
               select start from execution_rollups where grain = 'hour'
               union
               select start from execution_rollups where grain = 'day'"#
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

/// Takes the marks of the newest day that has any.
async fn take_marks(tx: &mut Transaction<'static, Postgres>) -> Result<BTreeSet<DateTime<Utc>>, StoreError> {
    let hours = sqlx::query_scalar!(
        r#"delete from rollup_dirty
           where hour >= (select date_trunc('day', max(hour), 'UTC') from rollup_dirty)
           returning hour"#
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(hours.into_iter().collect())
}

/// Merges the oldest deltas, and says how many rows these were.
async fn merge_deltas(tx: &mut Transaction<'static, Postgres>) -> Result<i64, StoreError> {
    let rows = sqlx::query!(
        r#"delete from rollup_deltas where id in (select id from rollup_deltas order by id limit $1)
           returning hour, changes"#,
        MOST_DELTAS,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut deltas = Deltas::default();
    for row in &rows {
        deltas.add(row.hour, &row.changes)?;
    }
    let mut cells = Cells::new();
    for (hour, changes) in deltas.0 {
        for (key, change) in changes {
            let day = (Grain::Day, Grain::Day.start_of(hour), key.clone());
            cells.entry(day).or_default().add(&change.in_day(hour));
            cells.entry((Grain::Hour, hour, key)).or_default().add(&change);
        }
    }
    add_stored(tx, &mut cells).await?;
    write(tx, &cells).await?;
    Ok(rows.len() as i64)
}

/// Adds to changes what is stored of the same cells.
async fn add_stored(tx: &mut Transaction<'static, Postgres>, cells: &mut Cells) -> Result<(), StoreError> {
    let keys = Columns::of(cells.keys());
    let rows = sqlx::query!(
        r#"select r.grain as "grain!", r.start as "start!", r.task_name as "task_name!", r.status as "status!", r.parts as "parts!",
                  r.run as "run!", r.wait as "wait!"
           from unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[]) as wanted (grain, start, task_name, status)
           join execution_rollups r using (grain, start, task_name, status)"#,
        &keys.grain as _,
        &keys.start,
        &keys.task_name as _,
        &keys.status as _,
    )
    .fetch_all(&mut **tx)
    .await?;
    for row in rows {
        let grain = if row.grain == Grain::Day.as_str() { Grain::Day } else { Grain::Hour };
        let cell = Cell::decode(&row.parts, &row.run, &row.wait)?;
        cells.entry((grain, row.start, (row.task_name, status(&row.status)))).or_default().add(&cell);
    }
    Ok(())
}

/// Counts an hour from the log.
async fn recount(tx: &mut Transaction<'static, Postgres>, hour: DateTime<Utc>) -> Result<(), StoreError> {
    let mut cells = Cells::new();
    let stretch = Stretch { from: hour, to: hour + Grain::Hour.length(), source: Source::Log };
    count_log(tx, stretch, &Window::between(None, None), |fact| {
        let key = (Grain::Hour, hour, (fact.task_name.clone(), fact.status));
        cells.entry(key).or_default().record(Grain::Hour, &fact, 1);
    })
    .await?;
    sqlx::query!("delete from execution_rollups where grain = 'hour' and start = $1", hour).execute(&mut **tx).await?;
    write(tx, &cells).await
}

/// Hands over what counts of every execution that was created in a stretch and that a window lets through.
pub(super) async fn count_log(
    tx: &mut Transaction<'static, Postgres>,
    stretch: Stretch,
    window: &Window,
    mut count: impl FnMut(Fact),
) -> Result<(), StoreError> {
    let mut rows = sqlx::query!(
        "select task_name, status, created_at, duration_ms, queued_at, started_at
         from task_execution_logs
         where created_at >= $1 and created_at < $2
           and ($3::text[] is null or task_name = any($3)) and ($4::text[] is null or status = any($4))",
        stretch.from,
        stretch.to,
        window.task_names.as_deref() as _,
        window.status_words() as _,
    )
    .fetch(&mut **tx);
    while let Some(row) = rows.try_next().await? {
        count(Fact {
            created_at: row.created_at,
            task_name: row.task_name,
            status: status(&row.status),
            duration_ms: row.duration_ms,
            wait_ms: wait(row.queued_at, row.started_at),
        });
    }
    Ok(())
}

/// Makes a day's cells the sum of its hours'.
async fn rebuild_day(tx: &mut Transaction<'static, Postgres>, day: DateTime<Utc>) -> Result<(), StoreError> {
    let mut cells = Cells::new();
    {
        let mut rows = sqlx::query!(
            r#"select start, task_name, status, parts, run, wait from execution_rollups
               where grain = 'hour' and start >= $1 and start < $2"#,
            day,
            day + Grain::Day.length(),
        )
        .fetch(&mut **tx);
        while let Some(row) = rows.try_next().await? {
            let cell = Cell::decode(&row.parts, &row.run, &row.wait)?;
            let key = (Grain::Day, day, (row.task_name, status(&row.status)));
            cells.entry(key).or_default().add(&cell.in_day(row.start));
        }
    }
    sqlx::query!("delete from execution_rollups where grain = 'day' and start = $1", day).execute(&mut **tx).await?;
    write(tx, &cells).await
}

/// Stores cells as they are; those that hold nothing go.
async fn write(tx: &mut Transaction<'static, Postgres>, cells: &Cells) -> Result<(), StoreError> {
    let (gone, kept): (Vec<_>, Vec<_>) = cells.iter().partition(|(_, cell)| cell.is_empty());
    if !gone.is_empty() {
        let gone = Columns::of(gone.into_iter().map(|(key, _)| key));
        sqlx::query!(
            r#"delete from execution_rollups r
               using unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[]) as gone (grain, start, task_name, status)
               where r.grain = gone.grain and r.start = gone.start and r.task_name = gone.task_name and r.status = gone.status"#,
            &gone.grain as _,
            &gone.start,
            &gone.task_name as _,
            &gone.status as _,
        )
        .execute(&mut **tx)
        .await?;
    }
    if kept.is_empty() {
        return Ok(());
    }
    let keys = Columns::of(kept.iter().map(|(key, _)| *key));
    let (mut totals, mut parts, mut runs, mut waits) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (_, cell) in kept {
        totals.push(cell.parts.sum().total);
        parts.push(encode(&cell.parts)?);
        runs.push(encode(&cell.run)?);
        waits.push(encode(&cell.wait)?);
    }
    sqlx::query!(
        r#"insert into execution_rollups (grain, start, task_name, status, total, parts, run, wait)
           select * from unnest(
               $1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::bigint[], $6::bytea[], $7::bytea[], $8::bytea[]
           )
           on conflict (grain, start, task_name, status) do update set
               total = excluded.total, parts = excluded.parts, run = excluded.run, wait = excluded.wait"#,
        &keys.grain as _,
        &keys.start,
        &keys.task_name as _,
        &keys.status as _,
        &totals,
        &parts,
        &runs,
        &waits,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The keys of cells turned by 90 degrees, for `unnest`.
#[derive(Default)]
struct Columns<'a> {
    grain: Vec<&'static str>,
    start: Vec<DateTime<Utc>>,
    task_name: Vec<&'a str>,
    status: Vec<&'static str>,
}

impl<'a> Columns<'a> {
    fn of(keys: impl Iterator<Item = &'a (Grain, DateTime<Utc>, (String, TaskStatus))>) -> Self {
        let mut columns = Self::default();
        for (grain, start, (task_name, status)) in keys {
            columns.grain.push(grain.as_str());
            columns.start.push(*start);
            columns.task_name.push(task_name);
            columns.status.push(status.as_str());
        }
        columns
    }
}
