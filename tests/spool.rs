//! `taskscope spool`: what can be done with the events that wait while no server runs.

use std::{fs, path::Path, time::Duration};

use serde_json::json;
use taskscope::server::recorder::Spool;
use taskscope_wire::{NativeEvent, TaskEvent};
use tokio::process::Command;

use crate::support::Program;

fn events(ids: std::ops::Range<u32>) -> Vec<TaskEvent> {
    let decode = |id| {
        let params = json!({"text": format!("line\n{id}")});
        let event = json!({"type": "task_started", "task_id": format!("{id}"), "task_name": "t", "timestamp": "2026-11-20", "params": params});
        NativeEvent::decode(&event.to_string(), chrono::Utc::now()).unwrap()
    };
    ids.map(decode).collect()
}

/// A data directory with events that wait, in batches of ten.
async fn fill(directory: &Path, ids: std::ops::Range<u32>) {
    fs::create_dir_all(directory.join("spool")).unwrap();
    let spool = Spool::open(&directory.join("spool"), 1_000_000).unwrap();
    for batch in events(ids).chunks(10) {
        spool.append(batch.to_vec()).await.unwrap();
    }
}

/// Whether the command succeeded, what it answered, and what it said.
async fn call(directory: &Path, arguments: &[&str]) -> (bool, String, String) {
    // The thread of a dropped spool may hold the file for another moment.
    for _ in 0..100 {
        let mut command = Command::new(env!("CARGO_BIN_EXE_taskscope"));
        let output = command.arg("spool").args(arguments).env("TASKSCOPE_DATA_DIR", directory).output().await.unwrap();
        let [answer, said] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        if !said.contains("locked") {
            return (output.status.success(), answer, said);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the spool stays locked");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_exported_and_imported_elsewhere() {
    let directory = tempfile::TempDir::new().unwrap();
    let [from, to] = ["from", "to"].map(|name| directory.path().join(name));
    let file = directory.path().join("events.ndjson");
    fill(&from, 0..25).await;
    fill(&to, 25..30).await;
    let (fine, answer, said) = call(&from, &["verify"]).await;
    assert!(fine && answer.starts_with("25 events in 3 batches wait for the database"), "{answer}{said}");
    let (fine, text, said) = call(&from, &["export"]).await;
    assert!(fine && said.contains("25 events exported"), "{said}");
    assert_eq!(text.lines().map(|line| serde_json::from_str::<TaskEvent>(line).unwrap()).collect::<Vec<_>>(), events(0..25));
    let (fine, _, said) = call(&from, &["export", file.to_str().unwrap()]).await;
    assert!(fine && fs::read_to_string(&file).unwrap() == text, "{said}");
    let (fine, _, said) = call(&from, &["export", file.to_str().unwrap()]).await;
    assert!(!fine && said.contains("events.ndjson can't be made"), "what is there is not overwritten: {said}");
    let (fine, answer, said) = call(&to, &["import", file.to_str().unwrap()]).await;
    assert!(fine && answer == "25 events imported\n", "{said}");
    let (fine, answer, said) = call(&to, &["verify"]).await;
    assert!(fine && answer.starts_with("30 events in 2 batches"), "{answer}{said}");
    let spooled = Spool::open(&to.join("spool"), 1_000_000).unwrap().read(0, 100).await.unwrap();
    assert_eq!(spooled.events, [events(25..30), events(0..25)].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_line_is_named_and_nothing_is_imported() {
    let directory = tempfile::TempDir::new().unwrap();
    let file = directory.path().join("events.ndjson");
    fill(directory.path(), 0..2).await;
    let lines: Vec<String> = events(2..5).iter().map(|event| serde_json::to_string(event).unwrap()).collect();
    fs::write(&file, format!("{}\n\n{}\n{{}}\n", lines[0], lines[1])).unwrap();
    let (fine, _, said) = call(directory.path(), &["import", file.to_str().unwrap()]).await;
    assert!(!fine && said.contains("line 4 is no event; nothing was imported"), "{said}");
    let (_, answer, _) = call(directory.path(), &["verify"]).await;
    assert!(answer.starts_with("2 events in 1 batches"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn flaws_are_found_and_told_with_their_place() {
    let directory = tempfile::TempDir::new().unwrap();
    fill(directory.path(), 0..20).await;
    let (fine, _, said) = call(directory.path(), &["verify"]).await;
    assert!(fine, "{said}");
    let spool = directory.path().join("spool/spool.sqlite3");
    let connection = rusqlite::Connection::open(&spool).unwrap();
    connection.execute_batch("update batches set lines = lines || '{\"torn' || char(10) where id = 2").unwrap();
    drop(connection);
    let (fine, answer, said) = call(directory.path(), &["verify"]).await;
    assert!(!fine && said.contains("the spool has flaws"), "{said}");
    assert!(
        answer.contains("batch 2 has 11 events, and 10 are noted") && answer.contains("batch 2, line 11: no event"),
        "{answer}"
    );
    assert!(answer.ends_with(" bytes\n") && answer.contains("20 events in 2 batches"), "{answer}");
    // A file that is no database at all.
    fs::write(&spool, "x".repeat(8192)).unwrap();
    let (fine, _, said) = call(directory.path(), &["verify"]).await;
    assert!(!fine && said.contains("spool.sqlite3 can't be opened"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_in_use_is_left_alone_and_none_is_made() {
    let directory = tempfile::TempDir::new().unwrap();
    let (fine, _, said) = call(&directory.path().join("none"), &["verify"]).await;
    assert!(!fine && said.contains("there is no spool in"), "{said}");
    assert!(!directory.path().join("none").exists());
    fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let program = Program::start(&directory.path().join("d")).await;
    let (fine, _, said) = call(&program.directory, &["verify"]).await;
    assert!(!fine && said.contains("in use by another running Taskscope"), "{said}");
}
