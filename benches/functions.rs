//! The functions on the way of every event: `cargo bench --features ssr`.

#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use taskscope::server::recorder::{Spool, fold};
use taskscope_wire::{LiveMessage, NativeEvent, TaskEvent, clean, taskiq};

const STARTED: &str = r#"{"args": [2], "kwargs": {"b": 40}, "labels": {"priority": 5, "team": "ops", "_retries": 1}, "startedAt": "2026-11-21T23:16:57.934364", "taskName": "app.tasks:add", "worker": "mybroker"}"#;
const NATIVE: &str = r#"{"type": "task_completed", "task_id": "dafef73dd65d4b6b83c65bae6571feb9", "task_name": "app.tasks:add", "timestamp": "2026-11-21T23:16:57.934364Z", "duration_ms": 12.5, "params": {"message_id": 42}}"#;
const MESSAGE: &str = r#"{"type":"task_completed","task_name":"app.tasks:add","status":"success","timestamp":"2026-11-21T23:16:57.934364Z","data":{"task_id":7,"broker_task_id":"dafef73dd65d4b6b83c65bae6571feb9","attempt":1,"duration_ms":12,"error_message":null,"params":{"message_id":42},"created_at":"2026-11-21T23:16:57Z","previous":null},"seq":9}"#;

fn functions(criterion: &mut Criterion) {
    let now = chrono::Utc::now();
    let decode = |step, body: &str| -> TaskEvent { taskiq::decode("x", step, body, now).unwrap() };
    let executed =
        r#"{"finishedAt": "2026-11-21T23:16:58.5", "executionTime": 0.5, "error": null, "returnValue": {"return_value": 1}}"#;
    let events = [decode(taskiq::Step::Started, STARTED), decode(taskiq::Step::Executed, executed)];
    criterion.bench_function("clean a body", |bencher| bencher.iter(|| clean(black_box(STARTED.as_bytes())).len()));
    criterion
        .bench_function("decode a TaskIQ body", |bencher| bencher.iter(|| decode(taskiq::Step::Started, black_box(STARTED))));
    criterion
        .bench_function("decode a native event", |bencher| bencher.iter(|| NativeEvent::decode(black_box(NATIVE), now).unwrap()));
    criterion.bench_function("fold start and end of a task", |bencher| bencher.iter(|| fold(Vec::new(), black_box(&events))));
    let started = fold(Vec::new(), &events[..1]);
    criterion.bench_function("fold the end into a stored start", |bencher| {
        bencher.iter(|| fold(black_box(started.clone()), &events[1..]));
    });
    let native = [NativeEvent::decode(NATIVE, now).unwrap()];
    criterion.bench_function("fold a native end", |bencher| bencher.iter(|| fold(Vec::new(), black_box(&native))));
    let line = serde_json::to_string(&native[0]).unwrap();
    criterion.bench_function("decode an event of the spool", |bencher| {
        bencher.iter(|| serde_json::from_str::<TaskEvent>(black_box(&line)).unwrap());
    });
    append(criterion, &vec![native[0].clone(); 100]);
    criterion
        .bench_function("decode a live message", |bencher| bencher.iter(|| LiveMessage::decode(black_box(MESSAGE)).unwrap()));
}

/// With its fsync, on the disk of the temporary directory.
fn append(criterion: &mut Criterion, events: &[TaskEvent]) {
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let spool = Spool::open(directory.path(), u64::MAX).unwrap();
    criterion.bench_function("make 100 events durable", |bencher| {
        bencher.iter(|| runtime.block_on(spool.append(black_box(events).to_vec())).unwrap());
    });
}

criterion_group!(benches, functions);
criterion_main!(benches);
