//! Any permutation, repetition and batching of a history of events gives the same rows.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::{prelude::*, sample::Index, strategy::ValueTree, test_runner::TestRunner};
use serde_json::json;
use sqlx::Row;
use taskscope::server::recorder::fold;
use taskscope_wire::{NativeEvent, TaskEvent, taskiq};

use crate::support::TestServer;

/// One event as a client sends it.
#[derive(Debug, Clone)]
enum Sent {
    Native(String),
    TaskIq { step: &'static str, body: String },
}

/// How one attempt of a task goes.
#[derive(Debug, Clone)]
struct Plan {
    /// Whether its *queued* and *started* were reported at all.
    told: (bool, bool),
    /// Milliseconds that it waits and runs.
    wait_ms: i64,
    run_ms: i64,
    /// How it ends: not at all, well, or with this error.
    end: Option<Result<u8, u8>>,
    /// A second middleware reports the same, this many microseconds later.
    twin_us: Option<i64>,
    /// Our own middleware reports the same, this many microseconds earlier, beside the stock one or instead of it.
    own_us: Option<(i64, bool)>,
}

fn plan() -> impl Strategy<Value = Plan> {
    let end = prop_oneof![Just(None), any::<u8>().prop_map(|n| Some(Ok(n))), (0u8..3).prop_map(|n| Some(Err(n)))];
    let own = proptest::option::weighted(0.4, (1i64..900, any::<bool>()));
    ((any::<bool>(), any::<bool>()), 0i64..5000, 2i64..3000, end, proptest::option::weighted(0.2, 1i64..900), own)
        .prop_map(|(told, wait_ms, run_ms, end, twin_us, own_us)| Plan { told, wait_ms, run_ms, end, twin_us, own_us })
}

fn start() -> DateTime<Utc> {
    taskscope_wire::time::parse("2026-11-19T23:59:50").unwrap()
}

/// A TaskIQ task with retries: attempt after attempt, each queued while the one before still runs.
fn taskiq_history(plans: &[Plan]) -> Vec<Sent> {
    let mut sent = Vec::new();
    let mut clock = start();
    for (retries, plan) in plans.iter().enumerate() {
        let text = |at: DateTime<Utc>| at.naive_utc().format("%Y-%m-%dT%H:%M:%S%.6f").to_string();
        let offsets = std::iter::once(0).chain(plan.twin_us);
        let begin = clock + TimeDelta::milliseconds(plan.wait_ms);
        let end = begin + TimeDelta::milliseconds(plan.run_ms);
        if let Some((earlier, _)) = plan.own_us {
            let earlier = TimeDelta::microseconds(earlier);
            sent.extend(own_reports(plan, retries, clock - earlier, begin - earlier, end - earlier));
        }
        let stock = plan.own_us.is_none_or(|(_, beside)| beside);
        for offset in offsets.map(TimeDelta::microseconds).filter(|_| stock) {
            let labels = |typed: bool| match (retries, typed) {
                (0, _) => json!({"team": "ops"}),
                (n, true) => json!({"team": "ops", "_retries": n}),
                (n, false) => json!({"team": "ops", "_retries": n.to_string()}),
            };
            let mut tell = |step, body: serde_json::Value| sent.push(Sent::TaskIq { step, body: body.to_string() });
            if plan.told.0 {
                tell(
                    "queued",
                    json!({"args": [1], "kwargs": {}, "labels": labels(false), "queuedAt": text(clock + offset), "taskName": "t", "worker": null}),
                );
            }
            if plan.told.1 {
                tell(
                    "started",
                    json!({"args": [1], "kwargs": {}, "labels": labels(true), "startedAt": text(begin + offset), "taskName": "t", "worker": null}),
                );
            }
            if let Some(outcome) = plan.end {
                let error = outcome.err().map(|n| format!("ValueError({n})"));
                tell(
                    "executed",
                    json!({"finishedAt": text(end + offset), "executionTime": 0.01, "error": error, "returnValue": {"return_value": outcome.ok()}}),
                );
            }
        }
        clock = end + TimeDelta::milliseconds(1200);
    }
    sent
}

/// What our own middleware says of one attempt: its end names its start, and tells the cause.
fn own_reports(plan: &Plan, retries: usize, queued: DateTime<Utc>, begin: DateTime<Utc>, end: DateTime<Utc>) -> Vec<Sent> {
    let labels = if retries == 0 { json!({"team": "ops"}) } else { json!({"team": "ops", "_retries": retries}) };
    let mut event =
        json!({"numbering": "taskiq", "task_id": "n", "task_name": "t", "labels": labels, "params": {"args": [1], "kwargs": {}}});
    let mut tell = |kind: &str, at: DateTime<Utc>, more: serde_json::Value| {
        let fields = event.as_object_mut().unwrap();
        fields.insert("type".to_owned(), kind.into());
        fields.insert("timestamp".to_owned(), at.to_rfc3339().into());
        fields.extend(more.as_object().unwrap().clone());
        Sent::Native(event.to_string())
    };
    let mut sent = Vec::new();
    if plan.told.0 {
        sent.push(tell("task_queued", queued, json!({})));
    }
    if plan.told.1 {
        sent.push(tell("task_started", begin, json!({"worker": "w"})));
    }
    let started_at = begin.to_rfc3339();
    match plan.end {
        Some(Ok(n)) => sent.push(tell("task_completed", end, json!({"worker": "w", "started_at": started_at, "result": n}))),
        Some(Err(n)) => sent.push(tell(
            "task_failed",
            end,
            json!({"worker": "w", "started_at": started_at, "error_type": "E", "error_message": format!("cause {n}")}),
        )),
        None => {}
    }
    sent
}

/// A task of a reporter that numbers its attempts.
fn native_history(plans: &[Plan]) -> Vec<Sent> {
    let mut sent = Vec::new();
    let mut clock = start();
    for (attempt, plan) in (1..).zip(plans) {
        let begin = clock + TimeDelta::milliseconds(plan.wait_ms);
        let end = begin + TimeDelta::milliseconds(plan.run_ms);
        let mut tell = |kind: &str, at: DateTime<Utc>, worker: Option<&str>, error: Option<String>| {
            // Some reporters say at the end when it started.
            let started_at = (plan.own_us.is_some() && at == end).then(|| begin.to_rfc3339());
            sent.push(Sent::Native(
                json!({"type": kind, "task_id": "n", "task_name": "t", "attempt": attempt, "timestamp": at.to_rfc3339(), "worker": worker,
                       "params": {"told_by": kind}, "error_message": error, "started_at": started_at})
                .to_string(),
            ));
        };
        if plan.told.0 {
            tell("task_queued", clock, None, None);
        }
        if plan.told.1 {
            tell("task_started", begin, Some("w"), None);
        }
        match plan.end {
            Some(Ok(_)) => tell("task_completed", end, Some("w"), None),
            Some(Err(n)) => tell("task_failed", end, None, Some(format!("error {n}"))),
            None => {}
        }
        clock = end;
    }
    sent
}

fn decode(sent: &Sent, task_id: &str) -> TaskEvent {
    let now = Utc::now();
    let event = match sent {
        Sent::Native(text) => NativeEvent::decode(text, now),
        Sent::TaskIq { step, body } => {
            let path = format!("x/{step}");
            let (_, step) = taskiq::split_path(&path).unwrap();
            taskiq::decode(task_id, step, body, now)
        }
    };
    TaskEvent { task_id: task_id.to_owned(), ..event.unwrap() }
}

/// An order: some events come twice, and any place may end a batch.
fn shuffled(events: Vec<Sent>) -> impl Strategy<Value = Vec<Vec<Sent>>> {
    let repeated = proptest::collection::vec(any::<Index>(), 0..4);
    (Just(events), repeated, proptest::collection::vec(any::<bool>(), 64))
        .prop_flat_map(|(events, repeated, cuts)| {
            let mut all = events.clone();
            if !events.is_empty() {
                all.extend(repeated.iter().map(|index| index.get(&events).clone()));
            }
            (Just(all).prop_shuffle(), Just(cuts))
        })
        .prop_map(|(events, cuts)| {
            let mut batches: Vec<Vec<Sent>> = vec![Vec::new()];
            for (event, cut) in events.into_iter().zip(cuts.into_iter().cycle()) {
                if cut && batches.last().is_some_and(|batch| !batch.is_empty()) {
                    batches.push(Vec::new());
                }
                batches.last_mut().unwrap().push(event);
            }
            batches
        })
}

fn history() -> impl Strategy<Value = Vec<Sent>> {
    (proptest::collection::vec(plan(), 1..4), any::<bool>())
        .prop_map(|(plans, native)| if native { native_history(&plans) } else { taskiq_history(&plans) })
        .prop_filter("something must be told", |sent| !sent.is_empty())
}

fn cases() -> impl Strategy<Value = (Vec<Sent>, Vec<Vec<Sent>>)> {
    history().prop_flat_map(|sent| (Just(sent.clone()), shuffled(sent)))
}

#[test]
fn the_fold_is_free_of_order() {
    let config = ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&cases(), |(sent, batches)| {
            let decode = |sent: &[Sent]| -> Vec<TaskEvent> { sent.iter().map(|one| decode(one, "x")).collect() };
            let whole = fold(Vec::new(), &decode(&sent));
            let parts = batches.iter().fold(Vec::new(), |stored, batch| fold(stored, &decode(batch)));
            prop_assert_eq!(&whole, &parts);
            prop_assert_eq!(&fold(parts.clone(), &decode(&sent)), &parts, "a repetition changes nothing");
            Ok(())
        })
        .unwrap();
}

