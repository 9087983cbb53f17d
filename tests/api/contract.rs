//! The contract of the monitoring API, under the names that its first design gave the tests (T005–T009).

use reqwest::StatusCode;
use serde_json::{Value, json};
use taskscope_wire::{HistoryPage, Metrics, TaskStatus};

use crate::support::TestServer;

/// T005
#[tokio::test(flavor = "multi_thread")]
async fn test_get_metrics_returns_200_with_valid_schema() {
    let server = TestServer::start().await;
    let body = server.json("/api/v1/monitoring/metrics").await;
    for key in ["time_window_hours", "generated_at", "metrics"] {
        assert!(body.get(key).is_some(), "{key}");
    }
    let fields = ["task_name", "total_executions", "pending", "running", "success", "failed", "avg_duration_ms", "success_rate"];
    for (entry, field) in body["metrics"].as_array().unwrap().iter().flat_map(|entry| fields.map(|field| (entry, field))) {
        assert!(entry.get(field).is_some(), "{field} in {entry}");
    }
    let metrics: Metrics = serde_json::from_value(body).unwrap();
    assert_eq!(metrics.metrics.len(), 15, "every registered task type has a card before its first execution");
    assert!(metrics.metrics.iter().all(|entry| entry.success_rate.is_none() && entry.avg_duration_ms.is_none()));
}

/// T006
#[tokio::test(flavor = "multi_thread")]
async fn test_get_metrics_with_time_window_param() {
    let server = TestServer::start().await;
    server
        .sql(
            "insert into task_execution_logs (task_name, status, created_at) values
                ('t', 'success', now() - interval '30 hours'), ('t', 'success', now())",
        )
        .await;
    let of = async |path: &str| {
        let body = server.json(path).await;
        let total: i64 =
            body["metrics"].as_array().unwrap().iter().map(|entry| entry["total_executions"].as_i64().unwrap()).sum();
        (body["time_window_hours"].clone(), total)
    };
    assert_eq!(of("/api/v1/monitoring/metrics?time_window=48").await, (json!(48), 2));
    assert_eq!(of("/api/v1/monitoring/metrics").await, (json!(24), 1));
    for window in ["0", "721", "-1", "x", "1.5", ""] {
        refused(&server, &format!("/api/v1/monitoring/metrics?time_window={window}"), "time_window").await;
    }
}

/// T007
#[tokio::test(flavor = "multi_thread")]
async fn test_get_history_returns_200_with_pagination() {
    let server = TestServer::start().await;
    server
        .sql(
            "insert into task_execution_logs (task_name, status, created_at)
                select 't', 'success', now() - i * interval '1 second' from generate_series(1, 120) i",
        )
        .await;
    let page: HistoryPage = serde_json::from_value(server.history("page=1&page_size=50").await).unwrap();
    assert_eq!((page.total_count, page.page, page.page_size, page.total_pages, page.items.len()), (120, 1, 50, 3, 50));
    assert!(page.items.is_sorted_by(|a, b| a.created_at > b.created_at), "newest first");
    let last: HistoryPage = serde_json::from_value(server.history("page=3").await).unwrap();
    assert_eq!(last.items.len(), 20);
    let beyond: HistoryPage = serde_json::from_value(server.history("page=4").await).unwrap();
    assert_eq!((beyond.total_count, beyond.items.len()), (120, 0));
    let empty: HistoryPage = serde_json::from_value(server.history("task_name=none").await).unwrap();
    assert_eq!((empty.total_count, empty.total_pages), (0, 0));
}

