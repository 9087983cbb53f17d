//! Accounts, sessions and the audit log.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{ask, make_account, session, status};
use crate::support::{PASSWORD, TestServer, stranger, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_an_unknown_name_are_told_alike_and_not_for_ever() {
    let server = TestServer::start_guarded().await;
    make_account(&server, "ann", "viewer").await;
    let attempt = async |name: &str| {
        let request =
            stranger().post(format!("{}/login", server.base)).header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(format!("name={name}&password=wrong+wrong+wrong&next=//evil.example")).send().await.unwrap();
        let (status, wait) = (answer.status(), answer.headers().get("retry-after").is_some());
        (status, wait, answer.text().await.unwrap())
    };
    let (known, unknown) = (attempt("ann").await, attempt("nobody").await);
    assert_eq!((known.0, unknown.0), (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED));
    let said = |page: &str| page.contains("The name or the password is wrong.") && page.contains(r#"value="/monitoring""#);
    assert!(said(&known.2) && said(&unknown.2), "{}", known.2);
    let mut last = attempt("ann").await;
    for _ in 0..5 {
        last = attempt("ann").await;
    }
    assert_eq!((last.0, last.1), (StatusCode::TOO_MANY_REQUESTS, true));
    assert!(server.log_in("ann", PASSWORD).await.is_none(), "the right password waits too");
    assert!(server.log_in("admin", PASSWORD).await.is_some(), "others don't");
    // What is typed as a name is text.
    let page = attempt("%22%3E%3Cscript%3Ealert(1)%3C/script%3E").await.2;
    assert!(!page.contains("<script>alert(1)"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_a_session_ends_its_stream_too() {
    let server = TestServer::start_guarded().await;
    let id = make_account(&server, "ann", "operator").await;
    let account = format!("{}/api/v1/accounts/{id}", server.base);
    let change = async |change: Value| server.http.put(&account).json(&change).send().await.unwrap().status();
    for (what, ended_by) in [
        ("another role", json!({ "role": "viewer" })),
        ("a new password", json!({ "password": PASSWORD })),
        ("an account that is disabled", json!({ "disabled": true })),
    ] {
        let cookie = server.log_in("ann", PASSWORD).await.unwrap();
        let mut watcher = server.watch_as(&cookie).await;
        assert_eq!(change(ended_by).await, StatusCode::OK);
        assert_eq!(watcher.closing().await, Some(1008), "{what}");
    }
    assert!(server.log_in("ann", PASSWORD).await.is_none(), "a disabled account can't log in");
    assert_eq!(change(json!({ "disabled": false })).await, StatusCode::OK);
    let cookie = server.log_in("ann", PASSWORD).await.unwrap();
    let ann = crate::support::client_of(&cookie);
    let mut watcher = server.watch_as(&cookie).await;
    assert_eq!(status(&ann, &server, "/api/v1/me").await, 200);
    let out = ann.post(format!("{}/logout", server.base)).send().await.unwrap();
    assert!(out.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(watcher.closing().await, Some(1008));
    assert_eq!(status(&ann, &server, "/api/v1/me").await, 401, "the old cookie opens nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_hears_of_it_and_knows_the_session() {
    let server = TestServer::start_guarded().await;
    let other = server.another().await;
    let id = make_account(&server, "ann", "viewer").await;
    let ann = session(&server, "ann").await;
    until("the other server knows the session", async || status(&ann, &other, "/api/v1/me").await == 200).await;
    let gone = server.http.delete(format!("{}/api/v1/accounts/{id}", server.base)).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    assert_eq!(status(&ann, &server, "/api/v1/me").await, 401);
    until("the other server knows that it is over", async || status(&ann, &other, "/api/v1/me").await == 401).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_shut_out_while_the_database_is_away() {
    let mut server = TestServer::start_guarded().await;
    let (_, ingest) = super::make_token(&server, json!({ "name": "w", "kind": "ingest" })).await;
    let report = async |server: &TestServer| {
        let event = json!([{ "type": "task_started", "task_id": "1", "task_name": "t", "timestamp": "2026-11-20T00:00:00Z" }]);
        let request = stranger().post(format!("{}/api/v1/events", server.base)).bearer_auth(&ingest);
        request.json(&event).send().await.unwrap().status().as_u16()
    };
    server.take_database_away().await;
    assert_eq!(status(&server.http, &server, "/api/v1/me").await, 200);
    assert_eq!(report(&server).await, 202);
    let page = ask(&server.http, &server, "/monitoring").await;
    assert_eq!(page.status(), StatusCode::SERVICE_UNAVAILABLE, "the page says why it is empty");
    assert_eq!(status(&stranger(), &server, "/api/v1/me").await, 401, "strangers stay strangers");
    server.restart_without_waiting().await;
    assert_eq!(report(&server).await, 503, "a server that never read who there is can't say");
    assert_eq!(status(&stranger(), &server, "/healthz").await, 200);
    server.give_database_back().await;
    until("events are taken again", async || report(&server).await == 202).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_always_an_admin() {
    let server = TestServer::start_guarded().await;
    let accounts: Value = ask(&server.http, &server, "/api/v1/accounts").await.json().await.unwrap();
    let admin = format!("{}/api/v1/accounts/{}", server.base, accounts[0]["id"].as_str().unwrap());
    assert!(!accounts.to_string().contains("argon2"), "{accounts}");
    let conflict = async |answer: reqwest::Response| {
        assert_eq!(answer.status(), StatusCode::CONFLICT);
        let sentence = answer.text().await.unwrap();
        assert!(sentence.contains("no admin would be left"), "{sentence}");
    };
    conflict(server.http.put(&admin).json(&json!({ "role": "viewer" })).send().await.unwrap()).await;
    conflict(server.http.put(&admin).json(&json!({ "disabled": true })).send().await.unwrap()).await;
    conflict(server.http.delete(&admin).send().await.unwrap()).await;
    make_account(&server, "second", "admin").await;
    assert_eq!(server.http.put(&admin).json(&json!({ "role": "viewer" })).send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(status(&server.http, &server, "/api/v1/accounts").await, 403, "the old admin's session is a viewer's now");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_accounts_are_told_by_their_field() {
    let server = TestServer::start_guarded().await;
    for (body, status, word) in [
        (json!({ "name": "", "role": "viewer", "password": PASSWORD }), 400, "name"),
        (json!({ "name": "a", "role": "root", "password": PASSWORD }), 400, "role"),
        (json!({ "name": "a", "role": "viewer", "password": "short" }), 400, "password"),
        (json!({ "name": "a", "role": "viewer", "pass": PASSWORD }), 400, "pass"),
        (json!({ "name": "Admin", "role": "viewer", "password": PASSWORD }), 409, "name"),
    ] {
        let answer = server.http.post(format!("{}/api/v1/accounts", server.base)).json(&body).send().await.unwrap();
        let (told, sentence) = (answer.status().as_u16(), answer.text().await.unwrap());
        assert!(told == status && sentence.contains(word), "{body}: {told} {sentence}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_changes_their_own_password_who_knows_it() {
    let server = TestServer::start_guarded().await;
    make_account(&server, "ann", "viewer").await;
    let ann = session(&server, "ann").await;
    let change = async |current: &str, new: &str| {
        let body = json!({ "current": current, "new": new });
        ann.put(format!("{}/api/v1/me/password", server.base)).json(&body).send().await.unwrap().status().as_u16()
    };
    assert_eq!(change("wrong wrong wrong", "a new password").await, 400);
    assert_eq!(change(PASSWORD, "short").await, 400);
    assert_eq!(change(PASSWORD, "a new password").await, 200);
    assert_eq!(status(&ann, &server, "/api/v1/me").await, 401, "it has to log in anew");
    assert!(server.log_in("ann", PASSWORD).await.is_none());
    assert!(server.log_in("ann", "a new password").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_action_stands_in_the_audit_log() {
    let server = TestServer::start_guarded().await;
    let id = make_account(&server, "ann", "operator").await;
    let ann = session(&server, "ann").await;
    let tasks = format!("{}/api/v1/tasks/cleanup_old_task_logs", server.base);
    assert!(ann.post(&tasks).send().await.unwrap().status().is_success());
    let forbidden = ann.delete(format!("{}/api/v1/accounts/{id}", server.base)).send().await.unwrap();
    assert_eq!(forbidden.status(), StatusCode::FORBIDDEN);
    let call = ann.post(format!("{}/api/fn/trigger", server.base)).json(&json!({ "name": "unknown", "params": {} }));
    assert_eq!(call.send().await.unwrap().status(), StatusCode::NOT_FOUND);
    let looked = ann.post(format!("{}/api/fn/metrics", server.base)).json(&json!({ "time_window": 24 })).send().await.unwrap();
    assert_eq!(looked.status(), StatusCode::OK);
    for call in ["accounts", "tokens"] {
        let admin = server.http.post(format!("{}/api/fn/{call}", server.base)).json(&json!({}));
        assert_eq!(admin.send().await.unwrap().status(), StatusCode::OK, "{call}");
    }
    let log: Value = ask(&server.http, &server, "/api/v1/audit?actor=ann").await.json().await.unwrap();
    let lines: Vec<_> = log["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["action"].as_str().unwrap(), entry["status"].as_i64().unwrap()))
        .collect();
    let wanted = [
        ("POST /api/fn/trigger", 404),
        ("DELETE /api/v1/accounts/{id}", 403),
        ("POST /api/v1/tasks/{name}", 202),
        ("POST /login", 303),
    ];
    assert_eq!(lines, wanted);
    let newest = &log["items"][2];
    assert_eq!(
        (&newest["via"], &newest["address"], &newest["target"]),
        (&json!("session"), &json!("127.0.0.1"), &json!("/api/v1/tasks/cleanup_old_task_logs"))
    );
    let all: Value = ask(&server.http, &server, "/api/v1/audit?page_size=50").await.json().await.unwrap();
    assert!(!all.to_string().contains("/api/fn/tokens"), "looking is no action: {all}");
    assert!(all.to_string().contains("ann as operator") && !all.to_string().contains(PASSWORD), "{all}");
    assert_eq!(status(&server.http, &server, "/api/v1/audit?page_size=51").await, 400);
}
