//! Events from a real NATS server: what is stored, what is acknowledged and when, and what outlives whose death.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use sqlx::{Connection, PgConnection};
use taskscope::server::embedded_pg::EmbeddedPostgres;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::support::{
    Program, TestServer, client,
    nats::{NatsServer, consumer, execution, publish, until_acknowledged, until_taken},
    new_database, until,
};

/// A server that takes from NATS.
async fn server(nats: &NatsServer) -> TestServer {
    TestServer::start_with(|settings| {
        settings.nats_url = Some(nats.url.clone());
        settings.nats_monitor_url = Some(nats.monitor.clone());
    })
    .await
}

async fn readyz(server: &TestServer) -> String {
    server.get("/readyz").await.text().await.unwrap()
}

/// How many executions there are, and how many of them have ended well.
async fn stored(database_url: &str) -> (i64, i64, i64) {
    let mut connection = PgConnection::connect(database_url).await.unwrap();
    let counts = "select count(*), count(distinct task_id), count(*) filter (where status = 'success') from task_execution_logs";
    let counts = sqlx::query_as(counts).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    counts
}

/// As long as it lives nothing is committed: it holds the sequencer's row.
async fn hold_commits(database_url: &str) -> PgConnection {
    let mut connection = PgConnection::connect(database_url).await.unwrap();
    sqlx::raw_sql("begin; select 1 from live_stream for update").execute(&mut connection).await.unwrap();
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_is_stored_and_on_screen() {
    let nats = NatsServer::start().await;
    let server = server(&nats).await;
    let mut watcher = server.watch("").await;
    let context = nats.context().await;
    until_taken(&context).await;
    publish(&context, execution("array")).await;
    watcher.until("the execution that was published", |event| event["data"]["broker_task_id"] == "array").await;
    let lines: Vec<String> = execution("lines").as_array().unwrap().iter().map(ToString::to_string).collect();
    publish(&context, lines.join("\n")).await;
    publish(&context, format!("{:#}", execution("one")[1])).await;
    let executions = server.executions(3).await;
    assert!(executions.iter().all(|execution| execution["status"] == "success"), "{executions:?}");
    until_acknowledged(&context).await;
    let info = consumer(&context).await.unwrap();
    assert_eq!((info.num_redelivered, info.delivered.consumer_sequence), (0, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_acknowledged_before_it_is_committed_and_nothing_comes_twice_meanwhile() {
    let nats = NatsServer::start().await;
    let server = server(&nats).await;
    let context = nats.context().await;
    until_taken(&context).await;
    let held = hold_commits(&server.database_url).await;
    for id in 0..5 {
        publish(&context, execution(&id.to_string())).await;
    }
    until("all are delivered", async || consumer(&context).await.is_some_and(|info| info.num_ack_pending == 5)).await;
    // Longer than NATS waits for a word of a server.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let info = consumer(&context).await.unwrap();
    assert_eq!((info.num_ack_pending, info.num_redelivered), (5, 0));
    assert_eq!(stored(&server.database_url).await, (0, 0, 0));
    held.close().await.unwrap();
    until_acknowledged(&context).await;
    assert_eq!(stored(&server.database_url).await, (5, 5, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_share_the_work_and_one_that_dies_with_its_disk_takes_nothing_along() {
    let nats = NatsServer::start().await;
    let database_url = new_database().await;
    let directory = tempfile::TempDir::new().unwrap();
    let settings = [("DATABASE_URL", database_url.clone()), ("TASKSCOPE_NATS_URL", nats.url.clone())];
    let mut first = Program::start_with(&directory.path().join("a"), &settings).await;
    let second = Program::start_with(&directory.path().join("b"), &settings).await;
    let context = nats.context().await;
    until_taken(&context).await;
    for id in 0..400 {
        publish(&context, execution(&id.to_string())).await;
    }
    until_acknowledged(&context).await;
    assert_eq!(stored(&database_url).await, (400, 400, 400));
    let taken = "taskscope_events_accepted_total{source=\"nats\"}";
    let by_first = async || first.figure(taken).await.unwrap_or_default();
    let by_second = async || second.figure(taken).await.unwrap_or_default();
    let shares = (by_first().await, by_second().await);
    assert!(shares.0 > 0.0 && shares.1 > 0.0 && shares.0 + shares.1 == 800.0, "{shares:?}");

    let held = hold_commits(&database_url).await;
    for id in 400..600 {
        publish(&context, execution(&id.to_string())).await;
    }
    until("both hold messages", async || by_first().await > shares.0 && by_second().await > shares.1).await;
    until("all are delivered", async || consumer(&context).await.is_some_and(|info| info.num_pending == 0)).await;
    let _killed = first.kill();
    std::fs::remove_dir_all(&first.directory).unwrap();
    held.close().await.unwrap();
    until("nothing is missing", async || stored(&database_url).await == (600, 600, 600)).await;
    until_acknowledged(&context).await;
    assert_eq!(stored(&database_url).await, (600, 600, 600));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_the_stream_keeps_what_comes() {
    let nats = NatsServer::start().await;
    let directory = tempfile::TempDir::new().unwrap();
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let database = directory.path().join("pg");
    std::fs::create_dir(&database).unwrap();
    let postgres = EmbeddedPostgres::start(&database).await.unwrap();
    let database_url = format!("postgres://postgres@localhost/taskscope?host={}", database.join("run").display());
    let settings = [("DATABASE_URL", database_url.clone()), ("TASKSCOPE_NATS_URL", nats.url.clone())];
    let program = Program::start_with(&directory.path().join("d"), &settings).await;
    let context = nats.context().await;
    until_taken(&context).await;
    tokio::task::spawn_blocking(move || drop(postgres)).await.unwrap();
    until("the server knows", async || program.figure("taskscope_database_up").await == Some(0.0)).await;
    // The last request for messages may still stand.
    until("no request stands", async || consumer(&context).await.is_some_and(|info| info.num_waiting == 0)).await;
    for id in 0..100 {
        publish(&context, execution(&id.to_string())).await;
    }
    let info = consumer(&context).await.unwrap();
    assert_eq!((info.num_pending, info.num_ack_pending), (100, 0), "they stay where they are");
    let _postgres = EmbeddedPostgres::start(&database).await.unwrap();
    until_acknowledged(&context).await;
    assert_eq!(stored(&database_url).await, (100, 100, 100));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_event_is_kept_with_its_reason_and_never_comes_again() {
    let nats = NatsServer::start().await;
    let server = server(&nats).await;
    let context = nats.context().await;
    until_taken(&context).await;
    let mut mixed = execution("good").as_array().unwrap().clone();
    mixed.push(json!({"type": "exploded", "task_id": "bad"}));
    publish(&context, json!(mixed)).await;
    publish(&context, "[nonsense").await;
    publish(&context, "").await;
    context.publish("taskscope.events.test", vec![0xff, 0, b'{'].into()).await.unwrap().await.unwrap();
    until_acknowledged(&context).await;
    assert_eq!(stored(&server.database_url).await, (1, 1, 1));
    let letters = server.json("/api/v1/dead-letters").await;
    let letters: Vec<(&str, &str)> = letters["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["reason"].as_str().unwrap(), item["event"].as_str().unwrap()))
        .collect();
    assert_eq!(letters.len(), 4, "{letters:?}");
    let has =
        |sequence: &str, event: &str| letters.iter().any(|(reason, text)| reason.contains(sequence) && text.contains(event));
    assert!(has("message 1 of the stream TASKSCOPE: unknown variant", "exploded"), "{letters:?}");
    assert!(has("message 2 of the stream TASKSCOPE: the body must be a JSON array", "[nonsense"), "{letters:?}");
    assert!(has("message 3 of the stream TASKSCOPE: there is no event in it", ""), "{letters:?}");
    let info = consumer(&context).await.unwrap();
    assert_eq!((info.num_redelivered, info.delivered.consumer_sequence), (0, 4));
}

/// What was stored before a server died, and not acknowledged, comes again.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_again_changes_nothing() {
    let nats = NatsServer::start().await;
    let mut server = server(&nats).await;
    let context = nats.context().await;
    until_taken(&context).await;
    let mut messages = vec![execution("a").to_string(), execution("b").to_string(), "nonsense".to_owned()];
    messages.push(messages[0].clone());
    for message in &messages {
        publish(&context, message).await;
    }
    until_acknowledged(&context).await;
    let state = async || {
        let rows: Vec<(String, String)> =
            sqlx::query_as("select task_id, to_jsonb(l)::text from task_execution_logs l order by 1")
                .fetch_all(&server.pool)
                .await
                .unwrap();
        (rows, server.metrics_of("from_nats").await["total_executions"].clone())
    };
    let before = state().await;
    assert_eq!((before.0.len(), &before.1), (2, &json!(2)));
    // All of them are delivered anew.
    let stream = context.get_stream_no_info("TASKSCOPE").await.unwrap();
    stream.delete_consumer("taskscope").await.unwrap();
    until("the consumer is made anew", async || {
        consumer(&context).await.is_some_and(|info| info.delivered.consumer_sequence == 4)
    })
    .await;
    until_acknowledged(&context).await;
    assert_eq!(state().await, before);
    server.restart().await;
    assert!(readyz(&server).await.starts_with("ready"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nats_that_is_away_is_told_and_stops_nothing() {
    let mut nats = NatsServer::prepare(&[]);
    // It may come after the server.
    let server = server(&nats).await;
    until("that it is away", async || readyz(&server).await.contains("NATS is not reachable")).await;
    nats.launch().await;
    until("that it is there", async || !readyz(&server).await.contains("NATS is not reachable")).await;
    let context = nats.context().await;
    until_taken(&context).await;
    publish(&context, execution("before")).await;
    server.executions(1).await;
    nats.kill();
    until("that it is gone", async || readyz(&server).await.contains("NATS is not reachable")).await;
    server.report(&execution("by-http")).await;
    server.executions(2).await;
    assert_eq!(server.get("/readyz").await.status().as_u16(), 200);
    nats.launch().await;
    let context = nats.context().await;
    publish(&context, execution("after")).await;
    server.executions(3).await;
    until_acknowledged(&context).await;
    until("nothing is said of it", async || {
        let said = readyz(&server).await;
        !said.contains("not reachable") && !said.contains("can't be taken")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_and_a_password_stand_in_the_url() {
    let nats = NatsServer::start_with(&["--user", "taskscope", "--pass", "p@ss"]).await;
    let with = |user: &str| nats.url.replace("nats://", &format!("nats://{user}@"));
    let right = with("taskscope:p%40ss");
    let server = TestServer::start_with(|settings| settings.nats_url = Some(right)).await;
    let options = async_nats::ConnectOptions::with_user_and_password("taskscope".to_owned(), "p@ss".to_owned());
    let context = async_nats::jetstream::new(options.connect(&nats.url).await.unwrap());
    until_taken(&context).await;
    publish(&context, execution("a")).await;
    server.executions(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nats_that_acknowledges_before_its_disk_has_it_is_named() {
    const WEAK: &str = "acknowledges events before they are on its disk, and syncs every 120 s";
    let mut nats = NatsServer::start().await;
    let by_default = server(&nats).await;
    until("the warning", async || readyz(&by_default).await.contains(WEAK)).await;
    assert!(readyz(&by_default).await.contains("1 of the 3 copies"));
    let mut watcher = by_default.watch("").await;
    let state = watcher.next_message().await;
    assert!(state["notices"].to_string().contains(WEAK), "the page is told: {state}");

    // What nats-server 2.15.1 says of itself, without sync_interval: always and then with it; Debian's can't be set so.
    let always = Arc::new(AtomicBool::new(false));
    let monitor = monitor(Arc::clone(&always)).await;
    let changed = TestServer::start_with(|settings| {
        settings.nats_url = Some(nats.url.clone());
        settings.nats_monitor_url = Some(monitor);
    })
    .await;
    until("the warning", async || readyz(&changed).await.contains(WEAK)).await;
    always.store(true, Ordering::Relaxed);
    nats.kill();
    nats.launch().await;
    until("no warning", async || !readyz(&changed).await.contains("its disk")).await;
    assert!(readyz(&changed).await.contains("1 of the 3 copies"));

    let unknown = TestServer::start_with(|settings| settings.nats_url = Some(nats.url.clone())).await;
    until("that it isn't known", async || readyz(&unknown).await.contains("It is not known whether NATS")).await;
    assert_eq!(client().get(format!("{}/readyz", unknown.base)).send().await.unwrap().status().as_u16(), 200);
}

/// A monitoring endpoint that says what it is told to.
async fn monitor(always: Arc<AtomicBool>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.read(&mut [0; 1024]).await;
            let mut config = json!({"sync_interval": 120_000_000_000_u64, "strict": true});
            if always.load(Ordering::Relaxed) {
                config["sync_always"] = json!(true);
            }
            let body = json!({"server_name": "a", "version": "2.15.1", "jetstream": {"config": config}}).to_string();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length";
            let _ = socket.write_all(format!("{head}: {}\r\n\r\n{body}", body.len()).as_bytes()).await;
        }
    });
    url
}
