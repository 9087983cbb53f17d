//! A replica that really streams: what is read there, and what happens when it is behind or away.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::json;
use sqlx::PgPool;
use taskscope::server::embedded_pg::EmbeddedPostgres;

use crate::support::{Program, TestServer, client, until};

/// A copy of an embedded Postgres that follows it.
async fn follow(primary: &Path, replica: &Path) -> EmbeddedPostgres {
    std::fs::create_dir_all(replica).unwrap();
    let data = replica.join("data");
    let status = Command::new(pg_basebackup())
        .args(["-R", "-c", "fast", "-U", "postgres", "-h"])
        .arg(primary.join("run"))
        .arg("-D")
        .arg(&data)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    // It was written by this user, who may be another one than the server's.
    let owner = std::fs::metadata(primary.join("data")).unwrap();
    chown(&data, std::os::unix::fs::MetadataExt::uid(&owner), std::os::unix::fs::MetadataExt::gid(&owner));
    EmbeddedPostgres::start(replica).await.unwrap()
}

fn chown(path: &Path, user: u32, group: u32) {
    std::os::unix::fs::chown(path, Some(user), Some(group)).unwrap();
    for entry in std::fs::read_dir(path).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            chown(&entry.path(), user, group);
        } else {
            std::os::unix::fs::lchown(entry.path(), Some(user), Some(group)).unwrap();
        }
    }
}

fn pg_basebackup() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let here = versions.map(|version| version.path().join("bin/pg_basebackup")).filter(|path| path.exists()).max();
    here.unwrap_or_else(|| "pg_basebackup".into())
}

fn url(directory: &Path) -> String {
    format!("postgres://postgres@localhost/taskscope?host={}", directory.join("run").display())
}

async fn total(program: &Program) -> i64 {
    let (_, history) = program.call("GET", "/api/v1/monitoring/history", None).await;
    history["total_count"].as_i64().unwrap()
}

async fn report(program: &Program, task_id: &str) {
    let event =
        json!([{"type": "task_started", "task_id": task_id, "task_name": "t", "timestamp": chrono::Utc::now().to_rfc3339()}]);
    assert_eq!(program.call("POST", "/api/v1/events", Some(event)).await.0, 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_keeps_up_is_read_and_one_that_does_not_is_passed_over() {
    let directory = tempfile::TempDir::new().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let (primary, replica) = (directory.path().join("primary"), directory.path().join("replica"));
    std::fs::create_dir(&primary).unwrap();
    let _primary_server = EmbeddedPostgres::start(&primary).await.unwrap();
    let replica_server = follow(&primary, &replica).await;
    let settings = [("DATABASE_URL", url(&primary)), ("TASKSCOPE_REPLICA_URL", url(&replica))];
    let program = Program::start_with(&directory.path().join("d"), &settings).await;
    let up = async || program.figure("taskscope_replica_up").await;
    let reads = async || program.figure("taskscope_replica_reads_total").await.unwrap_or_default();
    until("the replica is current", async || up().await == Some(1.0)).await;
    report(&program, "a").await;
    until("it is in the history", async || total(&program).await == 1).await;
    assert!(reads().await > 0.0, "the replica was read");

    // It stops to replay: soon it is passed over, and what is new is seen.
    let pool = PgPool::connect(&url(&replica)).await.unwrap();
    sqlx::query("select pg_wal_replay_pause()").execute(&pool).await.unwrap();
    report(&program, "b").await;
    let metrics = program.call("GET", "/api/v1/monitoring/metrics", None);
    assert_eq!(metrics.await.0, 200);
    until("it is behind", async || up().await == Some(0.0)).await;
    let before = reads().await;
    assert_eq!((total(&program).await, reads().await), (2, before));
    assert!(program.figure("taskscope_replica_lag_seconds").await.unwrap() > 5.0);
    sqlx::query("select pg_wal_replay_resume()").execute(&pool).await.unwrap();
    pool.close().await;
    until("it has caught up", async || up().await == Some(1.0)).await;

    // It goes away: nobody notices but who is told.
    tokio::task::spawn_blocking(move || drop(replica_server)).await.unwrap();
    assert_eq!(total(&program).await, 2);
    until("that it is away", async || {
        let answer = client().get(format!("{}/readyz", program.base)).send().await.unwrap();
        answer.status() == 200 && answer.text().await.unwrap().contains("The replica doesn't answer")
    })
    .await;
    assert_eq!(total(&program).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_database_is_no_replica() {
    let other = TestServer::start().await;
    let url = other.database_url.clone();
    let server = TestServer::start_with(|settings| settings.replica_url = Some(url)).await;
    server
        .until("that it is strange", async || server.get("/readyz").await.text().await.unwrap().contains("is no replica"))
        .await;
    server
        .report(
            &json!([{"type": "task_started", "task_id": "1", "task_name": "t", "timestamp": chrono::Utc::now().to_rfc3339()}]),
        )
        .await;
    server.executions(1).await;
}
