//! Watchers that take nothing.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{Program, Watcher, client, until};

/// Watchers, and how many of them take nothing.
const FLEET: usize = 50;
const FROZEN: usize = 5;
/// Events a call, and calls: half of what a server keeps for those who come back.
const BATCH: u32 = 500;
const CALLS: u32 = 20;
/// What makes messages large enough for no socket's buffers to hold a flood.
const TEXT: &str = "what went wrong, as it is told with a lot of words, of which there are more than anybody wants to read, so that a few thousand \
                    of such messages fill whatever the two ends of a connection hold for a reader that has gone to sleep over them, and then some";
/// How much memory those who take nothing may cost, in kilobytes.
const BAR: u64 = 8 * 1024;

/// Reports a flood of executions.
async fn flood(program: &Program, round: u32) {
    let (http, url) = (client(), format!("{}/api/v1/events", program.base));
    for call in 0..CALLS {
        let events: Vec<Value> = (0..BATCH)
            .map(|n| {
                let task_id = format!("{round}-{call}-{n}");
                json!({"type": "task_failed", "task_id": task_id, "task_name": "flood", "timestamp": "2026-11-20T10:00:00Z", "error_message": TEXT})
            })
            .collect();
        let answer = http.post(&url).json(&events).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 202);
    }
}

/// Reads on to a number, and sees that none is left out.
async fn read(watcher: &mut Watcher, from: i64, to: i64) {
    let mut seq = from;
    while seq < to {
        let Value::Array(messages) = watcher.next_message().await else { panic!("no array") };
        for message in messages {
            if message["type"] != "server" {
                seq += 1;
                assert_eq!(message["seq"], seq, "{message}");
            }
        }
    }
}

/// The memory that a program has, in kilobytes.
fn memory(program: &Program) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen_watchers_cost_nobody_else_anything_and_get_what_they_missed_when_they_come_back() {
    let directory = crate::support::data_directory();
    let program = Program::start(&directory.path().join("d")).await;
    let watch = async |number: usize| Watcher::connect(&program.base, &format!("batch=1&number={number}")).await;
    let mut fleet = join_all((0..FLEET - FROZEN).map(watch)).await;
    let mut seq = 0;
    let mut memories = Vec::new();
    let mut frozen = Vec::new();
    for round in 0..4 {
        // Two rounds fill what is kept, the third one is the yardstick, the last one has frozen watchers.
        if round == 3 {
            for _ in 0..FROZEN {
                frozen.push(Watcher::connect_small(&program.base, "batch=1").await);
            }
        }
        let to = seq + i64::from(BATCH * CALLS);
        tokio::join!(flood(&program, round), join_all(fleet.iter_mut().map(|watcher| read(watcher, seq, to))));
        seq = to;
        memories.push(memory(&program));
    }
    let [_, _, without, with] = memories[..] else { panic!("four rounds") };
    eprintln!("memory with {FLEET} watchers: {without} KB, with {FROZEN} of them frozen: {with} KB");
    assert!(with.saturating_sub(without) <= BAR, "{with} KB with frozen watchers, {without} KB without");
    let watching = async || program.figure("taskscope_live_watchers").await;
    tokio::time::sleep(Duration::from_secs(15)).await;
    until("they are cut off", async || watching().await == Some((FLEET - FROZEN) as f64)).await;
    for mut watcher in frozen {
        let known = watcher.rest().await;
        assert!(known < seq, "it took all {seq}");
        let mut back = Watcher::connect(&program.base, &format!("batch=1&{}", watcher.place(known))).await;
        assert_eq!((&back.hello["recovered"], &back.hello["seq"]), (&json!(true), &json!(seq)));
        read(&mut back, known, seq).await;
    }
    read_one_more(&program, &mut fleet, seq).await;
}

/// The others still watch.
async fn read_one_more(program: &Program, fleet: &mut [Watcher], seq: i64) {
    let event = json!([{"type": "task_completed", "task_id": "last", "task_name": "flood", "timestamp": "2026-11-20T10:00:00Z"}]);
    client().post(format!("{}/api/v1/events", program.base)).json(&event).send().await.unwrap();
    join_all(fleet.iter_mut().map(|watcher| read(watcher, seq, seq + 1))).await;
}
