//! Tokens for programs.

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use super::{ask, make_token, status};
use crate::support::{TestServer, client_of, stranger, until};

fn event(task_name: &str, worker: &str) -> Value {
    json!({ "type": "task_started", "task_id": task_name, "task_name": task_name, "worker": worker, "timestamp": "2026-11-20T00:00:00Z" })
}

async fn report(http: &Client, server: &TestServer, events: &Value) -> (StatusCode, Value) {
    let answer = http.post(format!("{}/api/v1/events", server.base)).json(events).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_reports_of_its_sources_only() {
    let server = TestServer::start_guarded().await;
    let (_, token) = make_token(&server, json!({ "name": "mail", "kind": "ingest", "sources": ["mail.*", "mailer-1"] })).await;
    let worker = client_of(&token);
    let (code, outcome) =
        report(&worker, &server, &json!([event("mail.send", "w"), event("billing.charge", "w"), event("x", "mailer-1")])).await;
    assert_eq!((code, &outcome["accepted"], &outcome["rejected"]), (StatusCode::ACCEPTED, &json!(2), &json!(1)));
    let told = outcome["results"][1]["error"].as_str().unwrap();
    assert!(told.contains("billing.charge") && told.contains("mail.*"), "{told}");
    let started = |name: &str| {
        json!({ "taskName": name, "worker": "w", "startedAt": "2026-11-20T00:00:00", "args": [], "kwargs": {} }).to_string()
    };
    let taskiq = async |name: &str| {
        let request = stranger().post(format!("{}/api/tasks/{name}/started", server.base)).header("access-token", &token);
        request.header("content-type", "application/json").body(started(name)).send().await.unwrap().status().as_u16()
    };
    assert_eq!((taskiq("mail.send").await, taskiq("billing.charge").await), (200, 403));
    let beat = async |name: &str| {
        let body = json!({ "worker": name, "host": "h", "pid": 1, "started_at": "2026-11-20T00:00:00Z", "client": "c", "interval_ms": 1000 });
        worker.post(format!("{}/api/v1/heartbeats", server.base)).json(&body).send().await.unwrap().status().as_u16()
    };
    assert_eq!((beat("mailer-1").await, beat("biller-1").await), (202, 403));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_worthless_once_it_is_revoked_or_over() {
    let server = TestServer::start_guarded().await;
    let soon = chrono::Utc::now() + chrono::TimeDelta::seconds(3);
    let (id, token) = make_token(&server, json!({ "name": "w", "kind": "ingest" })).await;
    let (_, short) = make_token(&server, json!({ "name": "s", "kind": "api", "role": "viewer", "expires_at": soon })).await;
    let (worker, reader) = (client_of(&token), client_of(&short));
    let mut watcher = server.watch_as(&short).await;
    assert_eq!(report(&worker, &server, &json!([event("a", "w")])).await.0, StatusCode::ACCEPTED);
    assert_eq!(status(&reader, &server, "/api/v1/me").await, 200);
    assert_eq!(server.http.delete(format!("{}/api/v1/tokens/{id}", server.base)).send().await.unwrap().status(), 204);
    assert_eq!(report(&worker, &server, &json!([event("a", "w")])).await.0, StatusCode::UNAUTHORIZED);
    until("the other is over", async || status(&reader, &server, "/api/v1/me").await == 401).await;
    assert_eq!(watcher.closing().await, Some(1008));
    let tokens: Value = ask(&server.http, &server, "/api/v1/tokens").await.json().await.unwrap();
    assert!(!tokens.to_string().contains(&short) && tokens[0]["created_by"] == "admin", "{tokens}");
    let stored = server.text_of("access_tokens").await + &server.text_of("sessions").await + &server.text_of("accounts").await;
    assert!(
        !stored.contains(&short) && !stored.contains(crate::support::PASSWORD),
        "secrets are nowhere but with those who have them"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configured_token_reports_and_does_nothing_else() {
    let server = TestServer::start_with(|settings| {
        settings.login = Some("accounts".to_owned());
        settings.admin_password = Some(crate::support::PASSWORD.to_owned());
        settings.ingest_token = Some("sixteen characters".to_owned());
    })
    .await;
    let worker = client_of("sixteen characters");
    assert_eq!(report(&worker, &server, &json!([event("a", "w")])).await.0, StatusCode::ACCEPTED);
    assert_eq!(report(&client_of("sixteen character"), &server, &json!([event("a", "w")])).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(status(&worker, &server, "/api/v1/monitoring/metrics").await, 401);
}
