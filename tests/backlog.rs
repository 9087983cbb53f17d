//! A start with much in the spool takes no more memory than one without.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::json;
use taskscope::server::recorder::Spool;
use taskscope_wire::NativeEvent;

use crate::support::{Program, client, until};

/// Events in a batch, and batches: 200 MB.
const BATCH: usize = 50;
const BATCHES: usize = 250;
/// How much memory a start may take over that of an idle server, in kilobytes.
const BAR: u64 = 100 * 1024;

/// Puts the same batch into a spool again and again, with other ids, past the events' decoding.
async fn fill(directory: &Path) {
    fs::create_dir_all(directory).unwrap();
    drop(Spool::open(directory, 1_000_000).unwrap());
    let event = json!({
        "type": "task_completed", "task_id": "backlog-ID", "task_name": "backlog", "timestamp": "2026-11-20",
        "params": {"text": "x".repeat(16 * 1024)},
    });
    let event = NativeEvent::decode(&event.to_string(), chrono::Utc::now()).unwrap();
    let template = serde_json::to_string(&event).unwrap() + "\n";
    let line = |id: usize| template.replacen("ID", &id.to_string(), 1);
    let mut connection = connection(directory).await;
    let transaction = connection.transaction().unwrap();
    for batch in 0..BATCHES {
        let lines: String = (batch * BATCH..(batch + 1) * BATCH).map(line).collect();
        let insert = "insert into batches (count, bytes, lines) values (?1, ?2, ?3)";
        transaction.execute(insert, rusqlite::params![BATCH as u64, lines.len() as u64, lines]).unwrap();
    }
    transaction.commit().unwrap();
}

/// The thread of a dropped spool may hold the file for another moment.
async fn connection(directory: &Path) -> rusqlite::Connection {
    let path = directory.join("spool.sqlite3");
    let is_free = async || {
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.execute_batch("begin immediate; rollback").is_ok()
    };
    until("the spool is free", is_free).await;
    rusqlite::Connection::open(&path).unwrap()
}

/// The most memory that a program has had, in kilobytes.
fn most_memory(program: &Program) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", program.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_megabytes_in_the_spool_are_started_with_and_stored_in_constant_memory() {
    let directory = tempfile::TempDir::new().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let place = directory.path().join("d");
    let idle = {
        let program = Program::start(&place).await;
        most_memory(&program)
    };
    fill(&place.join("spool")).await;
    let program = Program::start(&place).await;
    let http = client();
    let figures = async || http.get(format!("{}/metrics", program.base)).send().await.unwrap().text().await.unwrap();
    // On a busy machine it takes longer than others wait.
    for _ in 0..6000 {
        if figures().await.contains("taskscope_spool_events 0\n") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let over = most_memory(&program).saturating_sub(idle);
    assert!(over <= BAR, "{} MB more than idle", over / 1024);
    let answer = http.get(format!("{}/api/v1/monitoring/history?page_size=1", program.base)).send().await.unwrap();
    let page: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(page["total_count"], BATCH * BATCHES);
}
