use serde_json::json;
use taskscope_wire::{AnalysisEventKind::RunUpdated, RunStatus};
use taskscope_workload::{ServiceError, analysis};

use super::{add_messages, bugs, create, end_of, execute, kinds, load, proposals, start};
use crate::support::{Setting, result, until};

#[tokio::test]
async fn a_run_that_waits_is_cancelled_before_it_begins() {
    let setting = Setting::new().await;
    add_messages(&setting, &bugs(3)).await;
    let run = start(&setting).await;
    let cancelled = analysis::cancel_run(&setting.pool, run.id).await.unwrap();
    assert_eq!(cancelled.status, RunStatus::Cancelled);
    assert!(cancelled.completed_at.is_some());
    let worker = setting.worker(json!({}));
    let end = setting.end_of(run.task_id.as_deref().unwrap()).await;
    assert_eq!(result(&end), json!({"status": "cancelled", "run_id": run.id}));
    assert_eq!(kinds(&setting, run.id).await, [RunUpdated]);
    assert!(proposals(&setting, run.id).await.is_empty());
    worker.stop().await;
    for status in ["cancelled", "completed"] {
        let refused = analysis::cancel_run(&setting.pool, run.id).await.unwrap_err();
        assert!(matches!(&refused, ServiceError::Conflict(text) if text.ends_with(status)), "{refused:?}");
        sqlx::query("update analysis_runs set status = 'completed'").execute(&setting.pool).await.unwrap();
    }
}

#[tokio::test]
async fn a_running_run_stops_where_it_is() {
    let setting = Setting::new().await;
    add_messages(&setting, &bugs(2000)).await;
    let worker = setting.worker(json!({"analysis": {"batch_messages": 4}}));
    let run = start(&setting).await;
    until("some batches are done", async || load(&setting, run.id).await.batches_done > 2).await;
    let cancelled = analysis::cancel_run(&setting.pool, run.id).await.unwrap();
    assert_eq!(cancelled.status, RunStatus::Cancelled);
    let end = setting.end_of(run.task_id.as_deref().unwrap()).await;
    assert_eq!(result(&end)["status"], "cancelled");
    let after = load(&setting, run.id).await;
    assert_eq!(after, analysis::run(&setting.pool, cancelled.id).await.unwrap());
    assert_eq!((after.batches_done, after.proposals_total), (cancelled.batches_done, cancelled.proposals_total));
    assert_eq!(i64::try_from(proposals(&setting, run.id).await.len()).unwrap(), after.proposals_total);
    assert_eq!(kinds(&setting, run.id).await.last(), Some(&RunUpdated));
    worker.stop().await;
}

#[tokio::test]
async fn a_run_that_is_over_is_not_executed_again() {
    let setting = Setting::new().await;
    add_messages(&setting, &bugs(3)).await;
    let run = execute(&setting, json!({})).await;
    let told = kinds(&setting, run.id).await;
    // As after a crash between the run's end and the task's.
    sqlx::query("update apalis.jobs set status = 'Pending', lock_by = null").execute(&setting.pool).await.unwrap();
    let worker = setting.worker(json!({}));
    let end = end_of(&setting, &run).await;
    assert_eq!((end, kinds(&setting, run.id).await), (run, told));
    worker.stop().await;
}

#[tokio::test]
async fn a_task_without_a_run_or_of_a_run_that_another_has_fails() {
    let setting = Setting::new().await;
    let worker = setting.worker(json!({"retry_pause_ms": 1}));
    let none = uuid::Uuid::nil();
    let end = setting.run("execute_analysis_run", json!({"run_id": none})).await;
    assert_eq!(crate::support::error(&end), format!("there is no analysis run {none}"));
    let run = create(&setting).await;
    sqlx::query("update analysis_runs set task_id = 'another'").execute(&setting.pool).await.unwrap();
    let end = setting.run("execute_analysis_run", json!({"run_id": run.id})).await;
    assert_eq!((end.attempt, crate::support::error(&end)), (1, "the run is executed by the task another"));
    assert_eq!(load(&setting, run.id).await.status, RunStatus::Pending);
    worker.stop().await;
}
