//! What the API of analysis runs and its resources answers.

use serde_json::{Value, json};

use crate::support::TestServer;

async fn call(server: &TestServer, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let request = server.http.request(method.parse().unwrap(), format!("{}/api/v1/{path}", server.base));
    let request = if let Some(body) = body { request.json(&body) } else { request };
    let answer = request.send().await.unwrap();
    let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
    (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
}

async fn created(server: &TestServer, path: &str, body: Value) -> Value {
    let (status, answer) = call(server, "POST", path, Some(body)).await;
    assert_eq!(status, 201, "{path}: {answer}");
    answer
}

/// That the call is refused with this status, by a sentence that has this word.
async fn refused(server: &TestServer, method: &str, path: &str, body: Option<Value>, status: u16, word: &str) {
    let (found, answer) = call(server, method, path, body.clone()).await;
    let sentence = answer["error"].as_str().unwrap_or_default();
    assert!(found == status && sentence.contains(word), "{method} {path} {body:?}: {found} {answer}");
}

fn window() -> Value {
    json!({"time_window_start": "2025-10-09T00:00:00Z", "time_window_end": "2025-10-10T00:00:00Z"})
}

fn run_with(assignment: &Value, more: Value) -> Value {
    let mut run = window();
    run["agent_assignment_id"] = assignment.clone();
    for (field, value) in more.as_object().unwrap() {
        run[field] = value.clone();
    }
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_kept_once_and_found() {
    let server = TestServer::start().await;
    let message = |id: &str, hour: u32| json!({"author": "Ada", "content": format!("Message {id}"), "sent_at": format!("2025-10-09T{hour:02}:00:00Z"), "external_id": id});
    let one = created(&server, "messages", message("a", 1)).await;
    assert_eq!(one["created"], true);
    let two = created(&server, "messages", json!([message("a", 1), message("b", 2)])).await;
    assert_eq!((&two[0]["created"], &two[1]["created"], &two[0]["id"]), (&json!(false), &json!(true), &one["id"]));
    let (_, page) = call(&server, "GET", "messages?start_date=2025-10-09T02:00:00Z&q=message", None).await;
    assert_eq!((&page["total_count"], &page["items"][0]["external_id"]), (&json!(1), &json!("b")));

    refused(&server, "POST", "messages", Some(json!([message("c", 3), {"author": "Ada"}])), 400, "messages[1]: missing field")
        .await;
    refused(
        &server,
        "POST",
        "messages",
        Some(json!([{"author": "", "content": "x", "sent_at": "2025-10-09T01:00:00Z"}])),
        400,
        "author",
    )
    .await;
    refused(&server, "POST", "messages", Some(json!(7)), 400, "array of messages").await;
    for query in ["page=0", "page_size=51", "start_date=yesterday", "colour=red"] {
        let name = query.split('=').next().unwrap();
        refused(&server, "GET", &format!("messages?{query}"), None, 400, name).await;
    }
    assert_eq!(server.count("select count(*) from messages").await, 2, "what is refused keeps nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_are_made_changed_and_kept_while_something_refers_to_them() {
    let server = TestServer::start().await;
    let provider = created(&server, "providers", json!({"name": "Rules", "type": "keyword"})).await;
    let provider_path = format!("providers/{}", provider["id"].as_str().unwrap());
    let agent =
        json!({"name": "A", "provider_id": provider["id"], "model_name": "keyword-rules", "system_prompt": "Find tasks."});
    let agent = created(&server, "agents", agent).await;
    let agent_path = format!("agents/{}", agent["id"].as_str().unwrap());
    let schema = json!({"type": "object", "properties": {"proposals": {"type": "array"}}});
    let config = created(&server, "task-configs", json!({"name": "C", "description": "d", "response_schema": schema})).await;
    let assignment = created(&server, &format!("{agent_path}/tasks"), json!({"task_id": config["id"], "is_active": true})).await;
    let project = created(&server, "projects", json!({"name": "P", "description": "", "keywords": ["import"]})).await;

    let (status, changed) = call(&server, "PUT", &agent_path, Some(json!({"temperature": 0.9}))).await;
    assert_eq!((status, &changed["temperature"], &changed["name"]), (200, &json!(0.9), &json!("A")));
    let (_, shown) = call(&server, "GET", &agent_path, None).await;
    assert_eq!(shown, changed);
    let (_, assignments) = call(&server, "GET", "assignments?active_only=true", None).await;
    assert!(assignments.as_array().unwrap().iter().any(|one| one["id"] == assignment["id"]));

    refused(&server, "DELETE", &provider_path, None, 409, "agent").await;
    refused(&server, "DELETE", &agent_path, None, 409, "assignment").await;
    refused(&server, "POST", "agents", Some(json!({"name": "A"})), 400, "provider_id").await;
    let twice = json!({"name": "A", "provider_id": provider["id"], "model_name": "m", "system_prompt": "p"});
    refused(&server, "POST", "agents", Some(twice), 409, "name").await;
    let nobody = json!({"name": "B", "provider_id": project["id"], "model_name": "m", "system_prompt": "p"});
    refused(&server, "POST", "agents", Some(nobody), 400, "provider_id").await;
    refused(&server, "PUT", &agent_path, Some(json!({"temperature": 3})), 400, "temperature").await;
    refused(&server, "PUT", &agent_path, Some(json!({"colour": "red"})), 400, "colour").await;
    refused(&server, "GET", "agents/seven", None, 400, "UUID").await;
    refused(&server, "GET", "agents/00000000-0000-0000-0000-0000000000ff", None, 404, "agent").await;

    let paths = [
        format!("assignments/{}", assignment["id"].as_str().unwrap()),
        agent_path,
        provider_path,
        format!("task-configs/{}", config["id"].as_str().unwrap()),
        format!("projects/{}", project["id"].as_str().unwrap()),
    ];
    for path in paths {
        assert_eq!(call(&server, "DELETE", &path, None).await, (204, Value::Null), "{path}");
        assert_eq!(call(&server, "DELETE", &path, None).await.0, 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_providers_key_is_never_shown() {
    let server = TestServer::start().await;
    let provider = json!({"name": "Remote", "type": "openai", "base_url": "http://127.0.0.1:1/v1", "api_key": "sk-s3cret"});
    let provider = created(&server, "providers", provider).await;
    assert_eq!(provider["has_api_key"], true);
    let path = format!("providers/{}", provider["id"].as_str().unwrap());
    for path in ["providers", &path] {
        let (_, shown) = call(&server, "GET", path, None).await;
        assert!(!shown.to_string().contains("s3cret"), "{shown}");
    }
    let stored =
        "select count(*) from providers where api_key_sealed is not null and position('s3cret'::bytea in api_key_sealed) = 0";
    assert_eq!(server.count(stored).await, 1);
    refused(&server, "PUT", &path, Some(json!({"base_url": "http://127.0.0.1:2/v1"})), 400, "api_key").await;
    refused(&server, "PUT", &path, Some(json!({"api_key": "env:HOME"})), 400, "TASKSCOPE_LLM_KEY").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_can_not_be_are_refused_with_a_reason() {
    let server = TestServer::start().await;
    let (_, assignments) = call(&server, "GET", "assignments", None).await;
    let assignment = &assignments[0]["id"];
    for (more, word) in [
        (json!({"time_window_end": "2025-10-08T00:00:00Z"}), "time_window_end"),
        (json!({"time_window_end": "soon"}), "time_window_end"),
        (json!({"trigger_type": "magic"}), "trigger_type"),
        (json!({"agent_assignment_id": "x"}), "agent_assignment_id"),
        (json!({"project_config_id": "00000000-0000-0000-0000-0000000000ff"}), "project_config_id"),
        (json!({"colour": "red"}), "colour"),
    ] {
        refused(&server, "POST", "analysis/runs", Some(run_with(assignment, more)), 400, word).await;
    }
    assert_eq!(server.count("select count(*) from analysis_runs").await, 0);

    let run = created(&server, "analysis/runs", run_with(assignment, json!({}))).await;
    let path = format!("analysis/runs/{}", run["id"].as_str().unwrap());
    refused(&server, "POST", &format!("{path}/close"), None, 409, "pending").await;
    assert_eq!(call(&server, "POST", &format!("{path}/start"), None).await.0, 200);
    refused(&server, "POST", &format!("{path}/start"), None, 409, "started").await;
    let (status, cancelled) = call(&server, "POST", &format!("{path}/cancel"), None).await;
    assert_eq!((status, &cancelled["status"]), (200, &json!("cancelled")));
    refused(&server, "POST", &format!("{path}/cancel"), None, 409, "cancelled").await;
    let nowhere = "00000000-0000-0000-0000-0000000000ff";
    for (method, path) in [
        ("GET", format!("analysis/runs/{nowhere}")),
        ("GET", format!("analysis/runs/{nowhere}/log")),
        ("POST", format!("analysis/runs/{nowhere}/start")),
        ("POST", format!("analysis/runs/{nowhere}/cancel")),
        ("POST", format!("analysis/runs/{nowhere}/close")),
        ("GET", format!("proposals/{nowhere}")),
        ("PUT", format!("proposals/{nowhere}/approve")),
        ("PUT", format!("proposals/{nowhere}/praise")),
        ("GET", format!("topics/{nowhere}")),
        ("GET", format!("atoms/{nowhere}")),
        ("PUT", format!("atoms/{nowhere}/approve")),
    ] {
        refused(&server, method, &path, None, 404, "there is no").await;
    }
    refused(&server, "GET", "proposals?confidence_min=2", None, 400, "confidence_min").await;
    refused(&server, "GET", "analysis/runs?status=lost", None, 400, "status").await;
}

/// The executor notes events in its own transactions; every watcher gets them in the one stream, also one that was away.
#[tokio::test(flavor = "multi_thread")]
async fn events_of_runs_are_part_of_the_stream() {
    let server = TestServer::start().await;
    let mut watcher = server.watch("").await;
    let (_, assignments) = call(&server, "GET", "assignments", None).await;
    let run = created(&server, "analysis/runs", run_with(&assignments[0]["id"], json!({}))).await;
    let path = format!("analysis/runs/{}/cancel", run["id"].as_str().unwrap());
    assert_eq!(call(&server, "POST", &path, None).await.0, 200);
    let event = watcher.next_event().await;
    assert_eq!(
        (&event["event"], &event["data"]["id"], &event["data"]["status"]),
        (&json!("run_updated"), &run["id"], &json!("cancelled"))
    );
    let seq = event["seq"].as_i64().unwrap();
    let mut late = server.watch(&watcher.place(seq - 1)).await;
    assert_eq!(late.next_event().await, event);
    assert_eq!(server.count("select count(*) from analysis_events").await, 0);
}
