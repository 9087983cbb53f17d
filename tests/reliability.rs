//! What survives: the program's death, a second program, the database's death and silence.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reqwest::Client;
use serde_json::{Value, json};
use taskscope::server::embedded_pg::EmbeddedPostgres;

use crate::support::{Program, Watcher, client, data_directory, until};

/// Reports so many tasks, one a request, each of which must be taken; how long Postgres is away doesn't matter.
async fn report(program: &Program, name: &str, ids: std::ops::Range<u32>) {
    let url = format!("{}/api/v1/events", program.base);
    for id in ids {
        let event = |kind| json!({"type": kind, "task_id": format!("{name}-{id}"), "task_name": name, "timestamp": chrono::Utc::now().to_rfc3339()});
        let answer = client().post(&url).json(&json!([event("task_started"), event("task_completed")])).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 202);
    }
}

/// Waits until so many tasks of a name are told of, once each.
async fn stored(program: &Program, name: &str, count: u64) {
    let url = format!("{}/api/v1/monitoring/history?status=success&task_name={name}", program.base);
    let http = client();
    until("all that was reported is stored", async || match http.get(&url).send().await {
        Ok(answer) => answer.json::<Value>().await.is_ok_and(|page| page["total_count"] == count),
        Err(_) => false,
    })
    .await;
}

/// The process of the embedded Postgres, if one runs.
fn postmaster(directory: &Path) -> Option<Pid> {
    // It is there for a moment before anything stands in it.
    let text = fs::read_to_string(directory.join("data/postmaster.pid")).ok()?;
    text.lines().next()?.parse().ok().map(Pid::from_raw)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dying_postgres_is_started_again_and_nothing_is_lost() {
    let directory = data_directory();
    let program = Program::start(&directory.path().join("d")).await;
    for time in 0..2 {
        report(&program, "a", time * 20..time * 20 + 10).await;
        let old = postmaster(&program.directory).unwrap();
        kill(old, Signal::SIGQUIT).unwrap();
        report(&program, "a", time * 20 + 10..time * 20 + 20).await;
        until("a new Postgres", async || postmaster(&program.directory).is_some_and(|new| new != old)).await;
    }
    stored(&program, "a", 40).await;
}

/// The requirement itself is a time: two seconds from when Postgres was taken away.
async fn told_within_two_seconds(watcher: &mut Watcher) -> Value {
    let since = std::time::Instant::now();
    let told = loop {
        let message = watcher.next_message().await;
        if message["type"] == "server" && message["database_up"] == false {
            break message;
        }
    };
    assert!(since.elapsed() < Duration::from_secs(2), "told after {:?}", since.elapsed());
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_stops_at_once_is_told_within_two_seconds() {
    let directory = data_directory();
    let mut postgres = taskscope_torture::Postgres::start(&directory.path().join("pg")).await.unwrap();
    let host = directory.path().join("pg");
    let url = format!("postgres://postgres@localhost/torture?host={}", host.display());
    let program = Program::start_without_database(&directory.path().join("d"), &url).await;
    program.ready().await;
    let mut watcher = Watcher::connect(&program.base, "").await;
    assert_eq!(watcher.next_message().await["database_up"], true);
    postgres.stop_at_once().await.unwrap();
    told_within_two_seconds(&mut watcher).await;
    postgres.start_again().await.unwrap();
    program.ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_postgres_is_told_within_two_seconds_and_outlived() {
    let directory = data_directory();
    let program = Program::start(&directory.path().join("d")).await;
    let mut watcher = Watcher::connect(&program.base, "").await;
    assert_eq!(watcher.next_message().await["database_up"], true);
    let frozen = processes_of(&program.directory);
    frozen.iter().for_each(|pid| kill(*pid, Signal::SIGSTOP).unwrap());
    let told = told_within_two_seconds(&mut watcher).await;
    assert!(told["database_down_since"].is_string());
    let http = client();
    report(&program, "a", 0..20).await;
    assert!(waiting(&http, &program.base).await >= 40, "what is taken waits");
    let answer = http.get(format!("{}/api/v1/monitoring/metrics", program.base)).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers().contains_key("retry-after")), (503, true));
    let page = http.get(format!("{}/monitoring", program.base)).send().await.unwrap().text().await.unwrap();
    assert!(page.to_lowercase().contains("database"), "the page says what is going on");
    frozen.iter().for_each(|pid| kill(*pid, Signal::SIGCONT).unwrap());
    stored(&program, "a", 20).await;
}

/// A server that is given its database waits for it at the start, and says so while it is away.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_there_yet_or_any_more_is_waited_for() {
    let directory = data_directory();
    let (database, own) = (directory.path().join("pg"), directory.path().join("d"));
    fs::create_dir(&database).unwrap();
    let url = format!("postgres://postgres@localhost/taskscope?host={}", database.join("run").display());
    let program = Program::start_without_database(&own, &url).await;
    report(&program, "a", 0..10).await;
    let postgres = EmbeddedPostgres::start(&database).await.unwrap();
    program.ready().await;
    tokio::task::spawn_blocking(move || drop(postgres)).await.unwrap();
    let http = client();
    let page = async || http.get(format!("{}/monitoring", program.base)).send().await.unwrap();
    until("the page says that the database is away", async || page().await.status().as_u16() == 503).await;
    assert!(page().await.text().await.unwrap().contains("being kept"), "the page says what is going on");
    report(&program, "a", 10..20).await;
    let _postgres = EmbeddedPostgres::start(&database).await.unwrap();
    stored(&program, "a", 20).await;
}

