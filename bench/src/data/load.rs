//! Loads a data set into the database of a running program, through its own partitions.
//!
//! A day's partition is taken off, filled without indexes and triggers, and put back, which makes its indexes in one go. Then the program is told
//! by its own means that something is there to be counted.

use std::time::{Duration, Instant};

use anyhow::Context;
use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::rows::{COLUMNS, Hour, Rows, hours};
use crate::program::Program;

/// Bytes that are sent at once.
const CHUNK: usize = 1 << 20;
/// How often progress is told.
const TOLD: Duration = Duration::from_secs(5);

/// Fills an empty log with the executions of the last days, and waits until the program has counted them.
pub(crate) async fn load(program: &Program, rows: u64) -> anyhow::Result<()> {
    let end = Utc::now();
    let mut connection = program.pool.acquire().await?;
    sqlx::raw_sql("set statement_timeout = 0; set maintenance_work_mem = '512MB'; set timezone = 'UTC'")
        .execute(&mut *connection)
        .await?;
    let mut made = Rows::new(rows, end)?;
    let hours = hours(rows, end)?;
    let (began, mut loaded) = (Instant::now(), 0);
    for day in hours.chunk_by(|one, other| one.start.date_naive() == other.start.date_naive()) {
        load_day(&mut connection, day, &mut made).await?;
        loaded += day.iter().map(|hour| hour.rows).sum::<u64>();
        eprintln!("  {loaded} of {rows} rows, {:.0} s", began.elapsed().as_secs_f64());
    }
    sqlx::raw_sql(
        "insert into task_active (id, created_at, task_name, status, queue, worker, since)
         select id, created_at, task_name, status, queue, worker, coalesce(started_at, created_at)
         from task_execution_logs where status in ('pending', 'running') on conflict (id) do nothing",
    )
    .execute(&mut *connection)
    .await?;
    tell("collecting the planner's figures");
    sqlx::raw_sql("vacuum analyze task_execution_logs").execute(&mut *connection).await?;
    count(&mut connection, &hours).await?;
    index(&mut connection).await?;
    tell("a checkpoint");
    sqlx::raw_sql("vacuum analyze").execute(&mut *connection).await?;
    sqlx::raw_sql("checkpoint").execute(&mut *connection).await?;
    Ok(())
}

fn tell(what: &str) {
    eprintln!("  {what}");
}

async fn load_day(connection: &mut PgConnection, hours: &[Hour], made: &mut Rows) -> anyhow::Result<()> {
    let day = hours.first().context("a day has hours")?.start.date_naive();
    let name = format!("task_execution_logs_{}", day.format("%Y%m%d"));
    sqlx::query("select taskscope_ensure_partition($1)").bind(day).execute(&mut *connection).await?;
    let run = async |connection: &mut PgConnection, sql: String| sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await;
    run(&mut *connection, format!("alter table task_execution_logs detach partition {name}")).await?;
    let indexes: Vec<String> = sqlx::query_scalar(
        "select case when c.conname is null then format('drop index %s', i.indexrelid::regclass)
                else format('alter table %s drop constraint %I', i.indrelid::regclass, c.conname) end
         from pg_index i left join pg_constraint c on c.conindid = i.indexrelid where i.indrelid = $1::regclass",
    )
    .bind(&name)
    .fetch_all(&mut *connection)
    .await?;
    // Rows that are copied into a table that the same transaction has emptied can be frozen at once.
    let mut tx = connection.begin().await?;
    run(&mut tx, format!("{}; truncate {name}", indexes.join("; "))).await?;
    copy(&mut tx, &name, hours, made).await?;
    tx.commit().await?;
    let next = day.succ_opt().context("the calendar ends")?;
    run(
        &mut *connection,
        format!("alter table task_execution_logs attach partition {name} for values from ('{day} 00:00Z') to ('{next} 00:00Z')"),
    )
    .await?;
    Ok(())
}

async fn copy(connection: &mut PgConnection, table: &str, hours: &[Hour], made: &mut Rows) -> anyhow::Result<()> {
    let mut copy = connection.copy_in_raw(&format!("copy {table} ({COLUMNS}) from stdin (freeze)")).await?;
    let mut text = String::with_capacity(2 * CHUNK);
    for hour in hours {
        made.write(hour, &mut text);
        if text.len() > CHUNK {
            copy.send(text.as_bytes()).await?;
            text.clear();
        }
    }
    copy.send(text.as_bytes()).await?;
    copy.finish().await?;
    Ok(())
}

/// Marks every hour as written to by somebody else, and waits until the program has counted all of them.
async fn count(connection: &mut PgConnection, hours: &[Hour]) -> anyhow::Result<()> {
    let starts: Vec<DateTime<Utc>> = hours.iter().map(|hour| hour.start).collect();
    sqlx::query(
        "insert into rollup_dirty (hour) select distinct date_trunc('hour', hour, 'UTC') from unnest($1::timestamptz[]) hour",
    )
    .bind(starts)
    .execute(&mut *connection)
    .await?;
    sqlx::raw_sql("select pg_notify('taskscope_foreign', '')").execute(&mut *connection).await?;
    finished(connection, "hours to be counted", "select count(*) from rollup_dirty").await
}

/// Waits until the program has made the index that searches use of every day that is over.
async fn index(connection: &mut PgConnection) -> anyhow::Result<()> {
    let today = Utc::now().format("task_execution_logs_%Y%m%d");
    let missing = format!(
        "select count(*) from pg_inherits i join pg_class c on c.oid = i.inhrelid
         where i.inhparent = 'task_execution_logs'::regclass and c.relname ~ '\\d{{8}}$' and c.relname < '{today}'
             and not exists (select from pg_index x join pg_class t on t.oid = x.indexrelid
                             where x.indrelid = c.oid and x.indisvalid and t.relname = c.relname || '_task_text')"
    );
    finished(connection, "days to be made searchable", &missing).await
}

/// Waits until a query counts none any more.
async fn finished(connection: &mut PgConnection, what: &str, left: &str) -> anyhow::Result<()> {
    let (began, mut told) = (Instant::now(), Instant::now());
    loop {
        let left: i64 = sqlx::query_scalar(AssertSqlSafe(left.to_owned())).fetch_one(&mut *connection).await?;
        if left == 0 {
            eprintln!("  no {what} any more after {:.0} s", began.elapsed().as_secs_f64());
            return Ok(());
        }
        if told.elapsed() > TOLD {
            told = Instant::now();
            eprintln!("  {left} {what}");
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}
