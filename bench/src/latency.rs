//! From the worker's call to the watcher's frame.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use chrono::Utc;
use futures::{StreamExt, future::try_join_all};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_tungstenite::{connect_async, tungstenite::Message};

use crate::{Figure, percentile, program::Program};

const WATCHERS: usize = 200;
const PER_SECOND: usize = 1000;
const SECONDS: usize = 15;
/// Events a call, as a client that batches for 10 ms would send.
const BATCH: usize = 10;

pub(crate) async fn measure(program: &Program) -> anyhow::Result<Vec<Figure>> {
    let events = PER_SECOND * SECONDS;
    let sent: Arc<Mutex<Vec<Option<Instant>>>> = Arc::new(Mutex::new(vec![None; events]));
    let (latencies, mut arrived) = mpsc::unbounded_channel();
    let url = format!("{}/ws?batch=1", program.base.replace("http", "ws"));
    let sockets = try_join_all((0..WATCHERS).map(|_| connect_async(&url))).await?;
    for (socket, _) in sockets {
        let (sent, latencies) = (Arc::clone(&sent), latencies.clone());
        tokio::spawn(async move {
            let mut socket = socket;
            while let Some(Ok(Message::Text(text))) = socket.next().await {
                let now = Instant::now();
                let times = sent_times(&sent.lock().unwrap_or_else(PoisonError::into_inner), &text);
                for sent in times {
                    // Nobody waits for the last ones.
                    let _ = latencies.send((now - sent).as_secs_f64() * 1000.0);
                }
            }
        });
    }
    drop(latencies);
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / (PER_SECOND / BATCH) as u32);
    for batch in 0..events / BATCH {
        ticks.tick().await;
        let now = Utc::now().to_rfc3339();
        let body: Vec<_> = (batch * BATCH..(batch + 1) * BATCH)
            .map(|n| json!({"type": "task_completed", "task_id": format!("latency-{n}"), "task_name": "latency_task", "timestamp": now, "duration_ms": 1}))
            .collect();
        let began = Instant::now();
        sent.lock().unwrap_or_else(PoisonError::into_inner)[batch * BATCH..(batch + 1) * BATCH].fill(Some(began));
        let (http, url) = (program.http.clone(), format!("{}/api/v1/events", program.base));
        // The next call doesn't wait for this one's answer: a slow server must not slow its own measurement.
        tokio::spawn(async move {
            http.post(url).header("content-type", "application/json").body(json!(body).to_string()).send().await
        });
    }
    let mut samples = Vec::with_capacity(events * WATCHERS);
    while samples.len() < events * WATCHERS {
        match tokio::time::timeout(Duration::from_secs(5), arrived.recv()).await {
            Ok(Some(sample)) => samples.push(sample),
            _ => break,
        }
    }
    let missing = events * WATCHERS - samples.len();
    Ok(vec![Figure::new(
        format!(
            "worker's call → watcher's frame, {PER_SECOND} events/s, {WATCHERS} watchers ({missing} of {} missing)",
            events * WATCHERS
        ),
        format!(
            "p50 {:.1} ms, p95 {:.1} ms, p99 {:.1} ms",
            percentile(&mut samples, 50.0),
            percentile(&mut samples, 95.0),
            percentile(&mut samples, 99.0)
        ),
    )])
}

/// The times at which the events of a frame were sent.
fn sent_times(sent: &[Option<Instant>], frame: &str) -> Vec<Instant> {
    let messages: Vec<Value> = serde_json::from_str(frame).unwrap_or_default();
    let number = |message: &Value| message["data"]["broker_task_id"].as_str()?.strip_prefix("latency-")?.parse::<usize>().ok();
    messages.iter().filter_map(number).filter_map(|number| sent.get(number).copied().flatten()).collect()
}