/// On a full disk what is stored can't be forgotten; with room again it is, even if nothing new comes.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_full_disk_kept_from_being_forgotten_is_forgotten_later() {
    let directory = data_directory();
    let program = Program::start_with_limits_told(&directory.path().join("d")).await;
    let frozen = processes_of(&program.directory);
    frozen.iter().for_each(|pid| kill(*pid, Signal::SIGSTOP).unwrap());
    report(&program, "a", 0..3).await;
    program.limit_files("1");
    let http = client();
    let answer = http.post(format!("{}/api/v1/events", program.base)).json(&json!([
        {"type": "task_started", "task_id": "b", "task_name": "b", "timestamp": "2026-11-20"}
    ]));
    let answer = answer.send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers().contains_key("retry-after")), (503, true));
    frozen.iter().for_each(|pid| kill(*pid, Signal::SIGCONT).unwrap());
    stored(&program, "a", 3).await;
    assert!(waiting(&http, &program.base).await > 0, "the disk is full");
    program.limit_files("unlimited");
    until("nothing waits", async || waiting(&http, &program.base).await == 0).await;
}

/// What tracing can't write it tells on the same output, by a macro that panics; the spool's thread died of its own error message.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_written_stops_nothing() {
    let directory = data_directory();
    let program = Program::start_with_full_log(&directory.path().join("d")).await;
    report(&program, "a", 0..3).await;
    stored(&program, "a", 3).await;
}

async fn waiting(http: &Client, base: &str) -> u64 {
    let text = http.get(format!("{base}/metrics")).send().await.unwrap().text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("taskscope_spool_events ")).unwrap();
    line.parse::<f64>().unwrap() as u64
}

