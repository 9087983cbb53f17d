//! The product's own worker, as a process that can be killed.

use std::{
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Json, Router, extract::State, routing::any};
use serde_json::{Value, json};

use crate::support::TestServer;

/// A process of `taskscope worker`.
struct Worker(Child);

impl Worker {
    fn start(server: &TestServer, bot_api: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_taskscope"));
        command.args(["worker", "--url", &server.base]).current_dir(env!("CARGO_MANIFEST_DIR"));
        command.env("DATABASE_URL", &server.database_url).env("TASKSCOPE_TELEGRAM_TOKEN", "123:abc");
        command.env("TASKSCOPE_TELEGRAM_URL", bot_api).stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }

    /// Ends it without giving it a chance.
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A Bot API that never answers the first time, and has nothing new afterwards.
async fn bot_api() -> (String, Arc<AtomicUsize>) {
    async fn answer(State(asked): State<Arc<AtomicUsize>>) -> Json<Value> {
        if asked.fetch_add(1, Ordering::SeqCst) == 0 {
            std::future::pending::<()>().await;
        }
        Json(json!({"ok": true, "result": []}))
    }
    let asked = Arc::new(AtomicUsize::new(0));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(any(answer)).with_state(Arc::clone(&asked));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (base, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_worker_ran_stalls_and_is_run_again_as_the_next_attempt() {
    let server = TestServer::start().await;
    let (api, asked) = bot_api().await;
    let first = Worker::start(&server, &api);
    let trigger = json!({"params": {"source": "bot_api"}}).to_string();
    let answer = server.post("/api/v1/tasks/ingest_telegram_messages_task", "application/json", trigger).await;
    assert_eq!(answer.status(), 202, "{}", answer.text().await.unwrap());
    let of = "task_name=ingest_telegram_messages_task";
    server.until("it waits for Telegram", async || asked.load(Ordering::SeqCst) == 1).await;
    server.until("it runs", async || server.history(&format!("{of}&status=running")).await["total_count"] == 1).await;
    first.kill();
    server.until("it stalls", async || server.history("stalled=true").await["items"][0]["stalled"] == "worker_gone").await;

    let _second = Worker::start(&server, &api);
    server
        .until("the second attempt succeeds", async || server.history(&format!("{of}&status=success")).await["total_count"] == 1)
        .await;
    let rows = server.history(of).await;
    let [second, first] = &rows["items"].as_array().unwrap()[..] else { panic!("{rows}") };
    assert_eq!((&first["attempt"], &second["attempt"]), (&json!(1), &json!(2)));
    server
        .until("the first attempt is over", async || server.history(&format!("{of}&status=failed")).await["total_count"] == 1)
        .await;
    let lost = &server.history(&format!("{of}&status=failed")).await["items"][0];
    assert_eq!((&lost["error_type"], &lost["stalled"]), (&json!("taskscope.WorkerGone"), &Value::Null));
    assert_eq!(first["task_id"], second["task_id"]);
    assert_ne!(first["worker"], second["worker"]);
}
