//! The TaskIQ endpoints: what the stock middlewares send, and what other monitors get wrong about it (`defect_…`, one a line of the
//! comparison in the protocol notes).

use std::fmt::Write;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::TestServer;

const ID: &str = "dafef73dd65d4b6b83c65bae6571feb9";

fn queued(second: f64, retries: u8) -> String {
    let retries = if retries == 0 { String::new() } else { format!(r#", "_retries": "{retries}""#) };
    format!(
        r#"{{"args": [2], "kwargs": {{"b": 40}}, "labels": {{"max_retries": "3"{retries}}}, "queuedAt": "{}", "taskName": "app.tasks:add", "worker": null}}"#,
        at(second)
    )
}

fn started(second: f64, retries: u8) -> String {
    let retries = if retries == 0 { String::new() } else { format!(r#", "_retries": {retries}"#) };
    format!(
        r#"{{"args": [2], "kwargs": {{"b": 40}}, "labels": {{"max_retries": 3{retries}}}, "startedAt": "{}", "taskName": "app.tasks:add", "worker": null}}"#,
        at(second)
    )
}

fn executed(second: f64, error: &str, result: &str) -> String {
    let error = if error.is_empty() { "null".to_owned() } else { json!(error).to_string() };
    format!(
        r#"{{"finishedAt": "{}", "executionTime": 0.0, "error": {error}, "returnValue": {{"return_value": {result}}}}}"#,
        at(second)
    )
}

fn at(second: f64) -> String {
    let mut text = "2026-11-20T10:00:".to_owned();
    write!(text, "{second:09.6}").unwrap();
    text
}

/// Sends steps in this order, each after the one before was answered.
async fn send(server: &TestServer, steps: &[(&str, String)]) {
    for (step, body) in steps {
        assert_eq!(server.taskiq(ID, step, body.clone()).await.status(), StatusCode::OK, "{step} {body}");
    }
}

/// Waits until the rows of the task are so, ordered by attempt: number, status, error.
async fn becomes(server: &TestServer, wanted: &[(i64, &str, &str)]) -> Vec<Value> {
    let rows = async || {
        let mut rows = server.history("").await["items"].as_array().unwrap().clone();
        rows.sort_by_key(|row| row["attempt"].as_i64());
        rows
    };
    let brief = |rows: &[Value]| -> Vec<(i64, String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        rows.iter().map(|row| (row["attempt"].as_i64().unwrap(), text(&row["status"]), text(&row["error_message"]))).collect()
    };
    let wanted: Vec<_> = wanted.iter().map(|(n, status, error)| (*n, (*status).to_owned(), (*error).to_owned())).collect();
    server.until(&format!("{wanted:?}"), async || brief(&rows().await) == wanted).await;
    rows().await
}

const NO_RESULT: &str = "taskiq.exceptions.NoResultError()";

#[tokio::test(flavor = "multi_thread")]
async fn retries_are_attempts_of_one_task() {
    let server = TestServer::start().await;
    let steps = [
        ("queued", queued(0.0, 0)),
        ("started", started(1.0, 0)),
        ("queued", queued(1.4, 1)),
        ("executed", executed(1.5, NO_RESULT, "null")),
        ("started", started(2.0, 1)),
        ("queued", queued(2.4, 2)),
        ("executed", executed(2.5, NO_RESULT, "null")),
        ("started", started(3.0, 2)),
        ("executed", executed(3.5, "ValueError('bad')", "null")),
    ];
    let wanted = [(1, "failed", NO_RESULT), (2, "failed", NO_RESULT), (3, "failed", "ValueError('bad')")];
    send(&server, &steps).await;
    let rows = becomes(&server, &wanted).await;
    assert_eq!((&rows[0]["max_retries"], &rows[0]["retried"], &rows[2]["retried"]), (&json!(3), &json!(true), &json!(false)));
    assert_eq!(rows[1]["duration_ms"], 500);

    let reversed = TestServer::start().await;
    send(&reversed, &steps.iter().rev().cloned().collect::<Vec<_>>()).await;
    becomes(&reversed, &wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_1_a_pending_retry_is_no_failure_of_the_task() {
    let server = TestServer::start().await;
    let steps = [
        ("queued", queued(0.0, 0)),
        ("started", started(1.0, 0)),
        ("queued", queued(1.4, 1)),
        ("executed", executed(1.5, NO_RESULT, "null")),
    ];
    send(&server, &steps).await;
    let rows = becomes(&server, &[(1, "failed", NO_RESULT), (2, "pending", "")]).await;
    assert_eq!(rows[0]["retried"], true, "attempt 1 failed, and the task is being retried");
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_2_executed_then_started_then_queued_is_a_success() {
    let server = TestServer::start().await;
    send(&server, &[("executed", executed(1.5, "", "42"))]).await;
    let rows = becomes(&server, &[(1, "success", "")]).await;
    assert_eq!(rows[0]["task_name"], "(unknown task)");
    send(&server, &[("started", started(1.0, 0)), ("queued", queued(0.0, 0))]).await;
    server.until("the name is known", async || server.executions(1).await[0]["queued_at"].is_string()).await;
    let rows = becomes(&server, &[(1, "success", "")]).await;
    assert_eq!(
        (&rows[0]["task_name"], &rows[0]["duration_ms"], &rows[0]["result"]),
        (&json!("app.tasks:add"), &json!(500), &json!(42))
    );
    assert_eq!(rows[0]["created_at"], "2026-11-20T10:00:00Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_3_a_worker_without_a_name_is_accepted() {
    let server = TestServer::start().await;
    send(&server, &[("started", started(1.0, 0))]).await;
    let rows = becomes(&server, &[(1, "running", "")]).await;
    assert_eq!(rows[0]["worker"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_4_any_task_id_is_accepted() {
    let server = TestServer::start().await;
    for id in ["order-42", "order/42%20x", "%D0%B6", "a/b/c", "..%2F..", &"x".repeat(1000)] {
        assert_eq!(server.taskiq(id, "started", started(1.0, 0)).await.status(), StatusCode::OK, "{id}");
    }
    let ids: Vec<_> = server.executions(6).await.iter().map(|row| row["task_id"].as_str().unwrap().to_owned()).collect();
    for id in ["order-42", "order/42 x", "ж", "a/b/c"] {
        assert!(ids.iter().any(|known| known == id), "{id} in {ids:?}");
    }
    assert_eq!(server.taskiq(&"x".repeat(2000), "started", started(1.0, 0)).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_5_scalar_results_are_shown() {
    for result in ["42", "1.5", "true", "\"text\"", "null", "[1, 2]"] {
        let server = TestServer::start().await;
        send(&server, &[("started", started(1.0, 0)), ("executed", executed(1.5, "", result))]).await;
        let rows = becomes(&server, &[(1, "success", "")]).await;
        assert_eq!(rows[0]["result"], serde_json::from_str::<Value>(result).unwrap());
        assert_eq!(server.get(&format!("/monitoring/executions/{}", rows[0]["id"])).await.status(), StatusCode::OK);
        assert_eq!(server.get("/monitoring/history").await.status(), StatusCode::OK);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_6_a_wrong_token_is_a_401() {
    let server = TestServer::start_with_token(Some("secret")).await;
    let with = async |token: Option<&str>| {
        let request =
            server.http.post(format!("{}/api/tasks/{ID}/started", server.base)).header("content-type", "application/json");
        let request = if let Some(token) = token { request.header("access-token", token) } else { request };
        request.body(started(1.0, 0)).send().await.unwrap().status()
    };
    assert_eq!(with(None).await, StatusCode::UNAUTHORIZED);
    assert_eq!(with(Some("wrong")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(with(Some("secret")).await, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_8_a_restart_of_the_server_changes_no_state() {
    let mut server = TestServer::start().await;
    send(&server, &[("queued", queued(0.0, 0)), ("started", started(1.0, 0)), ("queued", queued(1.2, 1))]).await;
    let wanted = [(1, "running", ""), (2, "pending", "")];
    becomes(&server, &wanted).await;
    server.restart().await;
    becomes(&server, &wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn defect_9_a_retry_returns_to_running() {
    let server = TestServer::start().await;
    let steps =
        [("executed", executed(1.5, "ValueError('bad')", "null")), ("started", started(1.0, 0)), ("started", started(2.0, 1))];
    send(&server, &steps).await;
    becomes(&server, &[(1, "failed", "ValueError('bad')"), (2, "running", "")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requeue_is_the_next_attempt_though_nobody_queued_it() {
    let server = TestServer::start().await;
    let again = started(2.0, 0).replace("\"max_retries\": 3", "\"max_retries\": 3, \"X-Taskiq-requeue\": \"1\"");
    let steps = [
        ("queued", queued(0.0, 0)),
        ("started", started(1.0, 0)),
        ("executed", executed(1.5, NO_RESULT, "null")),
        ("started", again),
        ("executed", executed(2.5, "", "1")),
    ];
    send(&server, &steps).await;
    becomes(&server, &[(1, "failed", NO_RESULT), (2, "success", "")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redelivery_after_a_crash_is_another_attempt() {
    let server = TestServer::start().await;
    let steps = [("started", started(1.0, 0)), ("started", started(31.0, 0)), ("executed", executed(32.0, "", "1"))];
    send(&server, &steps).await;
    becomes(&server, &[(1, "running", ""), (2, "success", "")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_middlewares_that_report_the_same_task_make_one_execution() {
    let server = TestServer::start().await;
    let steps = [
        ("queued", queued(0.0, 0)),
        ("queued", queued(0.0002, 0)),
        ("started", started(1.0, 0)),
        ("started", started(1.0003, 0)),
        ("executed", executed(1.5, "", "1")),
        ("executed", executed(1.5004, "", "1")),
    ];
    send(&server, &steps).await;
    becomes(&server, &[(1, "success", "")]).await;
    send(&server, &steps).await;
    let rows = becomes(&server, &[(1, "success", "")]).await;
    assert_eq!(rows[0]["duration_ms"], 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn older_clients_are_understood() {
    let server = TestServer::start().await;
    let raw = r#"{"finishedAt": "2026-11-20T10:00:01", "executionTime": 0.1, "error": null, "result": [1], "returnValue": [1]}"#;
    let start = r#"{"args": [], "kwargs": {}, "startedAt": "2026-11-20T10:00:00", "taskName": "t", "worker": "WIP"}"#;
    for (id, prefix) in ["/tasks", "/api/tasks", "/api/api/tasks"].into_iter().enumerate() {
        for (step, body) in [("started", start), ("executed", raw)] {
            let answer = server.post(&format!("{prefix}/{id}/{step}"), "application/json", body).await;
            assert_eq!(answer.status(), StatusCode::OK, "{prefix}");
        }
    }
    server.until("three results", async || server.history("status=success").await["total_count"] == 3).await;
    assert_eq!(server.executions(3).await[0]["result"], json!([1]));
    let answer = server.post("/api/tasks/%7Bmessage.task_id%7D/started", "application/json", start).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert!(answer.text().await.unwrap().contains("f-string"));
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_postgres_or_serde_refuse_cost_nothing() {
    let server = TestServer::start().await;
    let body = started(1.0, 0).replace(
        r#""args": [2]"#,
        r#""args": [1180591620717411303424, "a\u0000b", "\ud800", NaN, -Infinity, 1e999999, 0.30000000000000004]"#,
    );
    send(&server, &[("started", body), ("executed", executed(1.5, "ValueError('\u{0}')", "null"))]).await;
    server.until("it failed", async || server.history("status=failed").await["total_count"] == 1).await;
    let id = server.executions(1).await[0]["id"].clone();
    let text = server.get(&format!("/api/v1/monitoring/executions/{id}")).await.text().await.unwrap();
    let args = r#"[1180591620717411303424, "a\\u0000b", "\\ud800", null, null, "1e999999", 0.30000000000000004]"#;
    assert!(text.contains(args), "{text}");
    assert_eq!(server.count("select count(*) from dead_letters").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_bodies_and_paths_are_named() {
    let server = TestServer::start().await;
    let cases = [
        ("started", "no json".to_owned(), "expected"),
        ("started", r#"{"taskName": "t"}"#.to_owned(), "startedAt"),
        ("started", r#"{"startedAt": "2026-11-20T10:00:00"}"#.to_owned(), "taskName"),
        ("started", r#"{"startedAt": "soon", "taskName": "t"}"#.to_owned(), "startedAt"),
        ("exploded", started(1.0, 0), "/executed"),
    ];
    for (step, body, word) in cases {
        let answer = server.taskiq(ID, step, body).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{step}");
        let text = answer.text().await.unwrap();
        assert!(text.contains(word), "{text}");
    }
    assert_eq!(
        server.post("/api/tasks/1/started", "text/plain", started(1.0, 0)).await.status(),
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
}