const ROWS: &str =
    "select task_id, task_name, status, attempt, queued_at, started_at, completed_at, duration_ms, created_at, params, labels,
                           worker, error_message, result, error_type
                    from task_execution_logs order by task_id, attempt";

/// The same through spool, recorder and Postgres: each case is a task of its own, once in order and once shuffled.
#[tokio::test(flavor = "multi_thread")]
async fn rows_are_free_of_order() {
    let server = TestServer::start().await;
    let mut runner = TestRunner::deterministic();
    let tree: Vec<(Vec<Sent>, Vec<Vec<Sent>>)> = (0..60).map(|_| cases().new_tree(&mut runner).unwrap().current()).collect();
    for (case, (sent, batches)) in tree.iter().enumerate() {
        for (name, batches) in [("a", std::slice::from_ref(sent)), ("b", batches.as_slice())] {
            for batch in batches {
                let mut native = Vec::new();
                for one in batch {
                    match one {
                        Sent::Native(text) => {
                            native.push(text.replace("\"task_id\":\"n\"", &format!("\"task_id\":\"{case:03}{name}\"")));
                        }
                        Sent::TaskIq { step, body } => {
                            let answer = server.taskiq(&format!("{case:03}{name}"), step, body.clone()).await;
                            assert!(answer.status().is_success());
                        }
                    }
                }
                if !native.is_empty() {
                    let answer = server.post("/api/v1/events", "application/json", format!("[{}]", native.join(","))).await;
                    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
                }
            }
        }
    }
    server
        .until("everything is stored", async || {
            server.get("/metrics").await.text().await.unwrap().contains("taskscope_spool_events 0")
        })
        .await;
    let rows = sqlx::query(ROWS).fetch_all(&server.pool).await.unwrap();
    let of = |name: char| -> Vec<String> {
        let text = |row: &sqlx::postgres::PgRow| {
            let task: String = row.get(0);
            let time = |column: usize| row.get::<Option<DateTime<Utc>>, _>(column);
            let json = |column: usize| row.get::<Option<serde_json::Value>, _>(column);
            let line = format!(
                "{} {} {} {} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
                &task[..3],
                row.get::<String, _>(1),
                row.get::<String, _>(2),
                row.get::<i32, _>(3),
                time(4),
                time(5),
                time(6),
                row.get::<Option<i64>, _>(7),
                time(8),
                json(9),
                json(10),
                row.get::<Option<String>, _>(11),
                row.get::<Option<String>, _>(12),
                json(13),
                row.get::<Option<String>, _>(14),
            );
            (task.ends_with(name), line)
        };
        rows.iter().map(text).filter_map(|(ours, line)| ours.then_some(line)).collect()
    };
    assert!(rows.len() > 100);
    assert_eq!(of('a'), of('b'));
}
