use serde_json::json;
use taskscope_wire::NativeKind::TaskCompleted;

use crate::support::{Cluster, Setting, until};

#[tokio::test]
async fn the_worker_outlives_the_database() {
    let mut cluster = Cluster::start("restarted").await;
    let setting = Setting::on(&cluster.new_database().await).await;
    let worker = setting.worker(json!({}));
    setting.run("score_unscored_messages_task", json!({})).await;
    for round in 1..=2 {
        cluster.crash();
        until("the database is missed", async || setting.queue.trigger("score_unscored_messages_task", None).await.is_err())
            .await;
        cluster.revive().await;
        until("the queue takes tasks again", async || setting.queue.trigger("score_unscored_messages_task", None).await.is_ok())
            .await;
        setting
            .events
            .until("the worker runs tasks again", |events| {
                events.iter().filter(|event| event.kind == TaskCompleted).count() > round
            })
            .await;
    }
    worker.stop().await;
}
