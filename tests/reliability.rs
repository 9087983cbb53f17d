//! What survives: the program's death, a second program, the database's death and silence.

use reqwest::Client;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;
use taskscope::server::embedded_pg::EmbeddedPostgres;

use crate::support::{Program, Watcher, client, until};

/// Sends events one task at a time, as fast as they are answered, and counts the tasks whose events were all answered with 2xx.
struct Producer {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Vec<String>>,
}

impl Producer {
    fn start(base: &str, name: &'static str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (url, stopped) = (format!("{base}/api/v1/events"), Arc::clone(&stop));
        let task = tokio::spawn(async move {
            let http = client();
            let next = AtomicU32::new(0);
            let mut owed = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let id = format!("{name}-{}", next.fetch_add(1, Ordering::Relaxed));
                let event =
                    |kind| json!({"type": kind, "task_id": id, "task_name": name, "timestamp": chrono::Utc::now().to_rfc3339()});
                let batch = json!([event("task_started"), event("task_completed")]);
                match http.post(&url).json(&batch).send().await {
                    Ok(answer) if answer.status().is_success() => owed.push(id),
                    _ => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
            owed
        });
        Self { stop, task }
    }

    async fn finish(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

/// Waits until all that is owed is there, and checks that nothing is there twice.
async fn judge(program: &Program, owed: &[String]) {
    judge_in(program, &program.directory, owed).await;
}

async fn judge_in(program: &Program, database: &Path, owed: &[String]) {
    let http = client();
    let base = &program.base;
    let text = async |path: &str| match http.get(format!("{base}{path}")).send().await {
        Ok(answer) => answer.text().await.unwrap_or_default(),
        Err(_) => String::new(),
    };
    until("the spool is empty", async || text("/metrics").await.contains("taskscope_spool_events 0")).await;
    let options = sqlx::postgres::PgConnectOptions::new_without_pgpass()
        .socket(database.join("run"))
        .port(5432)
        .username("postgres")
        .database("taskscope");
    let pool = sqlx::PgPool::connect_with(options).await.unwrap();
    let rows: Vec<(String, String)> =
        sqlx::query_as("select task_id, status from task_execution_logs order by 1").fetch_all(&pool).await.unwrap();
    let stored: std::collections::BTreeMap<_, _> = rows.iter().cloned().collect();
    assert_eq!(stored.len(), rows.len(), "an execution is there twice");
    let missing: Vec<_> = owed.iter().filter(|id| stored.get(*id).is_none_or(|status| status != "success")).collect();
    assert!(missing.is_empty(), "{} of {} were answered with 2xx and are missing: {missing:?}", missing.len(), owed.len());
    pool.close().await;
}

/// A directory that the unprivileged user of an embedded Postgres can reach.
fn data_directory() -> tempfile::TempDir {
    let directory = tempfile::TempDir::new().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

/// The process of the embedded Postgres.
fn postmaster(directory: &Path) -> Pid {
    let text = fs::read_to_string(directory.join("data/postmaster.pid")).unwrap();
    Pid::from_raw(text.lines().next().unwrap().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_minus_nine_under_load_loses_and_doubles_nothing() {
    let directory = data_directory();
    let mut program = Program::start(&directory.path().join("d")).await;
    let producers: Vec<_> = ["a", "b", "c", "d"].map(|name| Producer::start(&program.base, name)).into();
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        program.kill_and_restart().await;
    }
    let mut owed = Vec::new();
    for producer in producers {
        owed.extend(producer.finish().await);
    }
    assert!(owed.len() > 50, "too little load: {}", owed.len());
    judge(&program, &owed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dying_postgres_is_started_again_and_nothing_is_lost() {
    let directory = data_directory();
    let program = Program::start(&directory.path().join("d")).await;
    let producer = Producer::start(&program.base, "a");
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let old = postmaster(&program.directory);
        kill(old, Signal::SIGQUIT).unwrap();
        until("a new Postgres", async || {
            program.directory.join("data/postmaster.pid").exists() && postmaster(&program.directory) != old
        })
        .await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let owed = producer.finish().await;
    judge(&program, &owed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_postgres_is_told_within_two_seconds_and_outlived() {
    let directory = data_directory();
    let program = Program::start(&directory.path().join("d")).await;
    let mut watcher = Watcher::connect(&program.base, "").await;
    assert_eq!(watcher.next_message().await["database_up"], true);
    let producer = Producer::start(&program.base, "a");
    let frozen = processes_of(&program.directory);
    frozen.iter().for_each(|pid| kill(*pid, Signal::SIGSTOP).unwrap());
    let since = std::time::Instant::now();
    let told = loop {
        let message = watcher.next_message().await;
        if message["type"] == "server" && message["database_up"] == false {
            break message;
        }
    };
    assert!(since.elapsed() < Duration::from_secs(4), "told after {:?}", since.elapsed());
    assert!(told["database_down_since"].is_string());
    let http = client();
    let before = waiting(&http, &program.base).await;
    until("events are still taken", async || waiting(&http, &program.base).await > before + 20).await;
    let answer = http.get(format!("{}/api/v1/monitoring/metrics", program.base)).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers().contains_key("retry-after")), (503, true));
    let page = http.get(format!("{}/monitoring", program.base)).send().await.unwrap().text().await.unwrap();
    assert!(page.to_lowercase().contains("database"), "the page says what is going on");
    frozen.iter().for_each(|pid| kill(*pid, Signal::SIGCONT).unwrap());
    let owed = producer.finish().await;
    judge(&program, &owed).await;
}

/// A server that is given its database waits for it at the start, and outlives half a minute without it.
#[tokio::test(flavor = "multi_thread")]
async fn thirty_seconds_without_the_database_lose_nothing() {
    let directory = data_directory();
    let (database, own) = (directory.path().join("pg"), directory.path().join("d"));
    fs::create_dir(&database).unwrap();
    let url = format!("postgres://postgres@localhost/taskscope?host={}", database.join("run").display());
    let program = Program::start_without_database(&own, &url).await;
    let producer = Producer::start(&program.base, "a");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let postgres = EmbeddedPostgres::start(&database).await.unwrap();
    program.ready().await;
    tokio::task::spawn_blocking(move || drop(postgres)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    let http = client();
    let page = http.get(format!("{}/monitoring", program.base)).send().await.unwrap();
    assert_eq!(page.status().as_u16(), 503);
    assert!(page.text().await.unwrap().contains("being kept"), "the page says what is going on");
    let before = waiting(&http, &program.base).await;
    until("events are still taken", async || waiting(&http, &program.base).await > before).await;
    let _postgres = EmbeddedPostgres::start(&database).await.unwrap();
    let owed = producer.finish().await;
    assert!(owed.len() > 500, "too little load: {}", owed.len());
    judge_in(&program, &database, &owed).await;
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
    use taskscope::server::recorder::{Spool, SpoolError};
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
    again.forget(spooled.last_id).await.unwrap();
    assert_eq!((again.waiting(), again.waiting_bytes()), (0, 0));
    assert!(again.append(vec![event]).await.is_ok(), "there is room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_the_same_from_memory_and_from_the_file() {
    use taskscope::server::recorder::Spool;
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
    spool.forget(2).await.unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_tail_of_the_spool_is_survived_at_every_byte() {
    use taskscope::server::recorder::Spool;
    let directory = tempfile::TempDir::new().unwrap();
    let spool = Spool::open(directory.path(), 1_000_000).unwrap();
    let decode = |id: u32| {
        let text =
            json!({"type": "task_started", "task_id": id.to_string(), "task_name": "t", "timestamp": "2026-11-20"}).to_string();
        taskscope_wire::NativeEvent::decode(&text, chrono::Utc::now()).unwrap()
    };
    spool.append(vec![decode(1)]).await.unwrap();
    let wal = directory.path().join("spool.sqlite3-wal");
    let acknowledged = fs::metadata(&wal).unwrap().len();
    spool.append(vec![decode(2)]).await.unwrap();
    let (database, log) = (fs::read(directory.path().join("spool.sqlite3")).unwrap(), fs::read(&wal).unwrap());
    drop(spool);
    for length in (acknowledged..=log.len() as u64).step_by(97) {
        let torn = tempfile::TempDir::new().unwrap();
        fs::write(torn.path().join("spool.sqlite3"), &database).unwrap();
        fs::write(torn.path().join("spool.sqlite3-wal"), &log[..length as usize]).unwrap();
        let spooled = Spool::open(torn.path(), 1_000_000).unwrap().read(0, 10).await.unwrap();
        let ids: Vec<_> = spooled.events.iter().map(|event| event.task_id.as_str()).collect();
        assert!(ids == ["1"] || ids == ["1", "2"], "{length}: {ids:?}");
    }
}
