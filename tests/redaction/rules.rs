//! The rules: their API, what becomes of them on other servers and without a database.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::TestServer;

const AT: &str = "2026-11-20T10:00:00Z";

fn rules(keys: &[&str], patterns: &[&str], exceptions: &[&str]) -> Value {
    json!({"keys": keys, "patterns": patterns, "exceptions": exceptions})
}

async fn put(server: &TestServer, rules: &Value) -> (StatusCode, Value) {
    let answer = server.http.put(format!("{}/api/v1/redaction", server.base)).json(rules).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

async fn preview(server: &TestServer, rules: &Value) -> (StatusCode, Value) {
    let answer = server.post("/api/v1/redaction/preview", "application/json", rules.to_string()).await;
    (answer.status(), answer.json().await.unwrap())
}

/// Reports an execution with these params, and gives the ones that are stored.
async fn stored(server: &TestServer, id: &str, params: Value) -> Value {
    server.report(&json!([{"type": "task_started", "task_id": id, "task_name": "t", "timestamp": AT, "params": params}])).await;
    let find = async || server.history(&format!("q=id:{id}")).await["items"][0]["params"].clone();
    server.until("it is stored", async || !find().await.is_null()).await;
    find().await
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_shown_changed_and_hold_at_once() {
    let server = TestServer::start().await;
    let shown = server.json("/api/v1/redaction").await;
    assert_eq!((&shown["rules"], &shown["changed_at"]), (&rules(&[], &[], &[]), &Value::Null));
    let defaults = |kind: &str, name: &str| shown["defaults"][kind].as_array().unwrap().contains(&json!(name));
    assert!(defaults("keys", "password") && defaults("patterns", "JSON web token"), "{shown}");
    assert_eq!(
        stored(&server, "before", json!({"customerNumber": 1, "token": "t"})).await,
        json!({"customerNumber": 1, "token": "[redacted]"})
    );

    let own = rules(&["customer_number"], &[r"K-\d+"], &["token"]);
    let (status, changed) = put(&server, &own).await;
    assert_eq!((status, &changed["rules"]), (StatusCode::OK, &own));
    assert_eq!(server.json("/api/v1/redaction").await, changed);
    let params = json!({"customerNumber": 1, "token": "t", "say": "K-47 and"});
    assert_eq!(
        stored(&server, "after", params).await,
        json!({"customerNumber": "[redacted]", "token": "t", "say": "[redacted] and"})
    );
    let before = server.history("q=id:before").await["items"][0]["params"].clone();
    assert_eq!(before["customerNumber"], 1, "what was stored before stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_can_t_hold_are_refused_with_the_reason_and_change_nothing() {
    let server = TestServer::start().await;
    let cases = [
        (rules(&[], &["(open"], &[]), "patterns: \"(open\" is no regular expression: unclosed group"),
        (rules(&[], &["x*"], &[]), "matches an empty text"),
        (rules(&["_"], &[], &[]), "keys: \"_\" must have two letters"),
        (json!({"keys": [], "patterns": []}), "exceptions"),
        (json!({"keys": [], "patterns": [], "exceptions": [], "key": []}), "key"),
    ];
    for (wrong, reason) in cases {
        for (status, answer) in [put(&server, &wrong).await, preview(&server, &wrong).await] {
            let error = answer["error"].as_str().unwrap();
            assert!(status == StatusCode::BAD_REQUEST && error.contains(reason), "{error}");
        }
    }
    assert_eq!(server.json("/api/v1/redaction").await["rules"], rules(&[], &[], &[]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_shows_what_would_go_and_saves_nothing() {
    let server = TestServer::start().await;
    stored(&server, "one", json!({"orders": [{"customerNumber": "K-4711"}], "note": "for K-4711"})).await;
    stored(&server, "two", json!({"n": 1})).await;
    let (status, found) = preview(&server, &rules(&["customer_number"], &[r"K-\d+"], &[])).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!((&found["executions"], &found["affected"], &found["values"]), (&json!(2), &json!(1), &json!(2)), "{found}");
    let places: Vec<_> = found["found"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["place"].as_str().unwrap(), it["masked"].as_str().unwrap()))
        .collect();
    assert!(
        places.contains(&("params.orders[0].customerNumber", "K-••••••")) && places.contains(&("params.note", "K-••••••")),
        "{places:?}"
    );
    assert!(!found.to_string().contains("4711"));
    assert_eq!(server.json("/api/v1/redaction").await["rules"], rules(&[], &[], &[]));
    assert_eq!(server.history("q=id:one").await["items"][0]["params"]["note"], "for K-4711");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_servers_follow_and_a_restart_without_the_database_knows_the_rules() {
    let mut server = TestServer::start().await;
    let mut other = server.another().await;
    let (status, _) = put(&server, &rules(&["customer_number"], &[], &[])).await;
    assert_eq!(status, StatusCode::OK);
    let holds = |server: &TestServer| server.server().redaction.current().get().line("customer_number=1") != "customer_number=1";
    assert!(holds(&server), "at once on the server that was told");
    other.until("the other server follows", async || holds(&other)).await;
    // Whoever asks in vain keeps what it knew, also after a restart.
    server.sql("alter table redaction rename to gone").await;
    server.restart().await;
    other.restart().await;
    assert!(holds(&server) && holds(&other));
    assert_eq!(server.get("/api/v1/redaction").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    server.sql("alter table gone rename to redaction").await;
    server.sql("update redaction set keys = '{}', version = version + 1").await;
    server.until("what was set by SQL holds", async || !holds(&server) && !holds(&other)).await;
    server.sql("update redaction set patterns = '{(}', version = version + 1").await;
    server.sql("update redaction set keys = '{customer_number}', patterns = '{}', version = version + 1").await;
    server.until("a rule that can't hold stops nothing", async || holds(&server) && holds(&other)).await;
}
