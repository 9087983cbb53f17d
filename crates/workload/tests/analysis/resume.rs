use serde_json::json;
use taskscope_wire::{AnalysisEventKind, RunStatus};

use super::{add_messages, assert_whole, bugs, end_of, kinds, load, log, small_batches, start};
use crate::support::{Cluster, Setting, error, until};

#[tokio::test]
async fn a_run_goes_on_where_its_worker_died() {
    let setting = Setting::new().await;
    add_messages(&setting, &bugs(500)).await;
    let worker = setting.worker(small_batches());
    let run = start(&setting).await;
    until("some batches are done", async || load(&setting, run.id).await.batches_done > 3).await;
    worker.kill().await;
    let left = load(&setting, run.id).await;
    assert_eq!(left.status, RunStatus::Running);
    // What a run goes by is as it was when it began.
    let worker = setting.worker(json!({"analysis": {"batch_messages": 1, "keywords": ["nothing"]}}));
    let run = end_of(&setting, &run).await;
    assert_whole(&setting, &run, 500).await;
    assert_eq!((run.batches_created, run.started_at), (100, left.started_at));
    let lines = log(&setting, run.id).await;
    let count = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    assert_eq!((count("Starting analysis run execution"), count("Starting run"), count("Going on after")), (2, 1, 1));
    assert_eq!((count("Created 100 batches"), count(" completed, created 5 proposals")), (1, 100));
    let told = kinds(&setting, run.id).await;
    let count = |kind| told.iter().filter(|told| **told == kind).count();
    assert_eq!((count(AnalysisEventKind::RunStarted), count(AnalysisEventKind::ProposalsCreated)), (1, 100));
    worker.stop().await;
}

#[tokio::test]
async fn a_run_goes_on_after_its_worker_was_stopped() {
    let setting = Setting::new().await;
    add_messages(&setting, &bugs(1500)).await;
    let mut config = small_batches();
    config["stop_seconds"] = 0.into();
    let worker = setting.worker(config.clone());
    let run = start(&setting).await;
    until("some batches are done", async || load(&setting, run.id).await.batches_done > 3).await;
    worker.stop().await;
    assert_eq!(load(&setting, run.id).await.status, RunStatus::Running);
    let worker = setting.worker(config);
    assert_whole(&setting, &end_of(&setting, &run).await, 1500).await;
    worker.stop().await;
}

/// The queue takes workers for dead that only slept; then two attempts of one task are alive. Whichever it was that wrote a batch, it is
/// there once.
#[tokio::test]
async fn attempts_at_once_make_no_doubles() {
    let setting = Setting::new().await;
    add_messages(&setting, &bugs(1000)).await;
    let run = start(&setting).await;
    let workers = [setting.worker(small_batches()), setting.worker(small_batches())];
    for batches in [3, 20, 50, 90] {
        until("some batches are done", async || load(&setting, run.id).await.batches_done >= batches).await;
        let given_back = sqlx::query("update apalis.jobs set status = 'Pending', lock_by = null, lock_at = null where id = $1");
        given_back.bind(run.task_id.as_deref()).execute(&setting.pool).await.unwrap();
    }
    let run = end_of(&setting, &run).await;
    assert_whole(&setting, &run, 1000).await;
    let lines = log(&setting, run.id).await;
    let attempts = lines.iter().filter(|line| line.starts_with("Starting analysis run execution")).count();
    assert!(attempts > 1, "{attempts}");
    let told = kinds(&setting, run.id).await;
    let count = |kind| told.iter().filter(|told| **told == kind).count();
    let counted =
        [AnalysisEventKind::RunStarted, AnalysisEventKind::ProposalsCreated, AnalysisEventKind::RunCompleted].map(count);
    assert_eq!(counted, [1, 200, 1]);
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_database_that_goes_away_fails_no_run() {
    let mut cluster = Cluster::start("analysis").await;
    let setting = Setting::on(&cluster.new_database().await).await;
    add_messages(&setting, &bugs(1000)).await;
    let worker = setting.worker(small_batches());
    let run = start(&setting).await;
    until("some batches are done", async || load(&setting, run.id).await.batches_done > 5).await;
    cluster.crash();
    cluster.revive().await;
    let run = end_of(&setting, &run).await;
    assert_whole(&setting, &run, 1000).await;
    worker.stop().await;
}

/// As the queue leaves a task whose workers all died.
#[tokio::test]
async fn a_run_whose_task_is_given_up_has_failed() {
    let setting = Setting::new().await;
    add_messages(&setting, &bugs(3)).await;
    let (run, over, taken) = (start(&setting).await, start(&setting).await, start(&setting).await);
    for (status, id) in [("running", run.id), ("cancelled", over.id)] {
        let set = sqlx::query("update analysis_runs set status = $1 where id = $2").bind(status).bind(id);
        set.execute(&setting.pool).await.unwrap();
    }
    let set = sqlx::query("update analysis_runs set task_id = 'another' where id = $1").bind(taken.id);
    set.execute(&setting.pool).await.unwrap();
    sqlx::query("update apalis.jobs set attempts = max_attempts").execute(&setting.pool).await.unwrap();
    let worker = setting.worker(json!({}));
    for run in [&run, &over, &taken] {
        let end = setting.end_of(run.task_id.as_deref().unwrap()).await;
        assert_eq!(error(&end), "given up: its worker died in each of 100 attempts");
    }
    let run = load(&setting, run.id).await;
    let failure = run.error_log.clone().unwrap();
    assert_eq!((run.status, failure.step.as_str()), (RunStatus::Failed, "execute_run"));
    assert_eq!(failure.error, "given up: its worker died in each of 100 attempts");
    assert!(run.completed_at.is_some());
    assert_eq!(kinds(&setting, run.id).await, [AnalysisEventKind::RunFailed]);
    let lines = log(&setting, run.id).await;
    assert!(
        lines.last().unwrap().ends_with("Failed in execute_run: given up: its worker died in each of 100 attempts"),
        "{lines:?}"
    );
    // What is over, or another task's, is left alone.
    let left = [load(&setting, over.id).await.status, load(&setting, taken.id).await.status];
    assert_eq!(left, [RunStatus::Cancelled, RunStatus::Pending]);
    worker.stop().await;
}
