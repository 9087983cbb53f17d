use chrono::{DateTime, TimeDelta};
use serde_json::json;
use taskscope_wire::{AnalysisEventKind::RunFailed, NewRun, RunQuery, RunStatus};
use taskscope_workload::{ServiceError, analysis};
use uuid::Uuid;

use super::{AGENT, ASSIGNMENT, PROVIDER, TASK_CONFIG, add_messages, bugs, create, end_of, kinds, load, new_run, start};
use crate::support::Setting;

#[tokio::test]
async fn a_run_is_made_pending_and_listed() {
    let setting = Setting::new().await;
    let runs = [create(&setting).await, create(&setting).await];
    assert_eq!((runs[0].status, runs[0].trigger_type.to_string().as_str()), (RunStatus::Pending, "manual"));
    assert_eq!(runs[0].time_window_start, super::window_start());
    assert_eq!((runs[0].started_at, runs[0].task_id.as_deref(), runs[0].cost), (None, None, None));
    let page = analysis::runs(&setting.pool, &RunQuery { page_size: 1, ..RunQuery::default() }).await.unwrap();
    assert_eq!((page.total_count, page.total_pages, page.items[0].id), (2, 2, runs[1].id));
    let none = RunQuery { status: Some(RunStatus::Failed), ..RunQuery::default() };
    assert_eq!(analysis::runs(&setting.pool, &none).await.unwrap().total_count, 0);
    assert!(super::events(&setting, runs[0].id).await.is_empty());
}

#[tokio::test]
async fn a_run_that_can_not_be_is_refused_with_the_field() {
    let setting = Setting::new().await;
    let (start, end) = (new_run().time_window_start, new_run().time_window_end);
    let early = DateTime::from_timestamp(-100_000_000_000, 0).unwrap();
    let cases = [
        (NewRun { time_window_end: start, ..new_run() }, "time_window_end must be later than time_window_start"),
        (NewRun { time_window_end: start - TimeDelta::days(1), ..new_run() }, "time_window_end must be later"),
        (NewRun { time_window_start: early, ..new_run() }, "time_window_start must be in the years 1 to 9999, not -1199"),
        (NewRun { project_config_id: Some(Uuid::nil()), ..new_run() }, "project_config_id must be the id of a project"),
    ];
    for (new, sentence) in cases {
        let error = analysis::create_run(&setting.pool, &new).await.unwrap_err();
        assert!(matches!(&error, ServiceError::Invalid(text) if text.starts_with(sentence)), "{error:?}");
    }
    assert!(end > start);
    let error = analysis::runs(&setting.pool, &RunQuery { page: 0, ..RunQuery::default() }).await.unwrap_err();
    assert!(matches!(&error, ServiceError::Invalid(text) if text.starts_with("page must be")), "{error:?}");
    assert_eq!(setting.number("select count(*) from analysis_runs").await, 0);
}

#[tokio::test]
async fn a_run_is_started_once() {
    let setting = Setting::new().await;
    let run = create(&setting).await;
    let started = analysis::start_run(&setting.queue, run.id).await.unwrap();
    let answer = json!({"status": "started", "run_id": run.id, "message": "Analysis run job triggered successfully"});
    assert_eq!(serde_json::to_value(started).unwrap(), answer);
    let again = analysis::start_run(&setting.queue, run.id).await.unwrap_err();
    assert!(matches!(&again, ServiceError::Conflict(text) if text.contains("started already")), "{again:?}");
    let task: String = sqlx::query_scalar("select id from apalis.jobs").fetch_one(&setting.pool).await.unwrap();
    assert_eq!(load(&setting, run.id).await.task_id, Some(task));
}

#[tokio::test]
async fn of_many_that_start_a_run_at_once_one_does() {
    let setting = Setting::new().await;
    let run = create(&setting).await;
    let starts = futures::future::join_all((0..8).map(|_| analysis::start_run(&setting.queue, run.id))).await;
    assert_eq!(starts.iter().filter(|start| start.is_ok()).count(), 1);
    assert!(starts.iter().flat_map(|start| start.as_ref().err()).all(|error| matches!(error, ServiceError::Conflict(_))));
    assert_eq!(setting.number("select count(*) from apalis.jobs").await, 1);
}

