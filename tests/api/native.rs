//! `POST /api/v1/events`.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::TestServer;

const AT: &str = "2026-11-20T10:00:00Z";

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_event_does_not_cost_the_others() {
    let server = TestServer::start().await;
    let body = json!([
        {"type": "task_completed", "task_id": "1", "task_name": "t", "timestamp": AT, "duration_ms": 5},
        {"type": "task_completed", "task_id": "2", "timestamp": "soon"},
        42,
        {"type": "task_started", "task_id": "3", "task_name": "t", "timestamp": AT},
    ]);
    let response = server.post("/api/v1/events", "application/json", body.to_string()).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let outcome: Value = response.json().await.unwrap();
    assert_eq!((&outcome["accepted"], &outcome["rejected"]), (&json!(2), &json!(2)));
    let accepted: Vec<_> =
        outcome["results"].as_array().unwrap().iter().map(|item| item["accepted"].as_bool().unwrap()).collect();
    assert_eq!(accepted, [true, false, false, true]);
    assert!(outcome["results"][1]["error"].as_str().unwrap().contains("timestamp"));
    server.executions(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_taken_too() {
    let server = TestServer::start().await;
    let line =
        |id: u8| json!({"type": "task_completed", "task_id": id.to_string(), "task_name": "t", "timestamp": AT}).to_string();
    let response = server.post("/api/v1/events", "application/x-ndjson", format!("{}\n\n{}\n", line(1), line(2))).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    server.executions(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_batch_is_refused_with_a_reason() {
    let server = TestServer::start().await;
    let answer = async |content_type: &str, body: String| {
        let response = server.post("/api/v1/events", content_type, body).await;
        (response.status().as_u16(), response.json::<Value>().await.unwrap()["error"].as_str().unwrap().to_owned())
    };
    assert_eq!(answer("application/json", "no json".to_owned()).await.0, 400);
    assert_eq!(answer("application/json", "{}".to_owned()).await.0, 400);
    assert_eq!(answer("application/json", r#"[{"type": "task_started"}]"#.to_owned()).await.0, 400);
    let (status, error) = answer("text/plain", "[]".to_owned()).await;
    assert!(status == 415 && error.contains("application/json"), "{error}");
    // One byte over the limit: with more, the connection may be closed while the client still sends.
    let (status, error) = answer("application/json", " ".repeat(8 * 1024 * 1024 + 1)).await;
    assert!(status == 413 && error.contains("bytes"), "{error}");
    let (status, error) = answer("application/json", format!("[{}1]", "1,".repeat(20_000))).await;
    assert!(status == 413 && error.contains("10000"), "{error}");
    assert_eq!(server.count("select count(*) from task_execution_logs").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configured_token_is_required() {
    let server = TestServer::start_with_token(Some("secret")).await;
    let body = json!([{"type": "task_completed", "task_id": "1", "task_name": "t", "timestamp": AT}]).to_string();
    let with = async |token: Option<&str>| {
        let mut request = server.http.post(format!("{}/api/v1/events", server.base)).header("content-type", "application/json");
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request.body(body.clone()).send().await.unwrap().status()
    };
    assert_eq!(with(None).await, StatusCode::UNAUTHORIZED);
    assert_eq!(with(Some("wrong")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(with(Some("secret")).await, StatusCode::ACCEPTED);
}

/// Defect 7 of the comparison with other monitors: on loopback there is no login, so no page of another site may act for a reader.
#[tokio::test(flavor = "multi_thread")]
async fn defect_7_pages_of_other_sites_can_neither_write_nor_listen() {
    let server = TestServer::start().await;
    let from = async |method: reqwest::Method, path: &str, origin: &str| {
        let request = server.http.request(method, format!("{}{path}", server.base)).header("origin", origin);
        request
            .header("content-type", "application/json")
            .header("upgrade", "websocket")
            .body("[]")
            .send()
            .await
            .unwrap()
            .status()
    };
    let own = server.base.clone();
    for path in ["/api/v1/events", "/api/fn/metrics", "/api/tasks/1/started"] {
        assert_eq!(from(reqwest::Method::POST, path, "http://evil.example").await, StatusCode::FORBIDDEN, "{path}");
        assert_ne!(from(reqwest::Method::POST, path, &own).await, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(from(reqwest::Method::GET, "/ws", "http://evil.example").await, StatusCode::FORBIDDEN);
}
