use serde_json::{Value, json};

use crate::support::{Receiver, Setting, result};

#[tokio::test]
async fn the_last_day_is_summed_up() {
    let (setting, receiver) = (Setting::new().await, Receiver::serve().await);
    sqlx::query(
        "insert into task_execution_logs (task_name, status, duration_ms, error_message, created_at) values
         ('a', 'success', 100, null, now()), ('a', 'success', 300, null, now()), ('a', 'failed', 50, 'no 1', now()),
         ('a', 'failed', 50, 'no 2', now()), ('b', 'success', 9000, null, now() - interval '23 hours'),
         ('b', 'success', 1, null, now() - interval '25 hours')",
    )
    .execute(&setting.pool)
    .await
    .unwrap();
    sqlx::query(
        "insert into messages (author, content, sent_at, score) values ('Ira', 'important', now(), 0.9), ('Ira', 'less', now(), 0.2),
         ('Ira', 'old', now() - interval '3 days', 1)",
    )
    .execute(&setting.pool)
    .await
    .unwrap();
    let worker = setting.worker(json!({"alert": receiver.config()}));
    let end = setting.run("scheduled_daily_digest_task", json!({})).await;
    assert_eq!(result(&end), json!({"digest_id": 1, "posted": true}));
    let content: Value =
        sqlx::query_scalar("select content from digests where posted_at is not null").fetch_one(&setting.pool).await.unwrap();
    assert_eq!((&content["executions"], &content["succeeded"], &content["failed"]), (&json!(5), &json!(3), &json!(2)));
    let a = json!({"task_name": "a", "executions": 4, "succeeded": 2, "failed": 2, "avg_duration_ms": 200.0});
    assert_eq!(content["tasks"][0], a);
    assert_eq!((&content["slowest"][0]["task_name"], &content["slowest"][0]["duration_ms"]), (&json!("b"), &json!(9000)));
    assert_eq!(content["failures"].as_array().unwrap().len(), 1);
    assert_eq!(content["failures"][0]["failures"], 2);
    assert_eq!((&content["messages"]["total"], &content["messages"]["top"][0]["content"]), (&json!(2), &json!("important")));
    assert_eq!(receiver.taken(), [("digest-1".to_owned(), content)]);
    worker.stop().await;
}
