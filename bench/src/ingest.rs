//! Events in: batches of the native protocol, and one event a request as TaskIQ's middlewares send.

use std::{
    thread::available_parallelism,
    time::{Duration, Instant},
};

use chrono::Utc;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::{
    figure::Figure,
    program::{Processor, Program},
};

const TASKS: usize = 60_000;
const BATCH: usize = 100;
const REQUESTS: usize = 20_000;
/// The bars: events a second, rows beside those of `copy`, and requests a second.
const ACCEPTED: f64 = 20_000.0;
const OF_COPY: f64 = 0.5;
const REQUESTED: f64 = 4000.0;
/// What the recorder writes of an execution; the other columns follow from these.
const LOG_COLUMNS: &str = "id, created_at, source, task_id, task_name, status, attempt, queued_at, started_at, completed_at, duration_ms, \
                           reported_ms, params, labels, queue, worker, max_retries, error_type, error_message, error_traceback, result, memo";
/// What it writes of a batch's live messages.
const LIVE_COLUMNS: &str = "first_seq, last_seq, messages";

pub(crate) async fn measure(program: &Program) -> anyhow::Result<Vec<Figure>> {
    let events = TASKS * 2;
    // Written before the clock starts: workers have processors of their own.
    let bodies: Vec<String> = (0..events / BATCH).map(batch_of).collect();
    let before = program.processor()?;
    let began = Instant::now();
    stream::iter(bodies).map(Ok).try_for_each_concurrent(16, |body| program.post("/api/v1/events", body)).await?;
    let accepted = events as f64 / began.elapsed().as_secs_f64();
    program.stored().await?;
    let took = began.elapsed().as_secs_f64();
    let stored = TASKS as f64 / took;
    let Processor { server, postgres, bench } = program.processor()? - before;
    let copied = copy(program).await?;
    let requests = one_event_a_request(program).await?;
    let ratio = stored / copied.log;
    Ok(vec![
        Figure::new("native ingest, batches of 100, durable answers", format!("{accepted:.0} events/s"))
            .bar(format!("≥ {ACCEPTED:.0} events/s"), accepted >= ACCEPTED),
        Figure::new(
            "native ingest until all is in Postgres and live",
            format!("{:.0} events/s, {stored:.0} rows/s: two events a row", 2.0 * stored),
        )
        .against(format!("bare `copy` of the log's same rows alone: {:.0} rows/s", copied.log), ratio)
        .bar(format!("≥ {ACCEPTED:.0} events/s, ratio ≥ {OF_COPY}"), 2.0 * stored >= ACCEPTED && ratio >= OF_COPY),
        Figure::new("the same beside all that it writes", format!("{stored:.0} rows/s")).against(
            format!("bare `copy` of the log's rows and the live messages: {:.0} rows/s", copied.with_live),
            stored / copied.with_live,
        ),
        Figure::new(
            format!("processor time of it, of {took:.1} s on {} cores", available_parallelism()?),
            format!("server {server:.1} s, Postgres {postgres:.1} s, what sends {bench:.1} s"),
        )
        .against(format!("Postgres for both `copy`: {:.1} s", copied.processor), (server + postgres + bench) / copied.processor),
        Figure::new(
            "TaskIQ-compatible ingest, one event a request, 64 connections, durable answers",
            format!("{requests:.0} requests/s"),
        )
        .bar(format!("≥ {REQUESTED:.0} requests/s"), requests >= REQUESTED),
    ])
}

async fn one_event_a_request(program: &Program) -> anyhow::Result<f64> {
    let started_at = Utc::now().naive_utc().to_string().replace(' ', "T");
    let calls = (0..REQUESTS).map(|task| {
        let body = json!({"args": [], "kwargs": {"n": task}, "labels": {}, "startedAt": started_at, "taskName": "bench_task", "worker": null});
        (format!("/api/tasks/single-{task}/started"), body.to_string())
    });
    let calls: Vec<(String, String)> = calls.collect();
    let began = Instant::now();
    stream::iter(calls)
        .map(Ok)
        .try_for_each_concurrent(64, |(path, body)| async move { program.post(&path, body).await })
        .await?;
    let requests = REQUESTS as f64 / began.elapsed().as_secs_f64();
    program.stored().await?;
    Ok(requests)
}

/// Tasks that start and complete in the same batch.
fn batch_of(batch: usize) -> String {
    let now = Utc::now();
    let events: Vec<_> = (0..BATCH / 2)
        .flat_map(|task| {
            ["task_started", "task_completed"].map(|kind| {
                json!({"type": kind, "task_id": format!("{batch}-{task}"), "task_name": format!("bench_task_{}", task % 40), "worker": "w1",
                       "timestamp": now.to_rfc3339(), "duration_ms": 12, "params": {"message_id": task, "chat": "general"}})
            })
        })
        .collect();
    json!(events).to_string()
}

/// Rows of the log a second that Postgres takes from a bare `copy`.
struct Copied {
    /// When nothing else is written.
    log: f64,
    /// When the live messages of the same tasks are written after them.
    with_live: f64,
    /// Seconds of Postgres' processor time for both.
    processor: f64,
}

/// The yardstick: what Postgres takes when the very rows that were just written come again, in one statement and one transaction, into empty tables
/// with the same columns and indexes.
async fn copy(program: &Program) -> anyhow::Result<Copied> {
    let mut connection = program.pool.acquire().await?;
    let log = Again::read(&mut connection, "task_execution_logs", LOG_COLUMNS).await?;
    let live = Again::read(&mut connection, "live_batches", LIVE_COLUMNS).await?;
    let before = program.processor()?;
    let log = log.copy(&mut connection).await?;
    let with_live = log + live.copy(&mut connection).await?;
    let Processor { postgres: processor, .. } = program.processor()? - before;
    let rate = |took: Duration| TASKS as f64 / took.as_secs_f64();
    Ok(Copied { log: rate(log), with_live: rate(with_live), processor })
}

/// The rows of a table, as a binary `copy` gives and takes them.
struct Again {
    table: &'static str,
    columns: &'static str,
    rows: Vec<u8>,
}

impl Again {
    async fn read(connection: &mut PgConnection, table: &'static str, columns: &'static str) -> anyhow::Result<Self> {
        let all = format!("copy (select {columns} from {table}) to stdout (format binary)");
        let mut chunks = connection.copy_out_raw(&all).await?;
        let mut rows = Vec::new();
        while let Some(chunk) = chunks.try_next().await? {
            rows.extend_from_slice(&chunk);
        }
        Ok(Self { table, columns, rows })
    }

    /// How long Postgres takes for them.
    async fn copy(self, connection: &mut PgConnection) -> anyhow::Result<Duration> {
        let Self { table, columns, rows } = self;
        sqlx::raw_sql(AssertSqlSafe(format!("create table copied (like {table} including all)")))
            .execute(&mut *connection)
            .await?;
        let began = Instant::now();
        let mut copy = connection.copy_in_raw(&format!("copy copied ({columns}) from stdin (format binary)")).await?;
        copy.send(rows).await?;
        copy.finish().await?;
        let took = began.elapsed();
        sqlx::raw_sql("drop table copied").execute(&mut *connection).await?;
        Ok(took)
    }
}
