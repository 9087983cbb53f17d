//! How the recorder finds and writes rows.

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::TestServer;

/// New rows and changed ones go different ways into the table.
#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_value_arrives_by_either_way() {
    let server = TestServer::start().await;
    let text = "quote \" backslash \\ newline \n tab \t umlaut ü emoji 🦀 \u{1}";
    let described = |task_id: &str| {
        json!({
            "task_id": task_id, "task_name": text, "queue": text, "worker": text, "max_retries": 7, "attempt": 3,
            "labels": {"text": text}, "params": {"big": [123_456_789_012_345_678_u64, -0.25], "text": text},
        })
    };
    let event = |task_id: &str, more: Value| {
        let mut event = described(task_id);
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let start = json!({"type": "task_started", "timestamp": "2026-11-20T10:00:00.000001Z"});
    let end = json!({
        "type": "task_failed", "timestamp": "2026-11-20T10:00:01.500001Z", "error_type": text, "error_message": text, "error_traceback": text,
        "result": {"text": text},
    });
    server.report(&json!([event("at once", start.clone()), event("at once", end.clone()), event("in turn", start)])).await;
    server.executions(2).await;
    server.report(&json!([event("in turn", end)])).await;
    server
        .until("both have ended", async || {
            server.count("select count(*) from task_execution_logs where status = 'failed'").await == 2
        })
        .await;
    let all = "select count(distinct to_jsonb(l) - '{id, task_id, updated_at}'::text[]) from task_execution_logs l";
    assert_eq!(server.count(all).await, 1, "both ways write the same");
    let row: Value = sqlx::query_scalar("select to_jsonb(l) from task_execution_logs l where task_id = 'at once'")
        .fetch_one(&server.pool)
        .await
        .unwrap();
    for column in ["task_name", "queue", "worker", "error_type", "error_message", "error_traceback"] {
        assert_eq!(row[column], text, "{column}");
    }
    assert_eq!(row["params"], described("")["params"]);
    assert_eq!(row["labels"], json!({"text": text}));
    assert_eq!(row["result"], json!({"text": text}));
    assert_eq!([&row["attempt"], &row["max_retries"], &row["duration_ms"]], [3, 7, 1500]);
    assert_eq!(row["started_at"], "2026-11-20T10:00:00.000001+00:00");
    assert_eq!(row["completed_at"], "2026-11-20T10:00:01.500001+00:00");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_finds_its_start_however_far_away() {
    let server = TestServer::start().await;
    let event = |task_id: &str, kind: &str, hours: i64| json!({"type": kind, "task_id": task_id, "task_name": "t", "timestamp": Utc::now() + TimeDelta::hours(hours)});
    let far = [("days ago", -24 * 9), ("just now", 0), ("by a clock that is ahead", 23)];
    let starts: Vec<Value> = far.iter().map(|(task_id, hours)| event(task_id, "task_started", *hours)).collect();
    server.report(&json!(starts)).await;
    server.executions(3).await;
    let ends: Vec<Value> = far.iter().map(|(task_id, hours)| event(task_id, "task_completed", (*hours).max(0))).collect();
    server.report(&json!(ends)).await;
    server
        .until("all have ended", async || {
            server.count("select count(*) from task_execution_logs where status = 'success'").await == 3
        })
        .await;
    server.executions(3).await;
}
