//! From a client's events to rows and live messages, under the names that the first design gave the tests (T010–T013).

use serde_json::json;

use crate::support::TestServer;

const LABELS: &str = r#""labels": {}"#;

/// T010
#[tokio::test(flavor = "multi_thread")]
async fn test_middleware_logs_task_start() {
    let server = TestServer::start().await;
    let body = format!(
        r#"{{"args": [], "kwargs": {{"message_id": 1}}, {LABELS}, "startedAt": "2026-11-20T10:30:00.5", "taskName": "score_message_task", "worker": "w"}}"#
    );
    server.taskiq("t1", "started", body).await;
    let rows = server.executions(1).await;
    assert_eq!((&rows[0]["status"], &rows[0]["started_at"]), (&json!("running"), &json!("2026-11-20T10:30:00.500Z")));
    assert_eq!((&rows[0]["params"], &rows[0]["worker"]), (&json!({"message_id": 1}), &json!("w")));
}

/// T011
#[tokio::test(flavor = "multi_thread")]
async fn test_middleware_logs_successful_completion() {
    let server = TestServer::start().await;
    run(&server, "t1", "null").await;
    server.until("success", async || server.history("status=success").await["total_count"] == 1).await;
    let row = &server.executions(1).await[0];
    assert_eq!((&row["completed_at"], &row["duration_ms"]), (&json!("2026-11-20T10:30:00.320Z"), &json!(320)));
    assert_eq!(row["result"], json!(42));
}

/// T012
#[tokio::test(flavor = "multi_thread")]
async fn test_middleware_logs_task_failure_with_traceback() {
    let server = TestServer::start().await;
    run(&server, "t1", r#""ValueError('No messages provided for extraction')""#).await;
    server
        .report(&json!([{"type": "task_failed", "task_id": "t2", "task_name": "t", "timestamp": "2026-11-20T10:31:00Z",
                         "error_message": "no", "error_traceback": "Traceback (most recent call last):\n  File \"a.py\", line 1"}]))
        .await;
    server.until("two failures", async || server.history("status=failed").await["total_count"] == 2).await;
    let rows = server.executions(2).await;
    assert!(rows[0]["error_traceback"].as_str().unwrap().contains("File \"a.py\", line 1"));
    assert_eq!(rows[1]["error_message"], "ValueError('No messages provided for extraction')");
}

/// T013
#[tokio::test(flavor = "multi_thread")]
async fn test_websocket_broadcasts_task_event() {
    let server = TestServer::start().await;
    let mut watcher = server.watch("").await;
    run(&server, "t1", "null").await;
    let events = watcher.events(2).await;
    let kinds: Vec<_> = events.iter().map(|event| (event["type"].as_str().unwrap(), event["status"].as_str().unwrap())).collect();
    assert_eq!(kinds, [("task_started", "running"), ("task_completed", "success")]);
    let last = &events[1];
    let id = server.executions(1).await[0]["id"].clone();
    assert_eq!(last["task_name"], "score_message_task");
    assert_eq!(last["timestamp"], "2026-11-20T10:30:00.320Z");
    assert_eq!((&last["data"]["task_id"], &last["data"]["duration_ms"]), (&id, &json!(320)));
    assert_eq!(last["data"]["params"], json!({"message_id": 1}));
    assert_eq!((&events[0]["seq"], &last["seq"]), (&json!(1), &json!(2)));
}

/// One task from start to end.
async fn run(server: &TestServer, task_id: &str, error: &str) {
    let started = format!(
        r#"{{"args": [], "kwargs": {{"message_id": 1}}, {LABELS}, "startedAt": "2026-11-20T10:30:00", "taskName": "score_message_task", "worker": null}}"#
    );
    server.taskiq(task_id, "started", started).await;
    let executed = format!(
        r#"{{"finishedAt": "2026-11-20T10:30:00.320000", "executionTime": 0.32, "error": {error}, "returnValue": {{"return_value": 42}}}}"#
    );
    server.taskiq(task_id, "executed", executed).await;
}
