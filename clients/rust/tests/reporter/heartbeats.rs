use std::time::Duration;

use taskscope_client::Reporter;

use crate::{
    LONG, builder,
    server::{Reply, Server},
    until, work,
};

const OFTEN: Option<Duration> = Some(Duration::from_millis(100));

#[tokio::test]
async fn a_worker_tells_who_it_is_at_once() {
    let server = Server::start();
    // The second one would come in an hour.
    let builder = builder(&server).heartbeat(Some(Duration::from_secs(7200))).version("2.1").queues(["a", "b"]).concurrency(8);
    let reporter = builder.start().unwrap();
    until("a heartbeat", || server.heartbeats().len() == 1).await;
    let beat = &server.heartbeats()[0];
    assert_eq!((beat.worker.as_str(), beat.pid), (reporter.worker(), std::process::id()));
    assert_eq!(
        (beat.version.as_deref(), &beat.queues[..], beat.concurrency),
        (Some("2.1"), &["a".into(), "b".into()][..], Some(8))
    );
    assert_eq!((beat.interval_ms, beat.stopping), (3_600_000, false));
    assert!(beat.client.starts_with("taskscope-client "));
    let parts = reporter.worker().rsplitn(3, ':').collect::<Vec<_>>();
    assert_eq!((parts[0].len(), parts[1], parts[2]), (4, beat.pid.to_string().as_str(), beat.host.as_str()));
}

#[tokio::test]
async fn heartbeats_go_on_while_a_batch_is_stuck() {
    let server = Server::start();
    server.reply([Reply::Hang]);
    let reporter = builder(&server).heartbeat(OFTEN).start().unwrap();
    let run = reporter.start(work(1));
    until("the batch is stuck", || server.batches().len() == 1).await;
    let before = server.heartbeats().len();
    until("three more heartbeats", || server.heartbeats().len() >= before + 3).await;
    let beat = server.heartbeats().pop().unwrap();
    assert_eq!((beat.buffered, beat.running, beat.dropped), (1, 1, 0));
    assert_eq!(server.batches().len(), 1);
    run.succeed(None);
}

#[tokio::test]
async fn heartbeats_count_what_was_refused() {
    let server = Server::start();
    let reporter = builder(&server).heartbeat(OFTEN).start().unwrap();
    reporter.queued(&work(""));
    until("a heartbeat tells of it", || server.heartbeats().last().is_some_and(|beat| beat.dropped == 1)).await;
}

#[tokio::test]
async fn the_last_heartbeat_says_that_the_worker_stops() {
    let server = Server::start();
    let reporter = builder(&server).heartbeat(OFTEN).start().unwrap();
    reporter.start(work(1)).succeed(None);
    assert!(reporter.shutdown(LONG).await);
    let beats = server.heartbeats();
    let (last, before) = beats.split_last().unwrap();
    assert!(last.stopping && before.iter().all(|beat| !beat.stopping), "{beats:?}");
    assert_eq!((last.running, last.buffered, last.dropped, server.events().len()), (0, 0, 0, 2));
    assert!(reporter.shutdown(LONG).await, "a second time does nothing");
    assert_eq!(server.heartbeats().len(), beats.len());
}

#[tokio::test]
async fn a_shutdown_that_loses_events_says_so_in_the_last_heartbeat() {
    let server = Server::start();
    server.reply([Reply::Hang]);
    let reporter = builder(&server).heartbeat(OFTEN).start().unwrap();
    reporter.start(work(1)).succeed(None);
    until("the batch is stuck", || server.batches().len() == 1).await;
    assert!(!reporter.shutdown(Duration::from_secs(4)).await);
    let last = server.heartbeats().pop().unwrap();
    assert_eq!((last.stopping, last.dropped, last.buffered), (true, 2, 0));
}

#[tokio::test]
async fn a_producer_is_no_worker() {
    let server = Server::start();
    let reporter = builder(&server).start().unwrap();
    reporter.queued(&work(1));
    assert!(reporter.shutdown(LONG).await);
    assert_eq!((server.events().len(), server.heartbeats().len()), (1, 0));
}

#[tokio::test]
async fn workers_have_names_of_their_own() {
    let server = Server::away();
    let names = (0..20).map(|_| Reporter::builder(server.url()).start().unwrap().worker().to_owned());
    let mut names = names.collect::<Vec<_>>();
    names.sort();
    names.dedup();
    assert!(names.len() > 1);
}
