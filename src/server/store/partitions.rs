//! One partition a day: made ahead, dropped when the retention has passed.

use std::collections::BTreeSet;

use chrono::{DateTime, Days, NaiveDate, Utc};

use super::{Store, StoreError};

/// How many days ahead partitions are made.
const AHEAD: u64 = 7;

impl Store {
    /// Makes the partitions of yesterday to a week ahead.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn make_partitions(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        let today = now.date_naive();
        let days = (0..=AHEAD).map(|ahead| today + Days::new(ahead)).chain([today - Days::new(1)]);
        self.ensure_partitions(&days.collect()).await
    }

    /// Makes the partitions of these days where they are missing.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn ensure_partitions(&self, days: &BTreeSet<NaiveDate>) -> Result<(), StoreError> {
        for day in days {
            sqlx::query!("select taskscope_ensure_partition($1)", day).fetch_one(&self.pool).await?;
        }
        Ok(())
    }

    /// Drops the partitions of days that ended before `cutoff`, and deletes what stands before it in the default partition.
    /// Returns how many partitions were dropped. With `only_empty` nothing goes that has rows: somebody else archives and deletes them.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn drop_before(&self, cutoff: DateTime<Utc>, only_empty: bool) -> Result<usize, StoreError> {
        let names = sqlx::query_scalar!(
            r#"select c.relname as "name!" from pg_inherits i join pg_class c on c.oid = i.inhrelid
               where i.inhparent = 'task_execution_logs'::regclass and c.relname ~ '^task_execution_logs_\d{8}$'
               order by 1"#
        )
        .fetch_all(&self.pool)
        .await?;
        let oldest_kept = format!("task_execution_logs_{}", cutoff.format("%Y%m%d"));
        let mut dropped = 0;
        for name in names.into_iter().filter(|name| *name < oldest_kept) {
            // The name was matched against the pattern above: digits only.
            let rows = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select exists (select from {name})")));
            if only_empty && rows.fetch_one(&self.pool).await? {
                continue;
            }
            self.drop_partition(&name).await?;
            dropped += 1;
        }
        if only_empty {
            return Ok(dropped);
        }
        sqlx::query!("delete from task_execution_logs_default where created_at < $1", cutoff).execute(&self.pool).await?;
        sqlx::query!("delete from queue_samples where hour < $1", cutoff).execute(&self.pool).await?;
        Ok(dropped)
    }

    /// Drops a day's partition together with what was counted of it.
    async fn drop_partition(&self, name: &str) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        sqlx::query!("select taskscope_lock_rollups()").fetch_one(&mut *tx).await?;
        // From here on nobody writes the partition any more, so that no batch's counts come after those below go.
        sqlx::query(sqlx::AssertSqlSafe(format!("drop table {name}"))).execute(&mut *tx).await?;
        sqlx::query!(
            "with day as (
                 select to_date(right($1, 8), 'YYYYMMDD')::timestamp at time zone 'UTC' as start,
                        (to_date(right($1, 8), 'YYYYMMDD') + 1)::timestamp at time zone 'UTC' as next
             ),
             deltas as (delete from rollup_deltas using day where hour >= day.start and hour < day.next),
             marks as (delete from rollup_dirty using day where hour >= day.start and hour < day.next)
             delete from execution_rollups r using day where r.start >= day.start and r.start < day.next",
            name,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Refreshes the planner's figures of the whole log once a day, or when it has grown to twice its size: autovacuum never does for a partitioned
    /// table, and with each of its days it takes Postgres two seconds a million rows.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn analyze(&self) -> Result<(), StoreError> {
        let is_due = sqlx::query_scalar!(
            r#"select coalesce(max(s.last_analyze) < now() - interval '1 day', true)
                      or (select sum(day.n_live_tup) from pg_inherits i join pg_stat_user_tables day on day.relid = i.inhrelid
                          where i.inhparent = 'task_execution_logs'::regclass) > 2 * max(c.reltuples) as "is_due!"
               from pg_class c join pg_stat_user_tables s on s.relid = c.oid
               where c.oid = 'task_execution_logs'::regclass"#
        );
        if !is_due.fetch_one(&self.pool).await? {
            return Ok(());
        }
        let mut tx = self.pool.begin().await?;
        sqlx::query!("set local statement_timeout = '10min'").execute(&mut *tx).await?;
        sqlx::query!("analyze task_execution_logs").execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }
}