/// As if the server had died between the two.
#[tokio::test]
async fn a_start_that_was_queued_and_not_noted_is_a_start() {
    let setting = Setting::new().await;
    add_messages(&setting, &bugs(1)).await;
    let run = start(&setting).await;
    sqlx::query("update analysis_runs set task_id = null").execute(&setting.pool).await.unwrap();
    let again = analysis::start_run(&setting.queue, run.id).await.unwrap_err();
    assert!(matches!(again, ServiceError::Conflict(_)), "{again:?}");
    let worker = setting.worker(json!({}));
    let ended = end_of(&setting, &run).await;
    assert_eq!((ended.status, ended.task_id), (RunStatus::Completed, run.task_id));
    worker.stop().await;
}

#[tokio::test]
async fn an_unknown_run_is_not_found() {
    let (setting, none) = (Setting::new().await, Uuid::nil());
    let errors = [
        analysis::start_run(&setting.queue, none).await.unwrap_err(),
        analysis::run(&setting.pool, none).await.unwrap_err(),
        analysis::run_log(&setting.pool, none, 0).await.unwrap_err(),
        analysis::cancel_run(&setting.pool, none).await.unwrap_err(),
        analysis::close_run(&setting.pool, none).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.to_string(), "there is no analysis run 00000000-0000-0000-0000-000000000000");
        assert!(matches!(error, ServiceError::NotFound(_)));
    }
}

#[tokio::test]
async fn a_run_without_its_assignment_fails_when_it_is_started() {
    let setting = Setting::new().await;
    let missing = Uuid::from_u128(7);
    let run = analysis::create_run(&setting.pool, &NewRun { agent_assignment_id: missing, ..new_run() }).await.unwrap();
    let error = analysis::start_run(&setting.queue, run.id).await.unwrap_err();
    let sentence = format!("there is no agent assignment {missing}");
    assert!(matches!(&error, ServiceError::Invalid(text) if *text == sentence), "{error:?}");
    let run = load(&setting, run.id).await;
    let failure = run.error_log.unwrap();
    assert_eq!((run.status, failure.error, failure.step), (RunStatus::Failed, sentence, "start_run".to_owned()));
    assert_eq!(kinds(&setting, run.id).await, [RunFailed]);
    assert_eq!(setting.number("select count(*) from apalis.jobs").await, 0);
    let again = analysis::start_run(&setting.queue, run.id).await.unwrap_err();
    assert!(matches!(again, ServiceError::Conflict(_)), "{again:?}");
}

#[tokio::test]
async fn a_run_needs_every_part_of_its_assignment_active() {
    let setting = Setting::new().await;
    let cases = [
        ("agent_assignments", ASSIGNMENT, "the agent assignment "),
        ("agents", AGENT, "the agent \"Keyword rules\" is not active"),
        ("providers", PROVIDER, "the provider \"Keyword rules (built in)\" is not active"),
        ("task_configs", TASK_CONFIG, "the task config \"Task proposals\" is not active"),
    ];
    for (table, id, sentence) in cases {
        let set = async |active: bool| {
            let sql = format!("update {table} set is_active = $1 where id = $2");
            sqlx::query(sqlx::AssertSqlSafe(sql)).bind(active).bind(id).execute(&setting.pool).await.unwrap();
        };
        set(false).await;
        assert!(analysis::assignments(&setting.pool, true).await.unwrap().is_empty());
        let run = create(&setting).await;
        let error = analysis::start_run(&setting.queue, run.id).await.unwrap_err();
        assert!(matches!(&error, ServiceError::Invalid(text) if text.starts_with(sentence)), "{error:?}");
        assert_eq!(load(&setting, run.id).await.status, RunStatus::Failed);
        set(true).await;
    }
}
