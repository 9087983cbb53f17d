//! Secrets by every way in, and a search of every way out.

use std::{
    io::{Cursor, Write},
    path::Path,
    sync::{Arc, Mutex, OnceLock},
};

use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row};
use taskscope::server::{
    recorder::SpoolFile,
    redact::{MARKER, Redactor},
};
use taskscope_wire::{NativeEvent, RedactionRules, TaskEvent};
use tracing_subscriber::fmt::MakeWriter;

use crate::support::TestServer;

const AT: &str = "2026-11-20T10:00:00Z";

/// What every secret of a test holds, so that one word is looked for.
fn canary(name: &str) -> String {
    format!("canary{name}")
}

/// Texts that hold secrets, each in a form of its own.
fn params(canary: &str) -> Value {
    json!({
        "user": {"name": "ada", "Password": canary, "keys": [{"apiKey": canary}]},
        "url": format!("postgres://ada:{canary}@db/app"), "note": format!("token={canary}, Bearer {canary}123"),
        "body": json!({"client_secret": canary}).to_string(), "author": "kept",
    })
}

fn traceback(canary: &str) -> String {
    format!("File \"x.py\", line 1\n    connect(password='{canary}')\nError: {{'token': '{canary}'}}")
}

/// Sends secrets by every way.
async fn send(server: &TestServer, canary: &str) {
    let failed = |id: &str| {
        json!({
            "type": "task_failed", "task_id": id, "task_name": "t", "timestamp": AT, "params": params(canary), "labels": {"access_token": canary},
            "error_type": "E", "error_message": format!("login with password={canary} failed"), "error_traceback": traceback(canary),
            "result": {"secret": canary},
        })
    };
    server.report(&json!([failed("native")])).await;
    let escaped = failed("escaped").to_string().replace("\"Password\"", r#""\u0050assw\u006frd""#);
    let refused =
        json!({"type": "task_started", "task_id": "refused", "task_name": "t", "timestamp": format!("password={canary}")});
    let lines = format!("{escaped}\n{refused}\n{{\"password\": \"{canary}\n");
    assert_eq!(server.post("/api/v1/events", "application/x-ndjson", lines).await.status(), StatusCode::ACCEPTED);
    let labels = json!({"api_key": canary});
    let started = json!({"args": [{"pwd": canary}], "kwargs": params(canary), "labels": labels, "startedAt": AT, "taskName": "t", "worker": null});
    assert!(server.taskiq("taskiq", "started", started.to_string()).await.status().is_success());
    let executed = json!({"finishedAt": AT, "executionTime": 0.5, "error": format!("E(\"password={canary}\")"), "returnValue": {"return_value": {"token": canary}}});
    assert!(server.taskiq("taskiq", "executed", executed.to_string()).await.status().is_success());
    assert_eq!(server.taskiq("bad", "started", format!("{{\"password\": \"{canary}\"")).await.status(), StatusCode::BAD_REQUEST);
    dead_letters(server, canary, &failed("poison-1")).await;
}

/// An event that Postgres refuses in words that quote it, and one of before that is sent again.
async fn dead_letters(server: &TestServer, canary: &str, event: &Value) {
    server
        .sql(
            "create function quote() returns trigger language plpgsql as $$
        begin raise exception 'refused: %', new.params using errcode = '22000'; end $$",
        )
        .await;
    server.sql("create trigger quote before insert on task_execution_logs for each row when (new.task_id like 'poison%') execute function quote()").await;
    server.report(&json!([event])).await;
    let letters = async || server.count("select count(*) from dead_letters").await;
    server.until("the letter is there", async || letters().await == 1).await;
    let mut replayed = event.clone();
    replayed["task_id"] = json!("replayed");
    let replayed = NativeEvent::decode(&replayed.to_string(), chrono::Utc::now()).unwrap();
    // What an earlier version kept; the search begins after it is gone.
    sqlx::query("insert into dead_letters (reason, event) values ('from before', $1)")
        .bind(serde_json::to_string(&replayed).unwrap())
        .execute(&server.pool)
        .await
        .unwrap();
    let answer = server.post("/api/v1/dead-letters/replay", "", "").await;
    assert_eq!(answer.json::<Value>().await.unwrap()["accepted"], 2, "{canary}");
    server.until("the other came back", async || letters().await == 1).await;
}

/// Where a word is found after everything was sent: every table, the spool's files, `/ws`, answers, pages, logs.
async fn places(server: &TestServer, watched: &[Value], word: &str) -> Vec<String> {
    let mut found: Vec<String> = tables(server, word).await;
    let mut look = |place: &str, text: &str| {
        if text.contains(word) {
            found.push(place.to_owned());
        }
    };
    for message in watched {
        look("/ws", &message.to_string());
    }
    let items = server.history("").await["items"].as_array().unwrap().clone();
    let one = |item: &Value| item["id"].to_string();
    let mut paths: Vec<String> = [
        "/api/v1/monitoring/history",
        "/api/v1/monitoring/events?after=0",
        "/api/v1/monitoring/series",
        "/api/v1/monitoring/metrics",
        "/api/v1/monitoring/workers",
        "/api/v1/dead-letters",
        "/api/v1/dead-letters/export",
        "/api/v1/redaction",
        "/metrics",
        "/monitoring",
        "/monitoring/history",
        "/monitoring/workers",
        "/monitoring/redaction",
    ]
    .map(str::to_owned)
    .into();
    paths.extend(items.iter().map(|item| format!("/api/v1/monitoring/executions/{}", one(item))));
    paths.extend(items.iter().map(|item| format!("/monitoring/executions/{}", one(item))));
    for path in paths {
        let answer = server.get(&path).await;
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        look(&path, &answer.text().await.unwrap());
    }
    look("the log", &logged());
    files(&server.data_dir().join("spool"), word, &mut found);
    found
}

/// Every text of every table, as `pg_dump` would write it.
async fn tables(server: &TestServer, word: &str) -> Vec<String> {
    let names = "select quote_ident(table_schema) || '.' || quote_ident(table_name) from information_schema.tables
        where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')";
    let names: Vec<String> = sqlx::query_scalar(names).fetch_all(&server.pool).await.unwrap();
    assert!(names.len() > 20, "{names:?}");
    let mut found = Vec::new();
    for name in names {
        // Bytes as text, too: live batches are JSON in them.
        let rows =
            sqlx::query(AssertSqlSafe(format!("select t::text as line from {name} t"))).fetch_all(&server.pool).await.unwrap();
        let hex: String = word.bytes().map(|byte| format!("{byte:02x}")).collect();
        let holds = |line: &str| line.contains(word) || line.contains(&hex);
        if rows.iter().any(|row| holds(row.get::<Option<&str>, _>("line").unwrap_or_default())) {
            found.push(name);
        }
    }
    found
}

fn files(directory: &Path, word: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let bytes = std::fs::read(entry.path()).unwrap();
        if bytes.windows(word.len()).any(|window| window == word.as_bytes()) {
            found.push(format!("spool: {}", entry.file_name().display()));
        }
    }
}

