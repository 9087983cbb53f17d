//! The functions on the way of every event: `cargo bench --features ssr`.

#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use taskscope::server::{
    recorder::{Spool, fold},
    redact::Redactor,
};
use taskscope_wire::{LiveMessage, NativeEvent, RedactionRules, TaskEvent, clean, taskiq};

const STARTED: &str = r#"{"args": [2], "kwargs": {"b": 40}, "labels": {"priority": 5, "team": "ops", "_retries": 1}, "startedAt": "2026-11-21T23:16:57.934364", "taskName": "app.tasks:add", "worker": "mybroker"}"#;
const NATIVE: &str = r#"{"type": "task_completed", "task_id": "dafef73dd65d4b6b83c65bae6571feb9", "task_name": "app.tasks:add", "timestamp": "2026-11-21T23:16:57.934364Z", "duration_ms": 12.5, "params": {"message_id": 42}}"#;
const DETAILED: &str = r#"{"type": "task_completed", "task_id": "dafef73dd65d4b6b83c65bae6571feb9", "task_name": "app.tasks:extract", "timestamp": "2026-11-21T23:16:57.934364Z", "duration_ms": 1250.5, "worker": "web-1:41:9f2a", "queue": "mail", "labels": {"priority": 5, "team": "ops"}, "params": {"message_ids": [3, 5, 8, 13, 21], "provider": "openai", "options": {"language": "en", "deep": false, "threshold": 0.83}}, "result": {"topics": 3, "atoms": 11, "text": "People with two addresses can not sign in since the release."}}"#;
const SECRET: &str = r#"{"type": "task_started", "task_id": "7", "task_name": "t", "timestamp": "2026-11-21T23:16:57Z", "params": {"user": {"name": "ada", "password": "hunter2"}, "author": "x", "n": [1, 2, 3]}}"#;
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
    redact(criterion);
    append(criterion, &vec![native[0].clone(); 100]);
    criterion
        .bench_function("decode a live message", |bencher| bencher.iter(|| LiveMessage::decode(black_box(MESSAGE)).unwrap()));
}

/// Each beside its yardstick: what the server does with the body of the same event before.
fn redact(criterion: &mut Criterion) {
    let frame = r#"  File \"app/worker.py\", line 88, in run\n    return await task(message, limit=self.limit)\n"#;
    let failed = format!(
        r#"{{"type": "task_failed", "task_id": "7", "task_name": "t", "timestamp": "2026-11-21T23:16:57Z", "params": {{"message_id": 42}}, "error_message": "no answer within 30 s", "error_traceback": "{}"}}"#,
        frame.repeat(20)
    );
    let redactor = Redactor::new(&RedactionRules::default()).unwrap();
    let now = chrono::Utc::now();
    for (name, body) in [("usual", NATIVE), ("detailed", DETAILED), ("failed", &failed), ("secret", SECRET)] {
        criterion.bench_function(&format!("clean and decode: {name}"), |bencher| {
            bencher.iter(|| NativeEvent::decode(&clean(black_box(body.as_bytes())), now).unwrap());
        });
        let event = NativeEvent::decode(body, now).unwrap();
        let fresh = || [event.clone()];
        criterion.bench_function(&format!("look for secrets: {name}"), |bencher| {
            bencher.iter_batched_ref(fresh, |event| redactor.events(black_box(event)), BatchSize::SmallInput);
        });
    }
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
