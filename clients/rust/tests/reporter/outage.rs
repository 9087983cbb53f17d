use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::json;
use taskscope_client::{Reporter, Work};
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    LONG, builder, run_alone,
    server::{Reply, Server},
    until, work,
};

fn report(reporter: &Reporter, ids: impl IntoIterator<Item = u32>) {
    ids.into_iter().for_each(|id| reporter.queued(&work(id)));
}

fn ids(ids: impl IntoIterator<Item = u32>) -> Vec<String> {
    ids.into_iter().map(|id| id.to_string()).collect()
}

#[tokio::test]
async fn nothing_is_lost_while_the_server_is_away() {
    let mut server = Server::away();
    let reporter = builder(&server).start().unwrap();
    report(&reporter, 0..700);
    assert!(!reporter.flush(Duration::from_millis(50)).await);
    server.come_back();
    assert!(reporter.flush(LONG).await);
    report(&reporter, 700..1000);
    assert!(reporter.flush(LONG).await);

    server.go_away();
    report(&reporter, 1000..2000);
    assert!(!reporter.flush(Duration::from_millis(50)).await);
    server.come_back();
    assert!(reporter.flush(LONG).await);
    assert_eq!(server.task_ids(), ids(0..2000));
    let stats = reporter.stats();
    assert_eq!((stats.sent, stats.dropped, stats.refused, stats.buffered), (2000, 0, 0, 0));
}

#[tokio::test]
async fn beyond_the_buffer_the_new_events_are_dropped_and_counted_exactly() {
    let mut server = Server::start();
    server.reply([Reply::Hang]);
    let reporter = builder(&server).buffer_events(1200).heartbeat(Some(Duration::from_millis(100))).start().unwrap();
    report(&reporter, 0..500);
    // What the sender has taken still counts.
    until("a batch is under way", || server.batches().len() == 1).await;
    server.go_away();
    report(&reporter, 500..2000);
    let stats = reporter.stats();
    assert_eq!((stats.buffered, stats.dropped), (1200, 800));
    server.come_back();
    assert!(reporter.flush(LONG).await);
    assert_eq!(server.task_ids(), ids(0..1200));
    let told = || server.heartbeats().last().is_some_and(|beat| beat.dropped == 800 && beat.buffered == 0);
    until("the heartbeat tells of it", told).await;
    report(&reporter, [2000]);
    assert!(reporter.flush(LONG).await);
    assert_eq!((reporter.stats().sent, reporter.stats().dropped), (1201, 800), "there is room again");
}

#[tokio::test]
async fn many_threads_drop_exactly_what_has_no_room() {
    let server = Server::away();
    let reporter = builder(&server).buffer_events(1000).start().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let reporter = &reporter;
            scope.spawn(move || report(reporter, (0..500).map(|n| thread * 500 + n)));
        }
    });
    assert_eq!((reporter.stats().buffered, reporter.stats().dropped), (1000, 3000));
}

#[tokio::test]
async fn the_buffer_is_bounded_by_bytes() {
    let mut server = Server::away();
    let reporter = builder(&server).buffer_bytes(1_000_000).start().unwrap();
    for id in 0..100 {
        reporter.queued(&Work::new(id.to_string(), "t").params(json!("x".repeat(20_000))));
    }
    let stats = reporter.stats();
    assert!((45..=50).contains(&stats.buffered), "{stats:?}");
    assert_eq!(stats.buffered + stats.dropped, 100);
    server.come_back();
    assert!(reporter.flush(LONG).await);
    assert_eq!(server.events().len() as u64, stats.buffered);
}

#[tokio::test]
async fn an_answer_that_is_lost_costs_a_repetition_and_no_event() {
    let mut server = Server::start();
    server.reply([Reply::Hang]);
    let reporter = builder(&server).start().unwrap();
    report(&reporter, 0..3);
    until("a request", || server.batches().len() == 1).await;
    server.go_away();
    server.come_back();
    assert!(reporter.flush(LONG).await);
    assert_eq!(server.task_ids(), ids(0..3));
}

/// The reporters of other tests would settle what is logged before this one's subscriber is there.
#[test]
fn an_outage_is_logged_once() {
    run_alone("outage::two_outages_are_logged_twice", &[]);
}

#[tokio::test]
#[ignore = "run by the test above"]
async fn two_outages_are_logged_twice() {
    let log = Captured::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let mut server = Server::away();
    let reporter = builder(&server).start().unwrap();
    for outage in 1..=2 {
        report(&reporter, [outage]);
        server.come_back();
        server.reply([Reply::Status(503, None), Reply::Status(500, None)]);
        assert!(reporter.flush(LONG).await);
        assert_eq!(log.count("doesn't take events now"), outage as usize);
        assert_eq!(log.count("takes events again"), outage as usize);
        server.go_away();
    }
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn count(&self, words: &str) -> usize {
        String::from_utf8_lossy(&self.0.lock().unwrap()).matches(words).count()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
