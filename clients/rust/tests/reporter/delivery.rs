use std::time::Duration;

use serde_json::json;
use taskscope_client::{Failure, Reporter, Work};
use taskscope_wire::{Attribution, EventKind, Source};

use crate::{
    LONG, builder,
    server::{Reply, Server, value},
    until, work,
};

#[tokio::test]
async fn a_task_is_reported_from_its_queue_to_its_end() {
    let server = Server::start();
    let reporter = builder(&server).worker_name("web-1:7:00ff").start().unwrap();
    let work = Work::new("7", "orders.charge").attempt(2).max_retries(3).queue("orders");
    let work = work.params(json!({ "order": 7 })).labels(json!({ "tenant": "acme" }));

    reporter.queued(&work);
    reporter.start(work).succeed(Some(value(json!({ "charged": true }))));
    assert!(reporter.flush(LONG).await);

    let [queued, started, finished] = &server.events()[..] else { panic!("three events") };
    for event in [queued, started, finished] {
        assert_eq!((event.source, event.attribution), (Source::Native, Attribution::Attempt(2)));
        assert_eq!((event.task_id.as_str(), event.task_name.as_deref()), ("7", Some("orders.charge")));
        assert_eq!((event.max_retries, event.queue.as_deref()), (Some(3), Some("orders")));
        assert_eq!(event.params, Some(json!({ "order": 7 }).into()));
        assert_eq!(event.labels, Some(json!({ "tenant": "acme" }).into()));
    }
    assert_eq!((&queued.kind, queued.worker.as_deref()), (&EventKind::Queued, None));
    assert_eq!((&started.kind, started.worker.as_deref()), (&EventKind::Started, Some("web-1:7:00ff")));
    assert_eq!(finished.worker.as_deref(), Some("web-1:7:00ff"));
    let EventKind::Finished(end) = &finished.kind else { panic!("an end") };
    assert!(!end.failed && end.duration_ms.is_some());
    assert_eq!(end.started_at, Some(started.at));
    assert!(finished.at >= started.at);
    assert_eq!(end.result, Some(json!({ "charged": true }).into()));
    assert_eq!((reporter.stats().sent, reporter.stats().buffered), (3, 0));
}

#[tokio::test]
async fn times_have_microseconds_and_are_utc() {
    let server = Server::start();
    let reporter = builder(&server).start().unwrap();
    reporter.start(work(1)).succeed(None);
    assert!(reporter.flush(LONG).await);
    let texts = server.texts();
    for (event, field) in [(0, "timestamp"), (1, "timestamp"), (1, "started_at")] {
        let time = texts[event][field].as_str().unwrap();
        let fraction = time.split_once('.').unwrap().1;
        assert!(fraction.len() == 7 && fraction.ends_with('Z'), "{time}");
    }
}

#[tokio::test]
async fn a_failure_is_reported_with_all_that_is_known() {
    let server = Server::start();
    let reporter = builder(&server).start().unwrap();
    let failure = Failure::new("declined").error_type("shop::Declined").traceback("declined\ncaused by: no money");
    reporter.start(work(1)).fail(failure);
    assert!(reporter.flush(LONG).await);
    let end = &server.ends()[0];
    assert!(end.failed);
    assert_eq!(end.error_type.as_deref(), Some("shop::Declined"));
    assert_eq!(end.error_message.as_deref(), Some("declined"));
    assert_eq!(end.error_traceback.as_deref(), Some("declined\ncaused by: no money"));
}

#[tokio::test]
async fn a_refused_event_costs_no_other() {
    let server = Server::start();
    let reporter = builder(&server).start().unwrap();
    for id in ["1", "", "2"] {
        reporter.queued(&work(id));
    }
    assert!(reporter.flush(LONG).await);
    assert_eq!(server.task_ids(), ["1", "2"]);
    let stats = reporter.stats();
    assert_eq!((stats.sent, stats.refused, stats.dropped, stats.buffered), (2, 1, 0, 0));
}

