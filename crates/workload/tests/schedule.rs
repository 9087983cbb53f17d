use serde_json::json;
use taskscope_wire::NativeKind::{TaskCompleted, TaskQueued, TaskStarted};

use crate::support::Setting;

#[tokio::test]
async fn a_tick_that_two_workers_see_is_run_once() {
    let setting = Setting::new().await;
    let config = json!({"schedules": {"score_unscored_messages_task": "* * * * *"}});
    let (one, other) = (setting.worker(config.clone()), setting.worker(config));
    setting.events.until("the clock has ticked", |events| events.iter().any(|event| event.kind == TaskCompleted)).await;
    one.stop().await;
    other.stop().await;
    let keys: Vec<String> = sqlx::query_scalar("select idempotency_key from apalis.jobs").fetch_all(&setting.pool).await.unwrap();
    let events = setting.events.all();
    for kind in [TaskQueued, TaskStarted, TaskCompleted] {
        assert_eq!(events.iter().filter(|event| event.kind == kind).count(), keys.len(), "{kind:?} {keys:?}");
    }
    assert!(keys.iter().all(|key| key.starts_with("score_unscored_messages_task@20") && key.ends_with(":00Z")), "{keys:?}");
}
