//! Workers that are killed for good: each is a process of its own, this program once more.

use std::time::Duration;

use rand::RngExt;
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;
use taskscope_client::Reporter;
use taskscope_wire::{AnalysisEventKind, NativeEvent, NativeKind, RunStatus};
use taskscope_workload::{Worker, WorkloadConfig};
use tokio::process::{Child, Command};

use super::{add_messages, assert_whole, bugs, kinds, load, start};
use crate::support::{Cluster, Setting, until};

const KILLS: i64 = 10;
const BATCHES: i64 = 50;
const MESSAGES_A_BATCH: usize = 20;

#[tokio::test]
async fn a_run_survives_ten_kills() {
    let url = Cluster::shared().await.new_database().await;
    let setting = Setting::on(&url).await;
    add_messages(&setting, &bugs(usize::try_from(BATCHES).unwrap() * MESSAGES_A_BATCH)).await;
    let run = start(&setting).await;
    for kill in 0..KILLS {
        let mut worker = process(&url, &setting.events.url);
        let batches = kill * 4 + rand::rng().random_range(1..4);
        until("the worker is at a batch", async || load(&setting, run.id).await.batches_done >= batches).await;
        // Anywhere in the batch.
        tokio::time::sleep(Duration::from_micros(rand::rng().random_range(0..60_000))).await;
        worker.kill().await.unwrap();
        assert_eq!(load(&setting, run.id).await.status, RunStatus::Running, "killed in the middle");
    }
    let mut worker = process(&url, &setting.events.url);
    let ended = |events: &[NativeEvent]| events.iter().any(|event| event.kind == NativeKind::TaskCompleted);
    setting.events.until("the task is over", ended).await;
    worker.kill().await.unwrap();
    let run = load(&setting, run.id).await;
    assert_eq!(run.batches_created, BATCHES);
    assert_whole(&setting, &run, BATCHES * i64::try_from(MESSAGES_A_BATCH).unwrap()).await;
    let told = kinds(&setting, run.id).await;
    let count = |kind| i64::try_from(told.iter().filter(|told| **told == kind).count()).unwrap();
    let once = [AnalysisEventKind::RunStarted, AnalysisEventKind::RunCompleted].map(count);
    assert_eq!((once, count(AnalysisEventKind::ProposalsCreated)), ([1, 1], BATCHES));
    assert_eq!(told.last(), Some(&AnalysisEventKind::RunCompleted));
    // A batch that was begun again was told again.
    assert!(count(AnalysisEventKind::ProgressUpdated) >= BATCHES);
}

/// A worker as a process, which ends at the latest with the test.
fn process(database: &str, server: &str) -> Child {
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args(["--exact", "--ignored", "analysis::kill::be_a_worker", "--nocapture"]);
    program.env("TASKSCOPE_TEST_DATABASE", database).env("TASKSCOPE_TEST_SERVER", server);
    program.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    program.kill_on_drop(true).spawn().unwrap()
}

#[tokio::test]
#[ignore = "run by the test above, as a process of its own"]
async fn be_a_worker() {
    let from_environment = |name: &str| std::env::var(name).unwrap();
    let pool = PgPoolOptions::new().max_connections(16).connect(&from_environment("TASKSCOPE_TEST_DATABASE")).await.unwrap();
    let reporter = Reporter::builder(from_environment("TASKSCOPE_TEST_SERVER")).start().unwrap();
    let worker = Worker::new(pool, Some(reporter), config()).unwrap();
    worker.run_until(std::future::pending()).await;
}

fn config() -> WorkloadConfig {
    let scheduled = taskscope_workload::task_types(&WorkloadConfig::default()).into_iter().filter(|task| task.schedule.is_some());
    let schedules: serde_json::Map<_, _> = scheduled.map(|task| (task.name, Value::from("off"))).collect();
    let analysis = json!({"batch_messages": MESSAGES_A_BATCH});
    serde_json::from_value(json!({"demo": false, "schedules": schedules, "analysis": analysis})).unwrap()
}
