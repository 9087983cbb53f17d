//! A start with much in the spool takes no more memory than one without; what is new isn't behind what waits; and a kill in between costs nothing.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use taskscope::server::recorder::Spool;
use taskscope_wire::NativeEvent;

use crate::support::{Program, TestServer, client, data_directory, until};

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

/// So many executions that have ended, in batches of a thousand.
async fn report(base: &str, name: &str, count: u32) {
    let http = client();
    for batch in 0..count.div_ceil(1000) {
        let events: Vec<Value> = (batch * 1000..count.min(batch * 1000 + 1000))
            .map(|id| json!({"type": "task_completed", "task_id": format!("{name}-{id}"), "task_name": name, "timestamp": "2026-11-20T10:00:00Z"}))
            .collect();
        let answer = http.post(format!("{base}/api/v1/events")).json(&events).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 202);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_new_shows_while_a_backlog_is_stored() {
    const WAITING: i64 = 30_000;
    let server = TestServer::start().await;
    let mut watcher = server.watch("").await;
    server.take_database_away().await;
    report(&server.base, "old", WAITING as u32).await;
    server.give_database_back().await;
    watcher.until("the first of the backlog", |message| message["seq"] == 1).await;
    report(&server.base, "new", 1).await;
    let shown = loop {
        let message = watcher.next_event().await;
        if message["task_name"] == "new" {
            break message["seq"].as_i64().unwrap();
        }
    };
    assert!(shown < WAITING - 4000, "it was shown as number {shown}, after the backlog");
    server
        .until("nothing waits", async || {
            server.get("/metrics").await.text().await.unwrap().contains("taskscope_spool_events 0\n")
        })
        .await;
    assert_eq!(server.count("select count(*) from task_execution_logs").await, WAITING + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_a_backlog_and_what_is_new_take_turns_loses_and_doubles_nothing() {
    const WAITING: u32 = 20_000;
    let directory = data_directory();
    let mut program = Program::start(&directory.path().join("d")).await;
    let data = fs::canonicalize(program.directory.join("data")).unwrap();
    let pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let frozen: Vec<i32> = pids.filter(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == data)).collect();
    frozen.iter().for_each(|pid| kill(Pid::from_raw(*pid), Signal::SIGSTOP).unwrap());
    report(&program.base, "old", WAITING).await;
    frozen.iter().for_each(|pid| kill(Pid::from_raw(*pid), Signal::SIGCONT).unwrap());
    for time in 0..3 {
        for number in 0..5 {
            report(&program.base, &format!("new-{time}-{number}"), 10).await;
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        let killed = program.kill();
        program.restart(killed).await;
    }
    let total = u64::from(WAITING) + 3 * 5 * 10;
    let http = client();
    let of = async |path: &str| http.get(format!("{}{path}", program.base)).send().await.unwrap().text().await.unwrap();
    for _ in 0..1200 {
        if of("/metrics").await.contains("taskscope_spool_events 0\n") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let pool = program.pool().await;
    let rows: (i64, i64) =
        sqlx::query_as("select count(*), count(distinct task_id) from task_execution_logs").fetch_one(&pool).await.unwrap();
    assert_eq!(rows, (total as i64, total as i64));
    pool.close().await;
}
