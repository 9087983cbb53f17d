//! Running the product's own tasks by the API.

use serde_json::{Value, json};

use crate::support::TestServer;

async fn trigger(server: &TestServer, name: &str, body: &str) -> (u16, Value) {
    let answer = server.post(&format!("/api/v1/tasks/{name}"), "application/json", body).await;
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_triggered_task_waits_in_its_queue_and_shows() {
    let server = TestServer::start().await;
    let (status, answer) = trigger(&server, "score_message_task", r#"{"params": {"message_id": 7}}"#).await;
    assert_eq!((status, &answer["task_name"]), (202, &json!("score_message_task")), "{answer}");
    let row = server.executions(1).await.remove(0);
    assert_eq!(
        (&row["task_id"], &row["status"], &row["params"]),
        (&answer["task_id"], &json!("pending"), &json!({"message_id": 7}))
    );
    assert_eq!(row["queue"], answer["queue"]);
    assert_eq!(server.count("select count(*) from apalis.jobs").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_and_nothing_is_queued() {
    let server = TestServer::start().await;
    let cases = [
        ("no_such_task", "{}", 404, "score_message_task"),
        ("execute_analysis_run", "{}", 400, "run_id"),
        ("score_message_task", "{}", 400, "message_id"),
        ("score_message_task", r#"{"params": {"message_id": "x"}}"#, 400, "message_id"),
        ("score_message_task", r#"{"params": {"message_id": 7, "colour": "red"}}"#, 400, "colour"),
        ("score_message_task", r#"{"params": [7]}"#, 400, "params"),
        ("score_message_task", r#"{"parameters": {}}"#, 400, "parameters"),
        ("score_message_task", "[", 400, "JSON"),
    ];
    for (name, body, status, word) in cases {
        let (found, answer) = trigger(&server, name, body).await;
        let sentence = answer["error"].as_str().unwrap();
        assert!(found == status && sentence.contains(word), "{name} {body}: {found} {sentence}");
    }
    let answer = server.post("/api/v1/tasks/score_message_task", "text/plain", "{}").await;
    assert_eq!(answer.status(), 415);
    assert_eq!(server.history("").await["total_count"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_fifteen_task_types_are_listed_with_what_they_take() {
    let server = TestServer::start().await;
    let types = server.json("/api/v1/tasks").await;
    let names: Vec<&str> = types.as_array().unwrap().iter().map(|task| task["name"].as_str().unwrap()).collect();
    assert_eq!(names, taskscope_wire::REGISTERED_TASK_TYPES);
    let score = types.as_array().unwrap().iter().find(|task| task["name"] == "score_message_task").unwrap();
    assert_eq!(score["params_schema"]["required"], json!(["message_id"]));
    let cleanup = types.as_array().unwrap().iter().find(|task| task["name"] == "cleanup_old_task_logs").unwrap();
    assert_eq!(cleanup["schedule"], "0 3 * * *");
    let page = server.get("/monitoring/tasks?run=score_message_task").await.text().await.unwrap();
    assert!(page.contains("data-task-name=\"cleanup_old_task_logs\"") && page.contains("param-message_id"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_telegram_webhook_is_open_to_the_secret_only() {
    let update = json!({"update_id": 1, "message": {"message_id": 5, "date": 1_795_257_000, "text": "The build is red",
                        "chat": {"id": -100, "type": "group", "title": "Team"}, "from": {"id": 1, "is_bot": false, "first_name": "Ada"}}});
    let server = TestServer::start_with(|settings| settings.telegram_webhook_secret = Some("s3cret".to_owned())).await;
    let post = async |secret: &str| {
        let request = server.http.post(format!("{}/api/v1/telegram/webhook", server.base));
        request.header("x-telegram-bot-api-secret-token", secret).json(&update).send().await.unwrap().status().as_u16()
    };
    assert_eq!((post("wrong").await, post("s3cret").await, post("s3cret").await), (401, 200, 200));
    let rows = server.executions(1).await;
    assert_eq!((&rows[0]["task_name"], &rows[0]["status"]), (&json!("save_telegram_message"), &json!("pending")));
    let closed = TestServer::start().await;
    let answer = closed.post("/api/v1/telegram/webhook", "application/json", update.to_string()).await;
    assert_eq!(answer.status(), 401);
}
