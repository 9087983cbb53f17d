use std::io::BufRead;

use chrono::{DateTime, Days, NaiveDate, Utc};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Setting, error, result};

/// Executions of this many days ago, around the whole day.
async fn add(setting: &Setting, days: u64, rows: i32) -> NaiveDate {
    let day = (Utc::now() - Days::new(days)).date_naive();
    sqlx::query(
        "insert into task_execution_logs (task_name, status, params, created_at)
         select 'old', 'success', '{\"n\": 1}', ($1::timestamp at time zone 'UTC') + n * interval '1 second' from generate_series(0, $2 - 1) n",
    )
    .bind(day)
    .bind(rows)
    .execute(&setting.pool)
    .await
    .unwrap();
    day
}

fn read(path: &std::path::Path) -> Vec<Value> {
    let decoder = zstd::Decoder::new(std::fs::File::open(path).unwrap()).unwrap();
    std::io::BufReader::new(decoder).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
}

#[tokio::test]
async fn old_days_are_archived_and_deleted() {
    let (setting, directory) = (Setting::new().await, TempDir::new().unwrap());
    let archive = directory.path().join("archive");
    sqlx::query("select taskscope_ensure_partition(current_date - 40)").execute(&setting.pool).await.unwrap();
    let (oldest, old) = (add(&setting, 40, 300).await, add(&setting, 31, 7).await);
    add(&setting, 30, 5).await;
    add(&setting, 0, 5).await;
    sqlx::query("delete from foreign_changes").execute(&setting.pool).await.unwrap();
    let worker = setting.worker(json!({"retention": {"archive_dir": archive}}));
    let end = setting.run("cleanup_old_task_logs", json!({})).await;
    let file = |day: NaiveDate, suffix: &str| archive.join(format!("task_execution_logs_{day}{suffix}.ndjson.zst"));
    let expected = json!({"days": 2, "deleted": 307, "archives": [file(oldest, ""), file(old, "")], "forgotten": 0});
    assert_eq!(result(&end), expected);
    assert_eq!(setting.number("select count(*) from task_execution_logs").await, 10);
    // It is no news for the live view.
    assert_eq!(setting.number("select count(*) from foreign_changes").await, 0);
    let rows = read(&file(oldest, ""));
    assert_eq!((rows.len(), &rows[0]["task_name"], &rows[0]["params"]), (300, &json!("old"), &json!({"n": 1})));
    let created: DateTime<Utc> = serde_json::from_value(rows[0]["created_at"].clone()).unwrap();
    assert_eq!(created.date_naive(), oldest);

    // Rows that come later for a day that is archived take nothing away.
    add(&setting, 40, 2).await;
    let again = setting.run("cleanup_old_task_logs", json!({})).await;
    assert_eq!(result(&again)["archives"], json!([file(oldest, ".2")]));
    assert_eq!((read(&file(oldest, "")).len(), read(&file(oldest, ".2")).len()), (300, 2));
    assert_eq!(std::fs::read_dir(&archive).unwrap().count(), 3, "no temporary file is left");
    worker.stop().await;
}

#[tokio::test]
async fn what_can_not_be_archived_is_not_deleted() {
    let (setting, directory) = (Setting::new().await, TempDir::new().unwrap());
    let blocked = directory.path().join("file");
    std::fs::write(&blocked, "in the way").unwrap();
    add(&setting, 40, 3).await;
    let worker = setting.worker(json!({"retention": {"archive_dir": blocked}, "retry_pause_ms": 1}));
    let end = setting.run("cleanup_old_task_logs", json!({})).await;
    assert!(error(&end).contains("can't be written"), "{end:?}");
    assert_eq!(setting.number("select count(*) from task_execution_logs").await, 3);
    worker.stop().await;
}

#[tokio::test]
async fn without_an_archive_days_are_only_deleted_and_the_queue_forgets() {
    let setting = Setting::new().await;
    add(&setting, 5, 3).await;
    add(&setting, 3, 2).await;
    let worker = setting.worker(json!({"retention": {"days": 7}}));
    let none = setting.run("cleanup_old_task_logs", json!({})).await;
    assert_eq!(result(&none)["deleted"], 0);
    sqlx::query("update apalis.jobs set done_at = now() - interval '2 days'").execute(&setting.pool).await.unwrap();
    let end = setting.run("cleanup_old_task_logs", json!({"retention_days": 4})).await;
    assert_eq!(result(&end), json!({"days": 1, "deleted": 3, "archives": [], "forgotten": 1}));
    assert_eq!(setting.number("select count(*) from task_execution_logs").await, 2);
    worker.stop().await;
}
