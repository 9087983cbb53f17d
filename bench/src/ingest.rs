//! Events in: batches of the native protocol, and one event a request as TaskIQ's middlewares send.

use std::time::Instant;

use chrono::Utc;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;

use crate::{figure::Figure, program::Program};

const TASKS: usize = 60_000;
const BATCH: usize = 100;
const REQUESTS: usize = 20_000;
/// The bars: events a second, rows beside those of `copy`, and requests a second.
const ACCEPTED: f64 = 20_000.0;
const OF_COPY: f64 = 0.5;
const REQUESTED: f64 = 4000.0;

pub(crate) async fn measure(program: &Program) -> anyhow::Result<Vec<Figure>> {
    let events = TASKS * 2;
    let began = Instant::now();
    stream::iter(0..events / BATCH)
        .map(Ok)
        .try_for_each_concurrent(16, |batch| program.post("/api/v1/events", batch_of(batch)))
        .await?;
    let accepted = events as f64 / began.elapsed().as_secs_f64();
    program.stored().await?;
    let stored = TASKS as f64 / began.elapsed().as_secs_f64();
    let copied = copy(program).await?;
    let began = Instant::now();
    stream::iter(0..REQUESTS)
        .map(|task| async move {
            let body = json!({"args": [], "kwargs": {"n": task}, "labels": {}, "startedAt": Utc::now().naive_utc().to_string().replace(' ', "T"),
                              "taskName": "bench_task", "worker": null});
            program.post(&format!("/api/tasks/single-{task}/started"), body.to_string()).await
        })
        .buffer_unordered(64)
        .try_collect::<Vec<()>>()
        .await?;
    let requests = REQUESTS as f64 / began.elapsed().as_secs_f64();
    program.stored().await?;
    let ratio = stored / copied;
    Ok(vec![
        Figure::new("native ingest, batches of 100, durable answers", format!("{accepted:.0} events/s"))
            .bar(format!("≥ {ACCEPTED:.0} events/s"), accepted >= ACCEPTED),
        Figure::new(
            "native ingest until all is in Postgres and live",
            format!("{:.0} events/s, {stored:.0} rows/s: two events a row", 2.0 * stored),
        )
        .against(format!("bare `copy` of the same rows: {copied:.0} rows/s"), ratio)
        .bar(format!("≥ {ACCEPTED:.0} events/s, ratio ≥ {OF_COPY}"), 2.0 * stored >= ACCEPTED && ratio >= OF_COPY),
        Figure::new(
            "TaskIQ-compatible ingest, one event a request, 64 connections, durable answers",
            format!("{requests:.0} requests/s"),
        )
        .bar(format!("≥ {REQUESTED:.0} requests/s"), requests >= REQUESTED),
    ])
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

/// The yardstick: what Postgres takes when the rows just come, into a table with the same columns and indexes.
async fn copy(program: &Program) -> anyhow::Result<f64> {
    let mut connection = program.pool.acquire().await?;
    sqlx::raw_sql("create table copied (like task_execution_logs including all)").execute(&mut *connection).await?;
    let mut rows = String::new();
    let at = Utc::now().to_rfc3339();
    for task in 0..TASKS {
        rows.push_str(&format!(
            "{task}\tbench_task_{}\tsuccess\tc-{task}\t{{\"message_id\": {task}, \"chat\": \"general\"}}\t{at}\t{at}\t12\t{at}\tw1\tnative\n",
            task % 40
        ));
    }
    let began = Instant::now();
    let mut copy = connection
        .copy_in_raw("copy copied (id, task_name, status, task_id, params, started_at, completed_at, duration_ms, created_at, worker, source) from stdin")
        .await?;
    copy.send(rows.as_bytes()).await?;
    copy.finish().await?;
    let rate = TASKS as f64 / began.elapsed().as_secs_f64();
    sqlx::raw_sql("drop table copied").execute(&mut *connection).await?;
    Ok(rate)
}
