use std::time::Duration;

use taskscope_client::{Reporter, StartError};
use tokio::runtime::{Builder, Handle};

use crate::{
    LONG, builder,
    server::{Reply, Server},
    until, work,
};

#[tokio::test]
async fn what_is_no_url_is_refused_at_the_start() {
    for url in ["", "localhost", "ftp://host", "mailto:a@b", "http://", "http://me:secret@host", "http://host?q=1"] {
        let result = Reporter::builder(url).start();
        assert!(matches!(result, Err(StartError::Url { .. })), "{url}: {result:?}");
    }
    let result = Reporter::builder("http://127.0.0.1:1").token("a\nb").start();
    assert!(matches!(result, Err(StartError::Token)));
}

#[test]
fn without_a_runtime_there_is_an_error() {
    assert!(matches!(Reporter::builder("http://127.0.0.1:1").start(), Err(StartError::NoRuntime)));
}

#[test]
fn a_reporter_outlives_its_runtime_and_harms_nobody() {
    let server = Server::start();
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let reporter = runtime.block_on(async { builder(&server).heartbeat(Some(LONG)).start().unwrap() });
    server.reply([Reply::Hang]);
    let run = reporter.start(work(1));
    drop(runtime);
    run.succeed(None);
    reporter.start(work(2)).succeed(None);
    reporter.queued(&work(3));
    let stats = reporter.stats();
    assert_eq!((stats.sent, stats.dropped, stats.buffered, stats.running), (0, 5, 0, 0));

    let other = Builder::new_current_thread().enable_all().build().unwrap();
    assert!(!other.block_on(reporter.flush(LONG)));
    assert!(!other.block_on(reporter.shutdown(LONG)));
    // Not even a runtime is needed.
    assert!(!futures::executor::block_on(reporter.flush(LONG)));
}

#[test]
fn it_may_be_flushed_from_anywhere() {
    let server = Server::start();
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let reporter = runtime.block_on(async { builder(&server).start().unwrap() });
    reporter.start(work(1)).succeed(None);
    assert!(futures::executor::block_on(reporter.flush(LONG)));
    assert_eq!(server.events().len(), 2);
}

#[tokio::test]
async fn nothing_stays_behind_when_the_last_clone_is_dropped() {
    let server = Server::start();
    let alive = || Handle::current().metrics().num_alive_tasks();
    assert_eq!(alive(), 0);
    let reporter = builder(&server).heartbeat(Some(Duration::from_millis(100))).start().unwrap();
    let run = reporter.clone().start(work(1));
    assert!(reporter.flush(LONG).await);
    until("a heartbeat", || !server.heartbeats().is_empty()).await;
    drop(reporter);
    assert!(alive() >= 2, "the run holds it");
    drop(run);
    until("the background tasks end", || alive() == 0).await;
}

#[tokio::test]
async fn what_is_reported_after_the_shutdown_is_dropped_and_counted() {
    let server = Server::start();
    let reporter = builder(&server).start().unwrap();
    let run = reporter.start(work(1));
    assert!(reporter.shutdown(LONG).await);
    run.succeed(None);
    assert_eq!((reporter.stats().sent, reporter.stats().dropped), (1, 1));
    assert!(reporter.flush(LONG).await, "nothing waits");
}

#[tokio::test]
async fn a_flush_doesnt_wait_for_company() {
    let server = Server::start();
    let reporter = builder(&server).flush_interval(Duration::from_secs(86_400)).start().unwrap();
    for round in 1..=3 {
        (0..700).for_each(|id| reporter.queued(&work(id)));
        assert!(reporter.flush(LONG).await);
        assert_eq!(server.events().len(), round * 700);
    }
}

#[tokio::test]
async fn a_full_batch_doesnt_wait_for_company() {
    let server = Server::start();
    let reporter = builder(&server).flush_interval(Duration::from_secs(86_400)).start().unwrap();
    tokio::task::yield_now().await;
    (0..1000).for_each(|id| reporter.queued(&work(id)));
    until("two full batches", || server.events().len() == 1000).await;
    reporter.queued(&work(1000));
    let big = || work("big").params(taskscope_client::Json::string(&"x".repeat(60_000)));
    (0..80).for_each(|_| reporter.queued(&big()));
    until("a batch that is full of bytes", || server.events().len() > 1000).await;
}