#[tokio::test]
async fn a_batch_that_is_refused_is_never_sent_again() {
    let server = Server::start();
    let reporter = builder(&server).start().unwrap();
    reporter.queued(&work(""));
    assert!(reporter.flush(LONG).await);
    reporter.queued(&work(2));
    assert!(reporter.flush(LONG).await);
    assert_eq!((server.batches().len(), server.task_ids()), (2, vec!["2".to_owned()]));
    assert_eq!((reporter.stats().sent, reporter.stats().refused), (1, 1));
}

#[tokio::test]
async fn events_wait_until_the_token_is_right() {
    let server = Server::start();
    server.ask_for_token("new");
    let reporter = builder(&server).token("old").start().unwrap();
    reporter.queued(&work(1));
    until("a second try", || server.batches().len() >= 2).await;
    assert_eq!((server.task_ids().len(), reporter.stats().buffered), (0, 1));
    server.ask_for_token("old");
    assert!(reporter.flush(LONG).await);
    assert_eq!(server.task_ids(), ["1"]);
}

#[tokio::test]
async fn an_overloaded_server_is_left_alone_as_long_as_it_asks() {
    let server = Server::start();
    server.reply([Reply::Status(503, Some(1))]);
    let reporter = builder(&server).start().unwrap();
    reporter.queued(&work(1));
    assert!(reporter.flush(LONG).await);
    let [first, second] = &server.batches()[..] else { panic!("two requests") };
    assert!(second.at - first.at >= Duration::from_secs(1));
    assert_eq!(first.body, second.body);
    assert_eq!(server.task_ids(), ["1"]);
}

#[tokio::test]
async fn whatever_is_no_answer_is_tried_again_with_the_same_batch() {
    let server = Server::start();
    let elsewhere = Server::start();
    server.reply([
        Reply::Status(500, None),
        Reply::Status(404, None),
        Reply::Redirect(format!("{}/api/v1/events", elsewhere.url())),
        Reply::TakeAndSayNothingUseful,
    ]);
    let reporter = builder(&server).start().unwrap();
    reporter.queued(&work(1));
    assert!(reporter.flush(LONG).await);
    let batches = server.batches();
    assert_eq!(batches.len(), 5);
    assert!(batches.iter().all(|batch| batch.body == batches[0].body));
    assert_eq!(elsewhere.batches().len(), 0, "a redirect is not followed");
    assert_eq!(reporter.stats().sent, 1);
}

#[tokio::test]
async fn a_server_that_never_answers_is_asked_again() {
    let server = Server::start();
    server.reply([Reply::Hang]);
    let reporter = builder(&server).request_limit(Duration::from_millis(200)).start().unwrap();
    reporter.queued(&work(1));
    assert!(reporter.flush(LONG).await);
    assert_eq!((server.batches().len(), server.task_ids()), (2, vec!["1".to_owned()]));
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_halved_until_it_fits() {
    let server = Server::start();
    server.take_at_most(3);
    let reporter = builder(&server).start().unwrap();
    for id in 0..20 {
        reporter.queued(&work(id));
    }
    assert!(reporter.flush(LONG).await);
    assert_eq!(server.task_ids(), (0..20).map(|id| id.to_string()).collect::<Vec<_>>());
    assert_eq!(reporter.stats().sent, 20);
}

#[tokio::test]
async fn one_event_that_is_too_large_alone_is_refused() {
    let server = Server::start();
    server.take_at_most(0);
    let reporter = builder(&server).start().unwrap();
    for id in 0..3 {
        reporter.queued(&work(id));
    }
    assert!(reporter.flush(LONG).await);
    assert_eq!((reporter.stats().sent, reporter.stats().refused), (0, 3));
}

#[tokio::test]
async fn a_url_may_have_a_path() {
    let server = Server::start();
    for base in [server.url(), format!("{}/", server.url())] {
        let reporter = Reporter::builder(base).heartbeat(None).start().unwrap();
        reporter.queued(&work(1));
        assert!(reporter.flush(LONG).await);
    }
    let reporter = Reporter::builder(format!("{}/monitor", server.url())).heartbeat(None).start().unwrap();
    reporter.queued(&work(1));
    assert!(!reporter.flush(Duration::from_millis(300)).await, "the test server has nothing there");
    assert_eq!(server.events().len(), 2);
}
