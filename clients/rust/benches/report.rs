//! What a task pays for being reported: start and succeed, while the server takes the events and while it is gone:
//! `cargo bench -p taskscope-client`.

#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    http::{StatusCode, header::CONTENT_TYPE},
    routing::post,
};
use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::{json, value::RawValue};
use taskscope_client::{Reporter, Work};
use taskscope_wire::{BatchItem, BatchOutcome};
use tokio::runtime::Runtime;

/// Runs between two flushes, which have room in the buffer.
const ROUND: u64 = 10_000;

fn report(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let start = |url: &str, events| {
        let builder = Reporter::builder(url).buffer_events(events);
        runtime.block_on(async { builder.start().unwrap() })
    };
    let up = start(&runtime.block_on(serve()), 100_000);
    let flush = || assert!(runtime.block_on(up.flush(Duration::from_secs(60))));
    bench(criterion, "start and succeed, server up", &up, flush);
    let gone = start("http://127.0.0.1:1", 0);
    bench(criterion, "start and succeed, server gone and buffer full", &gone, || ());
    // As much as is ever kept: the benchmark stops before the buffer is full.
    criterion.bench_function("start and succeed, server gone and buffer filling", |bencher| {
        bencher.iter_custom(|runs| rounds(runs).map(|round| time(&start("http://127.0.0.1:1", 100_000), round)).sum());
    });
    runtime.block_on(up.shutdown(Duration::from_secs(5)));
}

fn bench(criterion: &mut Criterion, name: &str, reporter: &Reporter, between: impl Fn()) {
    criterion.bench_function(name, |bencher| {
        bencher.iter_custom(|runs| rounds(runs).map(|round| time(reporter, round)).inspect(|_| between()).sum());
    });
}

fn rounds(runs: u64) -> impl Iterator<Item = u64> {
    (0..runs).step_by(ROUND as usize).map(move |done| ROUND.min(runs - done))
}

/// How long so many runs take, without their descriptions.
fn time(reporter: &Reporter, runs: u64) -> Duration {
    let work = Work::new("order-7", "orders.charge").queue("orders").params(json!({ "order": 7, "amount": 1250 }));
    let works = vec![work; runs as usize];
    let start = Instant::now();
    for work in works {
        reporter.start(black_box(work)).succeed(None);
    }
    start.elapsed()
}

/// A server that takes everything.
async fn serve() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/api/v1/events", post(take)).route("/api/v1/heartbeats", post(|| async {}));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn take(body: Bytes) -> (StatusCode, [(axum::http::HeaderName, &'static str); 1], Vec<u8>) {
    let events = serde_json::from_slice::<Vec<&RawValue>>(&body).unwrap().len();
    let results = (0..events).map(|index| BatchItem { index, event_id: None, accepted: true, error: None }).collect();
    let outcome = BatchOutcome { accepted: events, rejected: 0, results };
    (StatusCode::ACCEPTED, [(CONTENT_TYPE, "application/json")], serde_json::to_vec(&outcome).unwrap())
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_millis(500)).sample_size(20);
    targets = report
}
criterion_main!(benches);
