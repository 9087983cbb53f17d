//! The manual steps and the error tests of the analysis run guide, against what `make run` starts.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Program, Watcher, until};

/// Messages in the guide's window: of its 150, 45 pass the pre-filter and make three batches.
const MESSAGES: usize = 150;
const RELEVANT: usize = 45;

struct Guide {
    program: Program,
    _directory: TempDir,
}

impl Guide {
    /// The prerequisites: a worker, an assignment, and messages in the window.
    async fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let guide = Self { program: Program::start_working(directory.path()).await, _directory: directory };
        let messages: Vec<Value> = (0..MESSAGES).map(message).collect();
        let (status, answer) = guide.program.call("POST", "/api/v1/messages", Some(json!(messages))).await;
        assert_eq!((status, answer.as_array().unwrap().len()), (201, MESSAGES), "{answer}");
        guide
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.program.call("GET", path, None).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// Step 1 with this assignment.
    async fn create(&self, assignment: &Value) -> Value {
        let body = json!({
            "time_window_start": "2025-10-09T00:00:00Z",
            "time_window_end": "2025-10-10T23:59:59Z",
            "agent_assignment_id": assignment,
            "trigger_type": "manual"
        });
        let (status, run) = self.program.call("POST", "/api/v1/analysis/runs", Some(body)).await;
        assert_eq!(status, 201, "{run}");
        run
    }

    async fn start_run(&self, id: &Value) -> (u16, Value) {
        self.program.call("POST", &format!("/api/v1/analysis/runs/{}/start", id.as_str().unwrap()), None).await
    }

    async fn run(&self, id: &Value) -> Value {
        self.get(&format!("/api/v1/analysis/runs/{}", id.as_str().unwrap())).await
    }

    async fn until_status(&self, id: &Value, status: &str) -> Value {
        until(&format!("the run is {status}"), async || self.run(id).await["status"] == status).await;
        self.run(id).await
    }
}

