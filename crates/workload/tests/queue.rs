use std::{sync::Arc, time::Duration};

use chrono::{DateTime, FixedOffset, Utc};
use serde_json::json;
use sqlx::PgPool;
use taskscope_wire::{
    NativeEvent,
    NativeKind::{TaskCompleted, TaskFailed, TaskQueued, TaskStarted},
};
use taskscope_workload::{Queue, TriggerError, messages::NewMessage};

use crate::support::{BotApi, Cluster, Receiver, Setting, error, result, until};

async fn add_message(setting: &Setting, content: &str) -> i64 {
    let message = NewMessage {
        author: "Olena".to_owned(),
        content: content.to_owned(),
        sent_at: Utc::now(),
        channel: None,
        external_id: None,
    };
    taskscope_workload::messages::insert(&setting.pool, &[message]).await.unwrap()[0].id
}

fn time(event: &NativeEvent) -> DateTime<FixedOffset> {
    DateTime::parse_from_rfc3339(&event.timestamp).unwrap()
}

#[tokio::test]
async fn a_task_is_queued_run_and_reported() {
    let setting = Setting::new().await;
    let worker = setting.worker(json!({}));
    let id = add_message(&setting, "the release is broken: `panic` at https://ci.example/7").await;
    let triggered = setting.trigger("score_message_task", json!({"message_id": id})).await;
    assert_eq!((triggered.task_name.as_str(), triggered.queue.as_str()), ("score_message_task", "messages"));
    let end = setting.end_of(&triggered.task_id).await;
    let score = result(&end)["score"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&score));
    let stored: f64 =
        sqlx::query_scalar("select score from messages where id = $1").bind(id).fetch_one(&setting.pool).await.unwrap();
    assert!((stored - score).abs() < 1e-9);
    assert_eq!(setting.events.story(&triggered.task_id), [(1, TaskQueued), (1, TaskStarted), (1, TaskCompleted)]);
    let started = &setting.events.of(&triggered.task_id)[1];
    assert_eq!(started.queue.as_deref(), Some("messages"));
    assert_eq!(started.params.as_ref().unwrap().as_str(), format!(r#"{{"message_id":{id}}}"#));
    assert_eq!(started.max_retries, Some(2));
    worker.stop().await;
}

#[tokio::test]
async fn what_can_not_be_queued_is_refused_with_a_reason() {
    let setting = Setting::new().await;
    let refuse =
        async |name: &str, params: serde_json::Value| setting.queue.trigger(name, Some(params.into())).await.unwrap_err();
    let unknown = refuse("score_everything", json!({})).await;
    assert!(matches!(&unknown, TriggerError::UnknownTask { name, known } if name == "score_everything" && known.len() == 15));
    assert!(unknown.to_string().contains("score_message_task"));
    let unavailable = refuse("execute_analysis_run", json!({})).await;
    assert!(
        matches!(&unavailable, TriggerError::Unavailable(sentence) if sentence.starts_with("execute_analysis_run can't run"))
    );
    let cases = [
        ("score_message_task", json!({"message_id": 0}), "message_id must be 1 or more, not 0"),
        ("score_message_task", json!({}), "missing field `message_id`"),
        ("score_message_task", json!([1]), "params must be a JSON object"),
        ("score_unscored_messages_task", json!({"limit": 0}), "limit must be 1 to 100000, not 0"),
        ("ingest_telegram_messages_task", json!({"source": "fax"}), "source: unknown variant `fax`"),
        ("ingest_telegram_messages_task", json!({"source": "export"}), "path must be given"),
        ("scheduled_daily_digest_task", json!({"days": 1}), "days: unknown field `days`, expected `hours`"),
        ("save_telegram_message", json!({"update": {"message": {}}}), "update."),
    ];
    for (name, params, sentence) in cases {
        let error = refuse(name, params.clone()).await;
        assert!(matches!(&error, TriggerError::InvalidParams(_)), "{params}: {error:?}");
        assert!(error.to_string().contains(sentence), "{params}: {error}");
    }
    assert_eq!(setting.number("select count(*) from apalis.jobs").await, 0);
    assert!(setting.events.all().is_empty());
}

#[tokio::test]
async fn a_failed_task_is_tried_again_after_a_pause() {
    let (setting, receiver) = (Setting::new().await, Receiver::serve().await);
    // An attempt asks three times.
    receiver.fail(4);
    let worker = setting.worker(json!({"digest": receiver.config(), "retry_pause_ms": 2000}));
    let end = setting.run("scheduled_daily_digest_task", json!({})).await;
    assert_eq!(end.attempt, 2);
    let task_id = end.task_id.clone();
    let story = [(1, TaskQueued), (1, TaskStarted), (1, TaskFailed), (2, TaskStarted), (2, TaskCompleted)];
    assert_eq!(setting.events.story(&task_id), story);
    let events = setting.events.of(&task_id);
    assert_eq!(error(&events[2]), "the webhook answered 500 Internal Server Error");
    let traceback = events[2].error_traceback.as_deref().unwrap();
    assert!(traceback.contains("src/webhook.rs:"), "{traceback}");
    assert!(time(&events[3]) - time(&events[2]) >= chrono::TimeDelta::milliseconds(1500), "the back-off is kept");
    // Both attempts speak of one digest.
    assert_eq!(setting.number("select count(*) from digests").await, 1);
    assert_eq!(receiver.taken().len(), 1);
    worker.stop().await;
}

#[tokio::test]
async fn what_would_fail_again_is_not_tried_again() {
    let setting = Setting::new().await;
    let worker = setting.worker(json!({"retry_pause_ms": 1}));
    let end = setting.run("score_message_task", json!({"message_id": 999})).await;
    assert_eq!((end.attempt, error(&end)), (1, "there is no message 999"));
    let traceback = end.error_traceback.as_deref().unwrap();
    assert!(traceback.contains("src/tasks/score_message.rs:"), "{traceback}");
    assert_eq!(setting.number("select count(*) from apalis.jobs where status = 'Killed'").await, 1);
    worker.stop().await;
}

#[tokio::test]
async fn a_task_over_its_time_limit_fails_and_is_tried_again() {
    let (setting, receiver) = (Setting::new().await, Receiver::serve().await);
    receiver.hang(1);
    let limits = json!({"scheduled_daily_digest_task": 1});
    let worker = setting.worker(json!({"digest": receiver.config(), "time_limits": limits, "retry_pause_ms": 10}));
    let end = setting.run("scheduled_daily_digest_task", json!({})).await;
    assert!(end.attempt >= 2);
    let first = setting.events.of(&end.task_id).into_iter().find(|event| event.kind == TaskFailed).unwrap();
    assert_eq!((first.attempt, error(&first)), (1, "timed out after 1 s"));
    assert_eq!(result(&end)["posted"], true);
    worker.stop().await;
}

#[tokio::test]
async fn the_task_of_a_dead_worker_is_run_again() {
    let (setting, receiver) = (Setting::new().await, Receiver::serve().await);
    receiver.hang(1);
    let config = json!({"digest": receiver.config()});
    let first = setting.worker(config.clone());
    let id = setting.trigger("scheduled_daily_digest_task", json!({})).await.task_id;
    until("the task waits for the receiver", async || receiver.requests() == 1).await;
    first.kill().await;
    let second = setting.worker(config);
    let end = setting.end_of(&id).await;
    assert_eq!((end.attempt, result(&end)["posted"].as_bool()), (2, Some(true)));
    let story = [(1, TaskQueued), (1, TaskStarted), (1, TaskFailed), (2, TaskStarted), (2, TaskCompleted)];
    assert_eq!(setting.events.story(&id), story);
    assert_eq!(error(&setting.events.of(&id)[2]), "cancelled before it ended");
    second.stop().await;
}

#[tokio::test]
async fn a_task_whose_workers_all_died_is_given_up() {
    let setting = Setting::new().await;
    let id = setting.trigger("score_unscored_messages_task", json!({})).await.task_id;
    // As the queue leaves it after the third worker.
    sqlx::query("update apalis.jobs set attempts = 3").execute(&setting.pool).await.unwrap();
    let worker = setting.worker(json!({}));
    let end = setting.end_of(&id).await;
    assert_eq!(error(&end), "given up: its worker died in each of 3 attempts");
    worker.stop().await;
}

#[tokio::test]
async fn a_stop_waits_for_running_tasks_up_to_a_limit() {
    let setting = Setting::new().await;
    let (receiver, api) = (Receiver::serve().await, BotApi::serve().await);
    receiver.hang(1);
    api.be_silent(true);
    let config = json!({"digest": receiver.config(), "telegram": api.config(), "stop_seconds": 6, "concurrency": 1});
    let digest = setting.trigger("scheduled_daily_digest_task", json!({})).await.task_id;
    for _ in 0..5 {
        setting.trigger("score_unscored_messages_task", json!({})).await;
    }
    let worker = setting.worker(config.clone());
    let ingest = setting.trigger("ingest_telegram_messages_task", json!({"wait_seconds": 50})).await.task_id;
    until("both wait for an answer", async || receiver.requests() == 1 && api.questions().len() == 1).await;

    // Another worker would take the tasks of a silent one; this one is silent neither while it is full nor while it stops.
    let other = setting.worker(config);
    until("a full worker is still alive", async || {
        let alive = "select bool_and(w.last_seen > j.lock_at + interval '5 s') from apalis.jobs j join apalis.workers w on w.id = j.lock_by";
        sqlx::query_scalar(alive).fetch_one(&setting.pool).await.unwrap()
    })
    .await;
    worker
        .stop_while(|| {
            receiver.let_go();
            api.be_silent(false);
        })
        .await;
    assert_eq!(result(&setting.end_of(&digest).await)["posted"], true);
    assert_eq!(setting.events.story(&digest), [(1, TaskQueued), (1, TaskStarted), (1, TaskCompleted)]);

    assert_eq!(result(&setting.end_of(&ingest).await)["done"], 0);
    let events = setting.events.of(&ingest);
    let story = [(1, TaskQueued), (1, TaskStarted), (1, TaskFailed), (2, TaskStarted), (2, TaskCompleted)];
    assert_eq!(setting.events.story(&ingest), story);
    assert_eq!(error(&events[2]), "cancelled: the worker stopped before the task was done");
    assert!(time(&events[3]) >= time(&events[2]), "it was taken while it ran");
    other.stop().await;
}

#[tokio::test]
async fn strange_rows_in_the_queue_do_no_harm() {
    let setting = Setting::new().await;
    for (id, job) in
        [("01ARZ3NDEKTSV4RRFFQ69G5FAV", r#"{"name": "from_the_future", "params": {}}"#), ("01ARZ3NDEKTSV4RRFFQ69G5FAW", "17")]
    {
        sqlx::query("insert into apalis.jobs (id, job_type, job, status, attempts, max_attempts, run_at) values ($1, 'messages', $2, 'Pending', 0, 3, now())")
            .bind(id)
            .bind(job.as_bytes())
            .execute(&setting.pool)
            .await
            .unwrap();
    }
    let worker = setting.worker(json!({}));
    until("both are put aside", async || setting.number("select count(*) from apalis.jobs where status = 'Killed'").await == 2)
        .await;
    let id = add_message(&setting, "still there?").await;
    result(&setting.run("score_message_task", json!({"message_id": id})).await);
    worker.stop().await;
}

#[tokio::test]
async fn many_tasks_run_once_each_on_two_workers() {
    let setting = Arc::new(Setting::new().await);
    let (one, other) = (setting.worker(json!({"concurrency": 8})), setting.worker(json!({"concurrency": 8})));
    let id = add_message(&setting, "many scores for one message").await;
    let mut ids = Vec::new();
    for _ in 0..200 {
        ids.push(setting.trigger("score_message_task", json!({"message_id": id})).await.task_id);
    }
    setting
        .events
        .until("all have ended", |events| events.iter().filter(|event| event.kind == TaskCompleted).count() == 200)
        .await;
    for id in ids {
        assert_eq!(setting.events.story(&id), [(1, TaskQueued), (1, TaskStarted), (1, TaskCompleted)]);
    }
    tokio::time::timeout(Duration::from_secs(60), async { tokio::join!(one.stop(), other.stop()) }).await.unwrap();
    assert_eq!(setting.number("select count(*) from apalis.jobs where status = 'Done' and attempts = 1").await, 200);
}

#[tokio::test]
async fn missing_extensions_are_told_with_the_remedy() {
    let cluster = Cluster::shared().await;
    let pool = PgPool::connect(&cluster.new_database().await).await.unwrap();
    // The database lets anybody make a schema, but hides hstore, as a server without the contrib modules does.
    sqlx::query("create schema apalis").execute(&pool).await.unwrap();
    sqlx::query("create function apalis.refuse() returns event_trigger language plpgsql as $$ begin raise 'extension \"hstore\" is not available'; end $$")
        .execute(&pool)
        .await
        .unwrap();
    sqlx::query(
        "create event trigger refuse on ddl_command_start when tag in ('CREATE EXTENSION') execute function apalis.refuse()",
    )
    .execute(&pool)
    .await
    .unwrap();
    let error = format!("{:#}", Queue::new(pool, None).setup().await.unwrap_err());
    assert!(
        error.starts_with("the queue needs the extensions pgcrypto and hstore of Postgres: install the contrib modules"),
        "{error}"
    );
}
