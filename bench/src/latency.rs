//! From the worker's call to the watcher's frame.
//!
//! Producers, watchers, server and Postgres share the machine. So only a few watchers look into every message: if all did, that
//! would be most of the work, and none of it the server's. The others only count them.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use chrono::Utc;
use futures::{StreamExt, future::try_join_all};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, Utf8Bytes},
};

use crate::{Figure, percentile, program::Program};

const WATCHERS: usize = 200;
/// Of these, how many look into every message.
const JUDGES: usize = 5;
const PER_SECOND: usize = 1000;
const SECONDS: usize = 15;
/// Events a call, as a client that batches for 10 ms would send.
const BATCH: usize = 10;

/// When each event was sent.
type SentTimes = Arc<Vec<OnceLock<Instant>>>;

pub(crate) async fn measure(program: &Program) -> anyhow::Result<Vec<Figure>> {
    let events = PER_SECOND * SECONDS;
    let sent: SentTimes = Arc::new((0..events).map(|_| OnceLock::new()).collect());
    let url = format!("{}/ws?batch=1", program.base.replace("http", "ws"));
    let mut sockets = try_join_all((0..WATCHERS).map(|_| connect_async(&url))).await?.into_iter().map(|(socket, _)| socket);
    let judges: Vec<_> = sockets.by_ref().take(JUDGES).map(|socket| tokio::spawn(judge(socket, Arc::clone(&sent)))).collect();
    let readers: Vec<_> = sockets.map(|socket| tokio::spawn(read(socket, events))).collect();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / (PER_SECOND / BATCH) as u32);
    for batch in 0..events / BATCH {
        ticks.tick().await;
        let now = Utc::now().to_rfc3339();
        let numbers = batch * BATCH..(batch + 1) * BATCH;
        let body: Vec<_> = numbers
            .clone()
            .map(|n| json!({"type": "task_completed", "task_id": format!("latency-{n}"), "task_name": "latency_task", "timestamp": now, "duration_ms": 1}))
            .collect();
        let body = json!(body).to_string();
        let began = Instant::now();
        for time in sent.get(numbers).into_iter().flatten() {
            let _ = time.set(began);
        }
        let (http, url) = (program.http.clone(), format!("{}/api/v1/events", program.base));
        // The next call doesn't wait for this one's answer: a slow server must not slow its own measurement.
        tokio::spawn(async move { http.post(url).header("content-type", "application/json").body(body).send().await });
    }
    let mut samples = Vec::with_capacity(events * JUDGES);
    for judge in judges {
        samples.extend(judge.await?);
    }
    let mut missing = events * JUDGES - samples.len();
    for reader in readers {
        missing += reader.await?;
    }
    Ok(vec![Figure::new(
        format!(
            "worker's call → watcher's frame, {PER_SECOND} events/s, {WATCHERS} watchers ({missing} of {} messages missing)",
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

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

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