/// T008
#[tokio::test(flavor = "multi_thread")]
async fn test_get_history_with_filters() {
    let server = TestServer::start().await;
    server.sql(
        r#"insert into task_execution_logs (task_name, status, duration_ms, task_id, params, error_message, worker, queue, created_at) values
           ('score_message_task', 'failed', 10, 'a', '{"message_id": 42}', 'connection 100% refused', 'w1', 'q1', now() - interval '3 hours'),
           ('score_message_task', 'success', 20, 'b', null, null, 'w2', 'q2', now() - interval '1 minute'),
           ('other_task', 'failed', 30, 'order_7', null, 'boom', 'w1', 'q1', now() - interval '2 minutes')"#,
    )
    .await;
    let ids = async |query: &str| -> Vec<String> {
        let page = server.history(query).await;
        let items = page["items"].as_array().unwrap();
        assert_eq!(page["total_count"], items.len());
        items.iter().map(|item| item["task_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids("task_name=score_message_task&status=failed").await, ["a"]);
    assert_eq!(ids("status=failed").await, ["order_7", "a"]);
    assert_eq!(ids("status=failed&status=success&task_name=score_message_task").await, ["b", "a"]);
    assert_eq!(ids("task_name=score_message_task&task_name=other_task").await, ["b", "order_7", "a"]);
    let hour_ago = chrono::Utc::now() - chrono::TimeDelta::hours(1);
    assert_eq!(ids(&format!("start_date={}", hour_ago.format("%Y-%m-%dT%H:%M:%SZ"))).await, ["b", "order_7"]);
    assert_eq!(ids(&format!("end_date={}", hour_ago.format("%Y-%m-%dT%H:%M:%S"))).await, ["a"]);
    assert_eq!(ids("q=100%25").await, ["a"], "a percent sign is no pattern");
    assert_eq!(ids("q=order_7").await, ["order_7"]);
    assert_eq!(ids("q=ORDER-7").await, Vec::<String>::new(), "an underscore is no pattern");
    assert_eq!(ids("q=message_id%22:+42").await, ["a"], "params are searched");
    assert_eq!(ids("worker=w1&queue=q1&min_duration_ms=11").await, ["order_7"]);
    assert_eq!(ids("max_duration_ms=20").await, ["b", "a"]);
}

/// T009
#[tokio::test(flavor = "multi_thread")]
async fn test_get_history_invalid_date_format_returns_400() {
    let server = TestServer::start().await;
    let cases = [
        ("start_date=invalid", "start_date"),
        ("end_date=2026-13-01", "end_date"),
        ("status=done", "status"),
        ("page=0", "page"),
        ("page=x", "page"),
        ("page=1000000001", "page"),
        ("page_size=0", "page_size"),
        ("page_size=51", "page_size"),
        ("q=ab", "q"),
        ("min_duration_ms=-1", "min_duration_ms"),
        ("task_name=%00", "task_name"),
        ("start_date=2026-11-22&end_date=2026-11-21", "start_date"),
    ];
    for (query, parameter) in cases {
        refused(&server, &format!("/api/v1/monitoring/history?{query}"), parameter).await;
    }
    refused(&server, "/api/v1/monitoring/executions/x", "id").await;
    refused(&server, "/api/v1/monitoring/events?after=-1", "after").await;
    refused(&server, "/api/v1/monitoring/events?limit=0", "limit").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_pages_and_odd_numbers_are_no_failure() {
    let server = TestServer::start().await;
    for query in ["page=1000000000", "max_duration_ms=9223372036854775807", "task_name=%27%3B--", "q=%25%5C%5F%5C"] {
        assert_eq!(server.get(&format!("/api/v1/monitoring/history?{query}")).await.status(), StatusCode::OK, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_comes_whole_with_its_attempts() {
    let server = TestServer::start().await;
    let event = |kind: &str, attempt: i32, second: i32| {
        json!({"type": kind, "task_id": "t-1", "task_name": "t", "attempt": attempt, "timestamp": format!("2026-11-20T10:00:{second:02}Z"),
               "params": {"n": 1}, "error_message": "no", "error_traceback": "File \"a.py\", line 3"})
    };
    server.report(&json!([event("task_failed", 1, 1), event("task_completed", 2, 5)])).await;
    let executions = server.executions(2).await;
    let first = &executions[1];
    assert_eq!((&first["attempt"], &first["status"], &first["retried"]), (&json!(1), &json!("failed"), &json!(true)));
    let whole = server.json(&format!("/api/v1/monitoring/executions/{}", first["id"])).await;
    assert_eq!((&whole["error_traceback"], &whole["params"]), (&json!("File \"a.py\", line 3"), &json!({"n": 1})));
    let attempts: Vec<_> =
        whole["attempts"].as_array().unwrap().iter().map(|a| (a["attempt"].clone(), a["status"].clone())).collect();
    assert_eq!(attempts, [(json!(1), json!("failed")), (json!(2), json!("success"))]);
    let status: TaskStatus = serde_json::from_value(whole["status"].clone()).unwrap();
    assert_eq!(status, TaskStatus::Failed);
    assert_eq!(server.get("/api/v1/monitoring/executions/999999").await.status(), StatusCode::NOT_FOUND);
}

/// Asks what must be refused with a sentence that names the parameter.
async fn refused(server: &TestServer, path: &str, parameter: &str) {
    let response = server.get(path).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{path}");
    let body: Value = response.json().await.unwrap();
    assert!(body["error"].as_str().unwrap().contains(parameter), "{path}: {body}");
}
