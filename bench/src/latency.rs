//! From the worker's call to the watcher's frame.
//!
//! Producers, watchers, server and Postgres share the machine. So only a few watchers look into every message: if all did, that
//! would be most of the work, and none of it the server's. The others only count them.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use chrono::Utc;
use futures::StreamExt;
use serde::Deserialize;
use serde_json::json;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::{
    figure::{Figure, percentile},
    load::{Load, Socket, watchers},
    program::Program,
};

const WATCHERS: usize = 200;
/// Of these, how many look into every message.
const JUDGES: usize = 5;
const LOAD: Load = Load { per_second: 1000, seconds: 15 };
/// Milliseconds.
const BAR: f64 = 50.0;

/// When each event was sent.
type SentTimes = Arc<Vec<OnceLock<Instant>>>;

pub(crate) async fn measure(program: &Program) -> anyhow::Result<Vec<Figure>> {
    let events = LOAD.events();
    let sent: SentTimes = Arc::new((0..events).map(|_| OnceLock::new()).collect());
    let mut sockets = watchers(program, WATCHERS).await?.into_iter();
    let judges: Vec<_> = sockets.by_ref().take(JUDGES).map(|socket| tokio::spawn(judge(socket, Arc::clone(&sent)))).collect();
    let readers: Vec<_> = sockets.map(|socket| tokio::spawn(read(socket, events))).collect();
    LOAD.send(program, |numbers| {
        let now = Utc::now().to_rfc3339();
        let body = numbers
            .clone()
            .map(|n| json!({"type": "task_completed", "task_id": format!("latency-{n}"), "task_name": "latency_task", "timestamp": now, "duration_ms": 1}))
            .collect();
        let began = Instant::now();
        for time in sent.get(numbers).into_iter().flatten() {
            let _ = time.set(began);
        }
        body
    })
    .await?;
    let mut samples = Vec::with_capacity(events * JUDGES);
    for judge in judges {
        samples.extend(judge.await?);
    }
    let mut missing = events * JUDGES - samples.len();
    for reader in readers {
        missing += reader.await?;
    }
    let what = format!(
        "worker's call → watcher's frame, {} events/s, {WATCHERS} watchers ({missing} of {} messages missing)",
        LOAD.per_second,
        events * WATCHERS
    );
    let [p50, p95, p99] = [50.0, 95.0, 99.0].map(|percent| percentile(&mut samples, percent));
    let value = format!("p50 {p50:.1} ms, p95 {p95:.1} ms, p99 {p99:.1} ms");
    Ok(vec![Figure::new(what, value).bar("p95 ≤ 50 ms, none missing", p95 <= BAR && missing == 0)])
}

/// The next frame's text and when it was there; none when nothing came for five seconds.
async fn next_frame(socket: &mut Socket) -> Option<(Instant, Utf8Bytes)> {
    while let Ok(Some(Ok(message))) = tokio::time::timeout(Duration::from_secs(5), socket.next()).await {
        if let Message::Text(text) = message {
            return Some((Instant::now(), text));
        }
    }
    None
}

/// Milliseconds from call to frame, of every event.
async fn judge(mut socket: Socket, sent: SentTimes) -> Vec<f64> {
    let mut latencies = Vec::with_capacity(sent.len());
    while latencies.len() < sent.len()
        && let Some((now, frame)) = next_frame(&mut socket).await
    {
        let messages: Vec<Live> = serde_json::from_str(&frame).unwrap_or_default();
        let number = |message: Live| message.data?.broker_task_id?.strip_prefix("latency-")?.parse::<usize>().ok();
        let times = messages.into_iter().filter_map(number).filter_map(|number| sent.get(number)?.get());
        latencies.extend(times.map(|sent| (now - *sent).as_secs_f64() * 1000.0));
    }
    latencies
}

/// How many of so many events didn't come.
async fn read(mut socket: Socket, events: usize) -> usize {
    let mut missing = events;
    while missing > 0
        && let Some((_, frame)) = next_frame(&mut socket).await
    {
        missing = missing.saturating_sub(frame.matches("\"latency-").count());
    }
    missing
}

#[derive(Deserialize)]
struct Live {
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    broker_task_id: Option<String>,
}
