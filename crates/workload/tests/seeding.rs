use std::collections::BTreeSet;

use serde_json::json;
use taskscope_wire::NativeKind::{TaskCompleted, TaskFailed};
use taskscope_workload::{WorkloadConfig, seed, task_types};

use crate::support::Setting;

#[tokio::test]
async fn sample_data_comes_once_and_work_follows() {
    let setting = Setting::new().await;
    let mut heard = Vec::new();
    let first = seed(&setting.queue, |done, total| heard.push((done, total))).await.unwrap();
    assert!(first.messages_added > 150, "{first:?}");
    assert_eq!(heard.last(), Some(&(275, 275)));
    let second = seed(&setting.queue, |_, _| {}).await.unwrap();
    assert_eq!((second.messages_added, second.tasks.len()), (0, 0));
    assert_eq!(setting.number("select count(*) from messages where not sample").await, 0);
    assert_eq!(setting.number("select count(*) from messages where sent_at > now()").await, 0);

    // Without a setting, sample work trickles in where there is sample data.
    let worker = setting.worker(json!({"demo": null}));
    let all: BTreeSet<_> = task_types(&WorkloadConfig::default()).into_iter().map(|task| task.name).collect();
    setting
        .events
        .until("every task type has succeeded and something failed", |events| {
            let succeeded: BTreeSet<_> =
                events.iter().filter(|event| event.kind == TaskCompleted).filter_map(|event| event.task_name.clone()).collect();
            succeeded == all && events.iter().any(|event| event.kind == TaskFailed)
        })
        .await;
    worker.stop().await;
    assert!(setting.number("select count(*) from messages where sample").await > 270);
    let failures: BTreeSet<_> = setting
        .events
        .all()
        .into_iter()
        .filter(|event| event.kind == TaskFailed)
        .map(|event| event.error_message.unwrap())
        .collect();
    assert!(failures.iter().all(|message| message.starts_with("there is no message ")), "{failures:?}");
}
