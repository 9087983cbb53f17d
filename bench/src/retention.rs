//! Dropping a day, as retention does, against deleting one. Both are copies of a full day, in a table that is like the log.

use std::time::Instant;

use chrono::{NaiveDate, TimeDelta};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use crate::{data::DataSet, figure::Figure};

/// How much less than deleting it may take.
const BAR: f64 = 1.0 / 15.0;

pub(crate) async fn measure(set: &DataSet) -> anyhow::Result<Vec<Figure>> {
    let connection = &mut *set.program.pool.acquire().await?;
    let day = fullest_day(connection).await?;
    run(connection, "drop table if exists bench_days").await?;
    run(connection, "create table bench_days (like task_execution_logs including all) partition by range (created_at)").await?;
    let rows = copy_day(connection, day, day).await?;
    let second = day + TimeDelta::days(1);
    copy_day(connection, day, second).await?;
    run(connection, "vacuum analyze bench_days").await?;
    run(connection, "checkpoint").await?;
    let deleted = run(connection, &format!("delete from bench_days where created_at < '{second} 00:00Z'")).await?;
    let first = format!("bench_days_{}", day.format("%Y%m%d"));
    let vacuumed = deleted + run(connection, &format!("vacuum {first}")).await?;
    let dropped = drop_day(&set.program.pool, &format!("bench_days_{}", second.format("%Y%m%d"))).await?;
    run(connection, "drop table bench_days").await?;
    let figure = |what: &str, ours: f64, yardstick: &str, theirs: f64| {
        Figure::new(format!("dropping a day of {rows} executions, {what}"), format!("{ours:.0} ms"))
            .against(format!("{yardstick} of such a day: {theirs:.0} ms"), ours / theirs)
            .bar("≤ 1/15", ours / theirs <= BAR)
    };
    Ok(vec![
        figure("as long as others wait for the log", dropped.locked, "`delete`", deleted),
        figure("until its space is free", dropped.all, "`delete` and `vacuum`", vacuumed),
    ])
}

/// How many milliseconds dropping a partition took.
struct Dropped {
    /// Until a query of the table that came meanwhile got its answer.
    locked: f64,
    /// Until the files were gone.
    all: f64,
}

async fn drop_day(pool: &PgPool, partition: &str) -> anyhow::Result<Dropped> {
    let (mut connection, mut other) = (pool.begin().await?, pool.acquire().await?);
    // It knows the table already.
    run(&mut other, "select from bench_days limit 1").await?;
    let began = Instant::now();
    let elapsed = || began.elapsed().as_secs_f64() * 1000.0;
    run(&mut connection, &format!("drop table {partition}")).await?;
    let commit = async {
        connection.commit().await?;
        anyhow::Ok(elapsed())
    };
    let ask = async {
        run(&mut other, "select from bench_days limit 1").await?;
        anyhow::Ok(elapsed())
    };
    // The question is on its way before the commit is.
    let (locked, all) = tokio::try_join!(ask, commit)?;
    Ok(Dropped { locked, all })
}

async fn fullest_day(connection: &mut PgConnection) -> anyhow::Result<NaiveDate> {
    let fullest = sqlx::query_scalar(
        r"select to_date(right(c.relname, 8), 'YYYYMMDD') from pg_inherits i join pg_class c on c.oid = i.inhrelid
         where i.inhparent = 'task_execution_logs'::regclass and c.relname ~ '\d{8}$' order by c.reltuples desc limit 1",
    );
    Ok(fullest.fetch_one(connection).await?)
}

/// Puts the executions of one day into a partition for another, with the indexes of the first; says how many they are.
async fn copy_day(connection: &mut PgConnection, from: NaiveDate, to: NaiveDate) -> anyhow::Result<i64> {
    let columns: String = sqlx::query_scalar(
        "select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute
         where attrelid = 'task_execution_logs'::regclass and attnum > 0 and not attisdropped and attgenerated = '' and attname <> 'created_at'",
    )
    .fetch_one(&mut *connection)
    .await?;
    let (source, target) =
        (format!("task_execution_logs_{}", from.format("%Y%m%d")), format!("bench_days_{}", to.format("%Y%m%d")));
    run(connection, &format!("create table {target} (like {source} including all)")).await?;
    let days = (to - from).num_days();
    run(
        connection,
        &format!(
            "insert into {target} (created_at, {columns}) select created_at + interval '{days} days', {columns} from {source}"
        ),
    )
    .await?;
    let next = to + TimeDelta::days(1);
    run(
        connection,
        &format!("alter table bench_days attach partition {target} for values from ('{to} 00:00Z') to ('{next} 00:00Z')"),
    )
    .await?;
    Ok(sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from {target}"))).fetch_one(&mut *connection).await?)
}

/// Runs SQL and says how many milliseconds it took.
async fn run(connection: &mut PgConnection, sql: &str) -> anyhow::Result<f64> {
    let began = Instant::now();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await?;
    Ok(began.elapsed().as_secs_f64() * 1000.0)
}
