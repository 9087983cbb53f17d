use serde_json::json;
use taskscope_wire::NativeKind::TaskFailed;

use crate::support::{Receiver, Setting, error, result};

async fn fail(setting: &Setting, task_name: &str, message: &str, times: i32) {
    sqlx::query(
        "insert into task_execution_logs (task_name, status, error_message, completed_at)
         select $1, 'failed', replace($2, '#', n::text), now() from generate_series(1, $3) n",
    )
    .bind(task_name)
    .bind(message)
    .bind(times)
    .execute(&setting.pool)
    .await
    .unwrap();
}

#[tokio::test]
async fn a_burst_of_failures_is_one_alert() {
    let (setting, receiver) = (Setting::new().await, Receiver::serve().await);
    // The first attempt asks three times in vain.
    receiver.fail(3);
    let worker = setting.worker(json!({"alert": receiver.config(), "retry_pause_ms": 1}));
    fail(&setting, "orders.charge", "order # was refused", 40).await;
    fail(&setting, "mail.send", "no answer", 2).await;
    let end = setting.run("scheduled_notification_alert_task", json!({})).await;
    assert_eq!((end.attempt, result(&end)), (2, json!({"alert_id": null, "sent": 1})));
    let first = setting.events.of(&end.task_id).into_iter().find(|event| event.kind == TaskFailed).unwrap();
    assert_eq!(error(&first), "the webhook answered 500 Internal Server Error");
    let taken = receiver.taken();
    assert_eq!(taken.len(), 1);
    let (delivery, alert) = &taken[0];
    assert_eq!(delivery, "alert-1");
    assert_eq!((&alert["failures"], alert["groups"].as_array().unwrap().len()), (&json!(42), 2));
    assert_eq!((&alert["groups"][0]["task_name"], &alert["groups"][0]["failures"]), (&json!("orders.charge"), &json!(40)));
    assert!(alert["text"].as_str().unwrap().starts_with("42 tasks failed\n• 40 × orders.charge: order "), "{alert}");

    // Nothing new, then more of the same within the cool-down.
    let quiet = json!({"alert_id": null, "sent": 0});
    assert_eq!(result(&setting.run("scheduled_notification_alert_task", json!({})).await), quiet);
    fail(&setting, "orders.charge", "order # was refused", 3).await;
    assert_eq!(result(&setting.run("scheduled_notification_alert_task", json!({})).await), quiet);
    // Another error is told at once, and what was held back stays back.
    fail(&setting, "orders.charge", "the bank is closed", 1).await;
    assert_eq!(result(&setting.run("scheduled_notification_alert_task", json!({})).await), json!({"alert_id": 2, "sent": 1}));
    assert_eq!(receiver.taken()[1].1["failures"], 1);
    // When the cool-down is over, so is the rest.
    sqlx::query("update alerted_failures set alerted_at = now() - interval '6 minutes'").execute(&setting.pool).await.unwrap();
    assert_eq!(result(&setting.run("scheduled_notification_alert_task", json!({})).await), json!({"alert_id": 3, "sent": 1}));
    assert_eq!(receiver.taken()[2].1["failures"], 3);
    assert_eq!(
        setting.number("select count(*) from alerts where status = 'sent' and last_error is null and sent_at is not null").await,
        3
    );
    assert!(!format!("{:?}", setting.events.all()).contains("s3cret"));
    worker.stop().await;
}

#[tokio::test]
async fn without_a_webhook_alerts_are_recorded_and_a_broken_one_alerts_of_nothing() {
    let setting = Setting::new().await;
    let worker = setting.worker(json!({}));
    fail(&setting, "scheduled_notification_alert_task", "the webhook can't be reached", 5).await;
    assert_eq!(result(&setting.run("scheduled_notification_alert_task", json!({})).await)["alert_id"], json!(null));
    fail(&setting, "mail.send", "no answer", 1).await;
    assert_eq!(result(&setting.run("scheduled_notification_alert_task", json!({})).await), json!({"alert_id": 1, "sent": 0}));
    assert_eq!(setting.number("select count(*) from alerts where status = 'recorded' and failures = 1").await, 1);
    worker.stop().await;
}
