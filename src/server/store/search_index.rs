//! The index of params and task ids that days get when they are over.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection};

use super::{Store, StoreError};

/// What the name of an index of a partition ends with.
const SUFFIX: &str = "_task_text";

/// How long one index may take: a day of a hundred million rows a month takes minutes.
const LIMIT: Duration = Duration::from_secs(1800);

impl Store {
    /// Makes the index of the newest partition whose day is over and that has none, beside what is written meanwhile. Says which; none
    /// where none is missing, or another server is at it.
    ///
    /// An index that was not finished, since a server or Postgres ended, is taken away first.
    ///
    /// # Errors
    /// Postgres doesn't answer, or a lock was not to be had.
    pub async fn index_closed_day(&self, now: DateTime<Utc>) -> Result<Option<String>, StoreError> {
        // It waits for transactions that began before, such as a recount of a day; nobody who reads or writes rows waits for it meanwhile.
        // A connection of its own: its limits are other ones, and the lock ends with it whatever happens.
        let mut connection = PgConnection::connect_with(&self.pool.connect_options()).await?;
        let limit = LIMIT.as_millis().to_string();
        sqlx::query!(
            "select set_config('statement_timeout', $1, false) as a, set_config('lock_timeout', '60s', false) as b",
            limit
        )
        .fetch_one(&mut connection)
        .await?;
        let is_ours = sqlx::query_scalar!(r#"select pg_try_advisory_lock(hashtext('taskscope search index')) as "ours!""#);
        if !is_ours.fetch_one(&mut connection).await? {
            return Ok(None);
        }
        drop_unfinished(&mut connection).await?;
        let today = format!("task_execution_logs_{}", now.format("%Y%m%d"));
        let partition = without_index(&mut connection, &today).await?;
        if let Some(partition) = &partition {
            make_index(&mut connection, partition).await?;
        }
        // Postgres takes a moment to notice that a connection is closed; the next call would find the lock taken.
        sqlx::query!("select pg_advisory_unlock_all() as unlocked").fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(partition)
    }
}

async fn drop_unfinished(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let unfinished = sqlx::query_scalar!(
        r#"select c.relname as "name!" from pg_index x join pg_class c on c.oid = x.indexrelid
           join pg_inherits i on i.inhrelid = x.indrelid
           where i.inhparent = 'task_execution_logs'::regclass and not x.indisvalid and right(c.relname, $1) = $2"#,
        SUFFIX.len() as i32,
        SUFFIX,
    )
    .fetch_all(&mut *connection)
    .await?;
    for name in unfinished {
        sqlx::query(sqlx::AssertSqlSafe(format!("drop index concurrently if exists {name}"))).execute(&mut *connection).await?;
    }
    Ok(())
}

/// The newest partition of a day before `today`, or else that of rows which no day's holds. Names are of our own making: letters, digits
/// and underscores.
async fn without_index(connection: &mut PgConnection, today: &str) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select c.relname as "name!" from pg_inherits i join pg_class c on c.oid = i.inhrelid
           where i.inhparent = 'task_execution_logs'::regclass
               and (c.relname ~ '^task_execution_logs_\d{8}$' and c.relname < $1 or c.relname = 'task_execution_logs_default')
               and to_regclass(c.relname || $2) is null
           order by c.relname = 'task_execution_logs_default', c.relname desc
           limit 1"#,
        today,
        SUFFIX,
    )
    .fetch_optional(connection)
    .await
}

/// Makes the index. Then sorts in what the index of errors has not yet, which searches would read whole, and refreshes the figures by which the
/// planner chooses: a day that is over hardly gives Postgres a reason to do either by itself.
async fn make_index(connection: &mut PgConnection, partition: &str) -> Result<(), sqlx::Error> {
    let index = format!(
        "create index concurrently {partition}{SUFFIX} on {partition}
         using gin (taskscope_task_text(task_id, params) gin_trgm_ops)"
    );
    sqlx::query(sqlx::AssertSqlSafe(index)).execute(&mut *connection).await?;
    sqlx::query(sqlx::AssertSqlSafe(format!("vacuum (analyze) {partition}"))).execute(connection).await?;
    Ok(())
}