/// Every process of the cluster, which all have its directory as their working directory.
fn processes_of(directory: &Path) -> Vec<Pid> {
    let data = fs::canonicalize(directory.join("data")).unwrap();
    let pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == data)).map(Pid::from_raw).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_program_on_the_same_directory_is_refused_with_a_sentence() {
    let directory = data_directory();
    let program = Program::start(&directory.path().join("d")).await;
    let said = program.start_beside();
    assert!(said.contains("in use by another running Taskscope") && said.contains("TASKSCOPE_DATA_DIR"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_database_is_private_durable_and_ends_with_the_program() {
    let directory = data_directory();
    let program = Program::start(&directory.path().join("d")).await;
    let mode = |name: &str| fs::metadata(program.directory.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!([mode("run"), mode("data"), mode("spool")], [0o700, 0o700, 0o700]);
    let options = sqlx::postgres::PgConnectOptions::new_without_pgpass()
        .socket(program.directory.join("run"))
        .port(5432)
        .username("postgres");
    let pool = sqlx::PgPool::connect_with(options.database("taskscope")).await.unwrap();
    let settings: (String, String) =
        sqlx::query_as("select current_setting('fsync'), current_setting('listen_addresses')").fetch_one(&pool).await.unwrap();
    assert_eq!(settings, ("on".to_owned(), String::new()));
    pool.close().await;
    kill(Pid::from_raw(program.pid()), Signal::SIGKILL).unwrap();
    until("Postgres is gone", async || processes_of(&program.directory).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_spool_answers_503_and_keeps_what_it_took() {
    use taskscope::server::recorder::{Ids, Spool, SpoolError};
    let directory = tempfile::TempDir::new().unwrap();
    let spool = Spool::open(directory.path(), 2000).unwrap();
    let text = r#"{"type": "task_started", "task_id": "1", "task_name": "t", "timestamp": "2026-11-20"}"#;
    let event = taskscope_wire::NativeEvent::decode(text, chrono::Utc::now()).unwrap();
    let mut taken = 0;
    while spool.append(vec![event.clone()]).await.is_ok() {
        taken += 1;
    }
    assert!(matches!(spool.append(vec![event.clone()]).await, Err(SpoolError::Full)));
    assert!(taken > 3);
    drop(spool);
    let again = until_open(directory.path()).await;
    let spooled = again.read(0, 1000).await.unwrap();
    assert_eq!((spooled.events.len(), again.waiting()), (taken, taken as u64));
    again.forget(Ids { after: 0, up_to: spooled.last_id }).await.unwrap();
    assert_eq!((again.waiting(), again.waiting_bytes()), (0, 0));
    assert!(again.append(vec![event]).await.is_ok(), "there is room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_the_same_from_memory_and_from_the_file() {
    use taskscope::server::recorder::{Ids, Spool};
    let directory = tempfile::TempDir::new().unwrap();
    let spool = Spool::open(directory.path(), 1_000_000).unwrap();
    let decode = |id: u32| {
        // As a client may write it that indents its bodies.
        let text = format!(
            "{{\"type\": \"task_started\", \"task_id\": \"{id}\", \"task_name\": \"t\", \"timestamp\": \"2026-11-20T01:02:03.04\",\n\
              \"params\": {{\r\n  \"text\": \"one\\ntwo\"\r\n}}}}"
        );
        taskscope_wire::NativeEvent::decode(&text, chrono::Utc::now()).unwrap()
    };
    for id in 0..3 {
        spool.append(vec![decode(2 * id), decode(2 * id + 1)]).await.unwrap();
    }
    let held = spool.read(0, 3).await.unwrap();
    assert_eq!((held.last_id, &held.events[..]), (2, &[0, 1, 2, 3].map(decode)[..]));
    // What was read and not forgotten comes from the file, the rest still from memory.
    let all = spool.read(0, 100).await.unwrap();
    let without_space =
        |events: &[taskscope_wire::TaskEvent]| serde_json::to_string(events).unwrap().replace(['\r', '\n', ' '], "");
    assert_eq!(without_space(&all.events), without_space(&[0, 1, 2, 3, 4, 5].map(decode)));
    assert!(all.unreadable.is_empty());
    spool.forget(Ids { after: 0, up_to: 2 }).await.unwrap();
    drop(spool);
    let left = until_open(directory.path()).await.read(0, 100).await.unwrap();
    assert_eq!((left.last_id, without_space(&left.events)), (3, without_space(&[4, 5].map(decode))));
}

/// The thread of a dropped spool may hold the file for another moment.
async fn until_open(directory: &Path) -> taskscope::server::recorder::Spool {
    for _ in 0..100 {
        if let Ok(spool) = taskscope::server::recorder::Spool::open(directory, 1_000_000) {
            return spool;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the spool stays locked");
}
