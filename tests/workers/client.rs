//! Our own Rust client against a real server: many tasks at once, and a server that goes away.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use taskscope_client::{ReportLayer, Reporter, Work};
use tempfile::TempDir;
use tokio::sync::{Barrier, Semaphore};
use tower::{Layer, ServiceExt};

use crate::support::{Program, TestServer, client, until};

const MANY: usize = 10_000;

/// All run at the same moment, and the dashboard answers meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_concurrent_executions_are_all_reported_and_all_right() {
    let server = TestServer::start().await;
    let reporter = Reporter::builder(&server.base).queues(["many"]).start().unwrap();
    let layer =
        ReportLayer::new(reporter.clone(), |number: &usize| Some(Work::new(format!("many-{number}"), "many").queue("many")));
    let (all_run, go_on) = (Arc::new(Barrier::new(MANY + 1)), Arc::new(Semaphore::new(0)));
    let tasks: Vec<_> = (0..MANY)
        .map(|number| {
            let (all_run, go_on) = (Arc::clone(&all_run), Arc::clone(&go_on));
            let service = layer.layer(tower::service_fn(move |number: usize| {
                let (all_run, go_on) = (Arc::clone(&all_run), Arc::clone(&go_on));
                async move {
                    all_run.wait().await;
                    go_on.acquire().await.unwrap().forget();
                    if number.is_multiple_of(10) { Err(std::io::Error::other(format!("number {number}"))) } else { Ok(()) }
                }
            }));
            tokio::spawn(async move { drop(service.oneshot(number).await) })
        })
        .collect();
    all_run.wait().await;
    server.until("all run", async || server.metrics_of("many").await["running"] == MANY).await;
    let workers = server.json("/api/v1/monitoring/workers").await;
    assert_eq!((&workers["workers"][0]["running_count"], &workers["queues"][0]["running"]), (&json!(MANY), &json!(MANY)));
    let page = server.get("/monitoring").await.text().await.unwrap();
    assert!(page.contains(r#"data-task-name="many""#));
    go_on.add_permits(MANY);
    for task in tasks {
        task.await.unwrap();
    }
    assert!(reporter.flush(Duration::from_secs(20)).await);
    server.until("all ended", async || server.metrics_of("many").await["running"] == 0).await;
    let metrics = server.metrics_of("many").await;
    assert_eq!((&metrics["success"], &metrics["failed"]), (&json!(MANY / 10 * 9), &json!(MANY / 10)));
    assert_eq!(server.count("select count(*) from task_active").await, 0);
    assert_eq!(server.count("select count(distinct task_id) from task_execution_logs").await, MANY as i64);
    reporter.shutdown(Duration::from_secs(5)).await;
}

async fn get(base: &str, path: &str) -> Value {
    client().get(format!("{base}{path}")).send().await.unwrap().json().await.unwrap()
}

fn run_tasks(reporter: &Reporter, name: &str, count: usize) {
    for number in 0..count {
        reporter.start(Work::new(format!("{name}-{number}"), name)).succeed(None);
    }
}

/// What fits the buffer is there afterwards; what doesn't is counted, and shown with the worker that had to drop it.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_away_gets_what_fits_the_buffer_and_hears_of_the_rest() {
    let directory = TempDir::new().unwrap();
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut program = Program::start(directory.path()).await;
    let beat = Some(Duration::from_millis(200));
    let roomy = Reporter::builder(&program.base).worker_name("roomy").heartbeat(beat).start().unwrap();
    let narrow = Reporter::builder(&program.base).worker_name("narrow").heartbeat(beat).buffer_events(100).start().unwrap();
    run_tasks(&roomy, "before", 10);
    assert!(roomy.flush(Duration::from_secs(20)).await);
    let down = program.kill();
    run_tasks(&roomy, "away", 5_000);
    run_tasks(&narrow, "lost", 500);
    assert_eq!((roomy.stats().dropped, narrow.stats().dropped), (0, 900));
    program.restart(down).await;
    let base = program.base.clone();
    until("all that was buffered is there", async || {
        get(&base, "/api/v1/monitoring/history?status=success").await["total_count"] == 10 + 5_000 + 50
    })
    .await;
    until("the drops are shown", async || {
        let workers = get(&base, "/api/v1/monitoring/workers").await;
        let dropped = |name: &str| {
            let worker = workers["workers"].as_array().unwrap().iter().find(|worker| worker["worker"] == name).cloned();
            worker.map(|worker| worker["dropped"].clone())
        };
        dropped("narrow") == Some(json!(900)) && dropped("roomy") == Some(json!(0))
    })
    .await;
}