/// What all servers of this process have logged.
fn logged() -> String {
    String::from_utf8_lossy(&log().0.lock().unwrap()).into_owned()
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn log() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let log = Log::default();
        tracing_subscriber::fmt().with_env_filter("taskscope=info,warn").with_ansi(false).with_writer(log.clone()).init();
        log
    })
}

/// Starts a server, sends everything, and says where the secret is found.
async fn found_after_sending(name: &str, redactor: Option<Redactor>) -> Vec<String> {
    log();
    let server = TestServer::start().await;
    // The version that is in force is noted first, so that following the stored rules changes nothing.
    server.until("the rules are known", async || server.data_dir().join("redaction.json").exists()).await;
    if let Some(redactor) = redactor {
        server.server().redaction.current().set(redactor);
    }
    let mut watcher = server.watch("").await;
    let canary = canary(name);
    send(&server, &canary).await;
    server.executions(4).await;
    let watched = watcher.events(4).await;
    places(&server, &watched, &canary).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_found_anywhere() {
    let found = found_after_sending("one", None).await;
    assert!(found.is_empty(), "{found:#?}");
}

/// The search must be one that finds: where nothing is redacted, the secret is everywhere that is searched.
#[tokio::test(flavor = "multi_thread")]
async fn without_redaction_the_same_search_finds_it() {
    let found = found_after_sending("two", Some(Redactor::blind().unwrap())).await;
    let wanted = [
        "public.task_execution_logs",
        "public.dead_letters",
        "public.live_batches",
        "/ws",
        "/api/v1/monitoring/history",
        "/api/v1/monitoring/events",
        "/api/v1/monitoring/executions/",
        "/api/v1/dead-letters",
        "/api/v1/dead-letters/export",
        "/monitoring/history",
        "/monitoring/executions/",
        "the log",
        "spool: ",
    ];
    let missed: Vec<_> = wanted.into_iter().filter(|place| !found.iter().any(|found| found.starts_with(place))).collect();
    assert!(missed.is_empty(), "not found in {missed:#?}, but in {found:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_is_imported_and_exported_without_secrets() {
    let canary = canary("three");
    let event = json!({"type": "task_started", "task_id": "1", "task_name": "t", "timestamp": AT, "params": params(&canary)});
    let event: TaskEvent = NativeEvent::decode(&event.to_string(), chrono::Utc::now()).unwrap();
    let line = serde_json::to_string(&event).unwrap() + "\n";
    let redactor = Redactor::new(&RedactionRules::default()).unwrap();
    let blind = Redactor::blind().unwrap();
    let import = |redactor: &Redactor| {
        let directory = tempfile::tempdir().unwrap();
        let mut spool = SpoolFile::open(directory.path()).unwrap();
        assert_eq!(spool.import(redactor, Cursor::new(line.clone())).unwrap(), 1);
        (spool, directory)
    };
    let written = |directory: &Path| {
        let mut found = Vec::new();
        files(directory, &canary, &mut found);
        found
    };
    let exported = |spool: &SpoolFile, redactor: &Redactor| {
        let mut bytes = Vec::new();
        assert_eq!(spool.export(redactor, &mut bytes).unwrap(), 1);
        String::from_utf8(bytes).unwrap()
    };
    let (spool, directory) = import(&redactor);
    assert_eq!(written(directory.path()), [""; 0]);
    let text = exported(&spool, &redactor);
    assert!(text.contains(MARKER) && !text.contains(&canary) && serde_json::from_str::<TaskEvent>(&text).is_ok(), "{text}");
    // What an earlier version has spooled is exported without secrets, too; and the search is one that finds.
    let (spool, directory) = import(&blind);
    assert!(!written(directory.path()).is_empty());
    assert!(!exported(&spool, &redactor).contains(&canary) && exported(&spool, &blind).contains(&canary));
}

/// What waited under other rules, or was spooled by an earlier version, loses its secrets on the way to Postgres.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_in_an_old_spool_is_stored_without_secrets() {
    let canary = canary("four");
    let mut server = TestServer::start().await;
    let event = json!({"type": "task_started", "task_id": "old", "task_name": "t", "timestamp": AT, "params": params(&canary)});
    let event = NativeEvent::decode(&event.to_string(), chrono::Utc::now()).unwrap();
    let line = serde_json::to_string(&event).unwrap() + "\n{\"torn\": \"password=" + &canary + "\n";
    let directory = server.data_dir().join("spool");
    server
        .stop_and(async || {
            let connection = rusqlite::Connection::open(directory.join("spool.sqlite3")).unwrap();
            connection.execute("insert into batches (count, bytes, lines) values (2, ?1, ?2)", (line.len(), &line)).unwrap();
        })
        .await;
    assert_eq!(server.executions(1).await[0]["params"]["user"]["Password"], MARKER);
    server.until("the torn line is kept", async || server.count("select count(*) from dead_letters").await == 1).await;
    assert_eq!(tables(&server, &canary).await, [""; 0]);
}
