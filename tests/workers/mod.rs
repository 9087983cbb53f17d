//! Heartbeats, the Workers page's data, and executions that stall.

mod client;
mod own;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::TestServer;

fn beat(worker: &str, more: Value) -> Value {
    let mut beat = json!({
        "worker": worker, "host": "web-1", "pid": 41, "started_at": "2026-11-24T10:30:00Z", "client": "test 1",
        "queues": ["mail"], "concurrency": 4, "interval_ms": 300,
    });
    beat.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    beat
}

async fn send(server: &TestServer, beat: &Value) {
    let answer = server.post("/api/v1/heartbeats", "application/json", beat.to_string()).await;
    assert_eq!(answer.status(), 202, "{}", answer.text().await.unwrap());
}

fn event(kind: &str, task: &str, at: DateTime<Utc>, more: Value) -> Value {
    let mut event = json!({"type": kind, "task_id": task, "task_name": "t", "timestamp": at.to_rfc3339(), "queue": "mail"});
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event
}

async fn start(server: &TestServer, task: &str, worker: &str, at: DateTime<Utc>) {
    server.report(&json!([event("task_started", task, at, json!({"worker": worker}))])).await;
    server.until("it runs", async || server.history("status=running").await["total_count"] != 0).await;
}

async fn stalled(server: &TestServer) -> Value {
    server.history("stalled=true").await["items"][0]["stalled"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_and_queues_are_listed() {
    let server = TestServer::start().await;
    let now = Utc::now();
    send(&server, &beat("a", json!({"dropped": 7, "buffered": 2, "version": "1.2"}))).await;
    send(&server, &beat("b", json!({"stopping": true}))).await;
    server
        .report(&json!([
            event("task_queued", "1", now - TimeDelta::seconds(9), json!({})),
            event("task_queued", "2", now - TimeDelta::seconds(5), json!({})),
            event("task_started", "3", now, json!({"worker": "a"})),
        ]))
        .await;
    server.executions(3).await;
    let workers = server.json("/api/v1/monitoring/workers").await;
    let [a, b] = &workers["workers"].as_array().unwrap()[..] else { panic!("{workers}") };
    assert_eq!(
        (&a["health"], &a["dropped"], &a["buffered"], &a["version"]),
        (&json!("alive"), &json!(7), &json!(2), &json!("1.2"))
    );
    assert_eq!((&a["running_count"], &a["running"][0]["task_name"]), (&json!(1), &json!("t")));
    assert_eq!((&b["health"], &b["running_count"]), (&json!("stopped"), &json!(0)));
    let queue = &workers["queues"][0];
    assert_eq!(
        (&queue["queue"], &queue["pending"], &queue["running"], &queue["workers"]),
        (&json!("mail"), &json!(2), &json!(1), &json!(1))
    );
    let oldest: DateTime<Utc> = queue["oldest_pending_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(oldest.timestamp_micros(), (now - TimeDelta::seconds(9)).timestamp_micros());
    let page = server.get("/monitoring/workers").await.text().await.unwrap();
    assert!(page.contains("data-worker=\"a\"") && page.contains("data-queue=\"mail\""), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_heartbeats_are_refused_by_name() {
    let server = TestServer::start_with_token(Some("secret")).await;
    let post = async |body: String, token: &str| {
        let request = server.http.post(format!("{}/api/v1/heartbeats", server.base)).header("content-type", "application/json");
        let answer = request.header("access-token", token).body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(post(beat("a", json!({})).to_string(), "wrong").await.0, 401);
    assert_eq!(post(beat("a", json!({})).to_string(), "secret").await.0, 202);
    for (more, word) in
        [(json!({"interval_ms": 0}), "interval_ms"), (json!({"worker": ""}), "worker"), (json!({"pid": "x"}), "invalid type")]
    {
        let (status, text) = post(beat("a", more.clone()).to_string(), "secret").await;
        assert!(status == 400 && text.contains(word), "{more}: {status} {text}");
    }
    assert_eq!(post("[]".to_owned(), "secret").await.0, 400);
    assert_eq!(server.count("select count(*) from workers").await, 1);
}

/// A worker that falls silent: what it runs is flagged everywhere, and cleared when it reports again or ends.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_silent_worker_runs_stalls_until_it_reports_again() {
    let server = TestServer::start().await;
    let mut watcher = server.watch("").await;
    send(&server, &beat("a", json!({}))).await;
    start(&server, "1", "a", Utc::now()).await;
    start(&server, "2", "unheard-of", Utc::now()).await;
    server.until("it stalls", async || stalled(&server).await == "worker_gone").await;
    assert_eq!(server.history("stalled=true").await["total_count"], 1, "a worker that never sent a heartbeat can't be missed");
    assert_eq!(server.metrics_of("t").await["stalled"], 1);
    let id = server.history("stalled=true").await["items"][0]["id"].clone();
    assert_eq!(server.json(&format!("/api/v1/monitoring/executions/{id}")).await["stalled"], "worker_gone");
    let workers = server.json("/api/v1/monitoring/workers").await;
    assert_eq!(workers["workers"][0]["health"], "gone");
    assert_eq!(workers["workers"][0]["running"][0]["stalled"], "worker_gone");
    watcher.until("watchers are told to count again", |message| message["type"] == "changed").await;

    // Its interval is so long now that it can't be missed within this test.
    send(&server, &beat("a", json!({"interval_ms": 60_000}))).await;
    server.until("it is cleared", async || server.history("stalled=true").await["total_count"] == 0).await;
    assert_eq!(server.history("status=running").await["total_count"], 2);

    send(&server, &beat("a", json!({}))).await;
    server.until("it stalls again", async || server.metrics_of("t").await["stalled"] == 1).await;
    server.report(&json!([event("task_completed", "1", Utc::now(), json!({}))])).await;
    server.until("its end clears it", async || server.metrics_of("t").await["stalled"] == 0).await;
    assert_eq!(server.history("status=success").await["items"][0]["stalled"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_longer_than_its_kind_ever_did_is_overdue() {
    let server = TestServer::start().await;
    let now = Utc::now();
    let done: Vec<Value> = (0..40).map(|n| event("task_completed", &format!("d{n}"), now, json!({"duration_ms": n}))).collect();
    server.report(&json!(done)).await;
    let other = json!([{"type": "task_started", "task_id": "o", "task_name": "without_history", "timestamp": (now - TimeDelta::hours(9)).to_rfc3339()}]);
    server.report(&other).await;
    start(&server, "slow", "w", now - TimeDelta::seconds(30)).await;
    server.until("it is overdue", async || stalled(&server).await == "overdue").await;
    assert_eq!(server.history("stalled=true").await["total_count"], 1, "a task type without history has no usual time");
}

/// A broker that delivers a task again after its worker died: the first run is over, unless the worker itself tells how it ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_another_attempt_replaced_is_ended() {
    let server = TestServer::start().await;
    let now = Utc::now();
    for (task, worker, numbering) in [("n", "a", "attempt"), ("q", "a", "taskiq")] {
        let start = |attempt: i32, at: DateTime<Utc>, worker: &str| {
            event("task_started", task, at, json!({"worker": worker, "numbering": numbering, "attempt": attempt}))
        };
        send(&server, &beat(worker, json!({}))).await;
        server.report(&json!([start(1, now, worker), start(2, now + TimeDelta::seconds(5), "other")])).await;
    }
    server.until("both first runs are over", async || server.history("status=failed").await["total_count"] == 2).await;
    let failed = server.history("status=failed").await;
    for row in failed["items"].as_array().unwrap() {
        assert_eq!((&row["attempt"], &row["error_type"]), (&json!(1), &json!("taskscope.WorkerGone")), "{row}");
        assert_eq!(row["error_message"], "The worker was gone, and attempt 2 took over.");
    }
    assert_eq!(server.history("status=running").await["total_count"], 2);
    // It was only cut off.
    for (task, numbering) in [("n", "attempt"), ("q", "taskiq")] {
        let end = json!({"worker": "a", "numbering": numbering, "attempt": 1, "started_at": now.to_rfc3339()});
        server.report(&json!([event("task_completed", task, now + TimeDelta::seconds(60), end)])).await;
    }
    server.until("what it says counts", async || server.history("status=success").await["total_count"] == 2).await;
    let ended = server.history("status=success").await;
    assert!(ended["items"].as_array().unwrap().iter().all(|row| row["attempt"] == 1 && row["duration_ms"] == 60_000), "{ended}");
    assert_eq!(server.history("status=failed").await["total_count"], 0);
}

/// A server that was away didn't hear heartbeats: that is its own silence.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_server_changes_no_execution() {
    let mut server = TestServer::start().await;
    send(&server, &beat("gone", json!({}))).await;
    start(&server, "1", "gone", Utc::now()).await;
    server.until("it stalls", async || server.metrics_of("t").await["stalled"] == 1).await;
    send(&server, &beat("alive", json!({"interval_ms": 20_000}))).await;
    start(&server, "2", "alive", Utc::now()).await;
    server.sql("update workers set last_seen = now() - interval '1 hour' where worker = 'alive'").await;
    server.restart().await;
    // Three looks of the watchdog, told by another worker that falls silent.
    send(&server, &beat("marker", json!({"interval_ms": 500}))).await;
    start(&server, "3", "marker", Utc::now()).await;
    server.until("the marker stalls", async || server.history("stalled=true").await["total_count"] == 2).await;
    let rows = server.history("stalled=true").await;
    let workers: Vec<&str> = rows["items"].as_array().unwrap().iter().map(|row| row["worker"].as_str().unwrap()).collect();
    assert_eq!(workers, ["marker", "gone"]);
    assert_eq!(server.history("status=running").await["total_count"], 3);
}

/// `task_active` says what the log says, whoever writes.
#[tokio::test(flavor = "multi_thread")]
async fn active_executions_follow_rows_written_by_sql() {
    const DIFFERENCE: &str = "select count(*) from (
        (select id, status, created_at from task_execution_logs where status in ('pending', 'running')
         except select id, status, created_at from task_active)
        union all
        (select id, status, created_at from task_active
         except select id, status, created_at from task_execution_logs where status in ('pending', 'running'))) different";
    let server = TestServer::start().await;
    server
        .sql("insert into task_execution_logs (task_name, status) select 't', unnest(array['pending', 'running', 'success'])")
        .await;
    server
        .report(&json!([event("task_queued", "1", Utc::now(), json!({})), event("task_started", "2", Utc::now(), json!({}))]))
        .await;
    server.executions(5).await;
    assert_eq!((server.count("select count(*) from task_active").await, server.count(DIFFERENCE).await), (4, 0));
    server.sql("update task_execution_logs set status = 'success' where status = 'running' and source = 'sql'").await;
    server.sql("update task_execution_logs set status = 'running' where status = 'pending'").await;
    // An earlier *queued* moves the row.
    server.report(&json!([event("task_queued", "2", Utc::now() - TimeDelta::seconds(70), json!({}))])).await;
    server.report(&json!([event("task_completed", "1", Utc::now(), json!({}))])).await;
    server.until("both are stored", async || server.count("select count(*) from task_active").await == 2).await;
    server.until("they agree", async || server.count(DIFFERENCE).await == 0).await;
    server.sql("delete from task_execution_logs").await;
    assert_eq!(server.count("select count(*) from task_active").await, 0);
}

/// Our own middleware names the start of the run that ended, and the stock one beside it adds nothing.
#[tokio::test(flavor = "multi_thread")]
async fn attempts_of_our_own_middleware_are_told_apart_by_their_start() {
    let server = TestServer::start().await;
    let now = Utc::now();
    let at = |ms: i64| (now + TimeDelta::milliseconds(ms)).to_rfc3339();
    let own = |kind: &str, ms: i64, more: Value| {
        event(kind, "1", now + TimeDelta::milliseconds(ms), {
            let mut more = more;
            more["numbering"] = json!("taskiq");
            more
        })
    };
    // The second attempt starts on a machine whose clock is behind, before the first one ended.
    server
        .report(&json!([
            own("task_failed", 900, json!({"event_id": "e", "started_at": at(0), "worker": "a", "error_type": "m.E", "error_message": "E('x')", "error_traceback": "File \"a.py\", line 3"})),
            own("task_completed", 1500, json!({"started_at": at(700), "worker": "b", "labels": {"_retries": 1}})),
        ]))
        .await;
    let rows = server.executions(2).await;
    assert_eq!((&rows[1]["attempt"], &rows[1]["status"], &rows[1]["duration_ms"]), (&json!(1), &json!("failed"), &json!(900)));
    assert_eq!(
        (&rows[1]["error_type"], &rows[1]["error_message"], &rows[1]["worker"]),
        (&json!("m.E"), &json!("E('x')"), &json!("a"))
    );
    assert_eq!((&rows[0]["attempt"], &rows[0]["status"], &rows[0]["duration_ms"]), (&json!(2), &json!("success"), &json!(800)));
    let stock = json!({"finishedAt": (now + TimeDelta::milliseconds(950)).naive_utc().to_string().replace(' ', "T"), "executionTime": 0.9,
                       "error": "taskiq.exceptions.NoResultError()", "returnValue": {"return_value": null}});
    assert!(server.taskiq("1", "executed", stock.to_string()).await.status().is_success());
    server.report(&json!([event("task_queued", "last", now, json!({}))])).await;
    let rows = server.executions(3).await;
    let first = rows.iter().find(|row| row["attempt"] == 1 && row["status"] == "failed").unwrap();
    assert_eq!((&first["error_message"], &first["duration_ms"]), (&json!("E('x')"), &json!(900)));
}