fn message(number: usize) -> Value {
    let content = if number.is_multiple_of(MESSAGES / RELEVANT) && number / (MESSAGES / RELEVANT) < RELEVANT {
        format!("bug: the export of report {number} fails with a timeout, urgent, see HRB-{number}")
    } else {
        "ok".to_owned()
    };
    json!({
        "author": "Olena", "content": content, "channel": "guide", "external_id": format!("guide-{number}"),
        "sent_at": format!("2025-10-09T{:02}:{:02}:00Z", number / 60, number % 60),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manual_steps_pass() {
    let guide = Guide::start().await;
    let mut watcher = Watcher::connect(&guide.program.base, "").await;
    let assignments = guide.get("/api/v1/assignments?active_only=true").await;

    // Step 1: create.
    let run = guide.create(&assignments[0]["id"]).await;
    let id = run["id"].clone();
    assert_eq!(run["status"], "pending");
    assert_eq!(run["time_window_start"], "2025-10-09T00:00:00Z");
    assert_eq!(run["time_window_end"], "2025-10-10T23:59:59Z");

    // Step 2: start.
    let (status, answer) = guide.start_run(&id).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer, json!({"status": "started", "run_id": id, "message": "Analysis run job triggered successfully"}));
    let (status, _) = guide.start_run(&id).await;
    assert_eq!(status, 409);

    // Step 3: the worker's log, and the database.
    let run = guide.until_status(&id, "completed").await;
    let name = id.as_str().unwrap();
    check_log(&guide.program.log(), name);
    check_row(&guide, name).await;

    // Step 4: the events, in order.
    check_events(&mut watcher, &id, run["proposals_total"].as_i64().unwrap()).await;

    // Step 5: the proposals.
    let proposals = guide.get(&format!("/api/v1/proposals?run_id={name}")).await;
    assert_eq!(proposals["total_count"], run["proposals_total"]);
    for proposal in proposals["items"].as_array().unwrap() {
        let texts = ["proposed_title", "proposed_description", "proposed_priority", "llm_recommendation"];
        assert!(texts.iter().all(|field| !proposal[*field].as_str().unwrap().is_empty()), "{proposal}");
        assert!((0.0..=1.0).contains(&proposal["confidence"].as_f64().unwrap()), "{proposal}");
        assert!(!proposal["source_message_ids"].as_array().unwrap().is_empty(), "{proposal}");
    }
}

/// The lines of the guide, in its order.
fn check_log(log: &str, id: &str) {
    let wanted = [
        format!("Starting analysis run execution: {id}"),
        format!("Run {id}: Starting run"),
        format!("Run {id}: Fetching messages"),
        format!("Run {id}: Found {MESSAGES} messages in window"),
        format!("Run {id}: Pre-filtering messages"),
        format!("Run {id}: {RELEVANT} messages after pre-filter"),
        format!("Run {id}: Creating batches"),
        format!("Run {id}: Created 3 batches"),
        format!("Run {id}: Processing batch 1/3 (15 messages)"),
        format!("Run {id}: Generated "),
        format!("Run {id}: Saved "),
        format!("Run {id}: Batch 1 completed, created "),
        format!("Run {id}: Processing batch 2/3 (15 messages)"),
        format!("Run {id}: Batch 3 completed, created "),
        format!("Run {id}: Successfully completed"),
    ];
    let mut lines = log.lines();
    for line in wanted {
        assert!(lines.any(|logged| logged.contains(&line)), "{line:?} is not in its place in\n{log}");
    }
}

/// The query of the guide.
async fn check_row(guide: &Guide, id: &str) {
    let row: (String, bool, bool, i64, i64, i64) = sqlx::query_as(
        "SELECT status, started_at IS NOT NULL, completed_at IS NOT NULL, proposals_total, proposals_pending, batches_created
         FROM analysis_runs WHERE id = $1::uuid",
    )
    .bind(id)
    .fetch_one(&guide.program.pool().await)
    .await
    .unwrap();
    let (status, started, completed, total, pending, batches) = row;
    assert_eq!((status.as_str(), started, completed, batches), ("completed", true, true, 3));
    assert!(total > 0);
    assert_eq!(pending, total);
}

async fn check_events(watcher: &mut Watcher, id: &Value, proposals: i64) {
    let mut events = Vec::new();
    while events.last().is_none_or(|event: &Value| event["event"] != "run_completed") {
        let event = watcher.next_event().await;
        if event["data"]["run_id"] == *id || event["data"]["id"] == *id {
            events.push(event);
        }
    }
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    let batch = ["progress_updated", "proposals_created"];
    let wanted: Vec<&str> = [&["run_started"][..], &batch, &batch, &batch, &["run_completed"]].concat();
    assert_eq!(names, wanted);
    assert_eq!(events[0]["data"]["status"], "running");
    let progress = events.iter().filter(|event| event["event"] == "progress_updated");
    let batches: Vec<i64> = progress.map(|event| event["data"]["current_batch"].as_i64().unwrap()).collect();
    assert_eq!(batches, [1, 2, 3]);
    let created = events.iter().filter(|event| event["event"] == "proposals_created");
    assert_eq!(created.map(|event| event["data"]["proposals_count"].as_i64().unwrap()).sum::<i64>(), proposals);
    assert_eq!(events.last().unwrap()["data"]["status"], "completed");
    assert!(events.windows(2).all(|pair| pair[0]["seq"].as_i64() < pair[1]["seq"].as_i64()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_error_tests_pass() {
    let guide = Guide::start().await;

    // Test 1: an invalid run id.
    let (status, answer) = guide.start_run(&json!("00000000-0000-0000-0000-000000000000")).await;
    assert_eq!(status, 404, "{answer}");

    // Test 2: an assignment that is missing.
    let run = guide.create(&json!("00000000-0000-0000-0000-0000000000ff")).await;
    let (status, answer) = guide.start_run(&run["id"]).await;
    assert_eq!(status, 400, "{answer}");
    let run = guide.run(&run["id"]).await;
    assert_eq!(run["status"], "failed");
    assert_eq!(run["error_log"]["error"], answer["error"]);

    // Test 3: an agent whose provider is set up wrong.
    let provider = json!({"name": "Nobody", "type": "openai", "base_url": "http://127.0.0.1:1/v1"});
    let (status, provider) = guide.program.call("POST", "/api/v1/providers", Some(provider)).await;
    assert_eq!((status, &provider["validation_status"]), (201, &json!("error")), "{provider}");
    let agent =
        json!({"name": "Agent", "provider_id": provider["id"], "model_name": "gpt-nothing", "system_prompt": "Find tasks."});
    let (status, agent) = guide.program.call("POST", "/api/v1/agents", Some(agent)).await;
    assert_eq!(status, 201, "{agent}");
    let configs = guide.get("/api/v1/task-configs").await;
    let path = format!("/api/v1/agents/{}/tasks", agent["id"].as_str().unwrap());
    let (status, assignment) = guide.program.call("POST", &path, Some(json!({"task_id": configs[0]["id"]}))).await;
    assert_eq!(status, 201, "{assignment}");
    let run = guide.create(&assignment["id"]).await;
    assert_eq!(guide.start_run(&run["id"]).await.0, 200);
    let run = guide.until_status(&run["id"], "failed").await;
    let error = &run["error_log"];
    assert!(error["error"].as_str().unwrap().contains("Nobody"), "{error}");
    assert_eq!((&error["step"], &error["batch"]), (&json!("process_batch"), &json!(1)));
}
