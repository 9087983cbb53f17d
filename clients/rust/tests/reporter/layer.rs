use std::{collections::BTreeMap, convert::Infallible, panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt;
use serde_json::json;
use taskscope_client::{ReportLayer, Reporter, Work};
use taskscope_wire::EventKind;
use tower::{ServiceBuilder, ServiceExt, service_fn};

use crate::{
    LONG, builder,
    server::{Server, value},
    until, work,
};

fn described(reporter: &Reporter) -> ReportLayer<impl Fn(&u32) -> Option<Work> + use<>> {
    ReportLayer::new(reporter.clone(), |id: &u32| Some(work(id)))
}

#[tokio::test]
async fn calls_are_reported_with_their_results() {
    let server = Server::start();
    let reporter = builder(&server).start().unwrap();
    let double = service_fn(async |n: u32| if n < 10 { Ok(2 * n) } else { Err("x".parse::<u32>().unwrap_err()) });
    let layer = described(&reporter).result(|n: &u32| Some(value(json!(n))));
    let service = ServiceBuilder::new().layer(layer).service(double);
    assert_eq!(service.clone().oneshot(4).await.unwrap(), 8);
    let error = service.clone().oneshot(12).await.unwrap_err();
    assert!(error.is::<std::num::ParseIntError>(), "the error goes on");
    assert!(reporter.flush(LONG).await);
    let [ok, failed] = &server.ends()[..] else { panic!("two ends") };
    assert_eq!((ok.failed, ok.result.as_ref().unwrap().as_str()), (false, "8"));
    assert_eq!(failed.error_message.as_deref(), Some("invalid digit found in string"));
    assert_eq!(failed.error_type.as_deref(), Some("ParseIntError"));
}

#[tokio::test]
async fn a_panic_is_reported_with_its_message_and_goes_on() {
    let server = Server::start();
    let reporter = builder(&server).start().unwrap();
    let sync = service_fn(|n: u32| {
        assert!(n != 1, "at once");
        async move {
            tokio::task::yield_now().await;
            assert!(n != 2, "later");
            Ok::<_, Infallible>(())
        }
    });
    let service = ServiceBuilder::new().layer(described(&reporter)).service(sync);
    for (id, message) in [(1, "at once"), (2, "later")] {
        let panic = AssertUnwindSafe(async { service.clone().oneshot(id).await }).catch_unwind().await.unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&message));
    }
    assert!(reporter.flush(LONG).await);
    let ends = server.ends();
    let messages = ends.iter().map(|end| end.error_message.as_deref().unwrap()).collect::<Vec<_>>();
    assert_eq!(messages, ["at once", "later"]);
    assert!(ends.iter().all(|end| end.failed && end.error_type.as_deref() == Some("panic")));
}

#[tokio::test]
async fn a_call_that_is_dropped_was_cancelled() {
    let server = Server::start();
    let reporter = builder(&server).start().unwrap();
    let never = service_fn(|_: u32| std::future::pending::<Result<(), Infallible>>());
    let service = ServiceBuilder::new().layer(described(&reporter)).service(never);
    assert!(tokio::time::timeout(Duration::from_millis(5), service.clone().oneshot(1)).await.is_err());
    let task = tokio::spawn(service.oneshot(2));
    until("it runs", || reporter.stats().running == 1).await;
    task.abort();
    until("it ends", || reporter.stats().running == 0).await;
    assert!(reporter.flush(LONG).await);
    assert!(server.ends().iter().all(|end| end.error_type.as_deref() == Some("cancelled")));
    assert_eq!(server.events().len(), 4);
}

#[tokio::test]
async fn what_is_not_described_is_not_reported() {
    let server = Server::start();
    let reporter = builder(&server).start().unwrap();
    let layer = ReportLayer::new(reporter.clone(), |id: &u32| match id {
        0 => None,
        1 => panic!("a closure of mine"),
        id => Some(work(id)),
    });
    let layer = layer.result(|_: &u32| panic!("another closure of mine"));
    let echo = service_fn(async |n: u32| Ok::<_, Infallible>(n));
    let service = ServiceBuilder::new().layer(layer).service(echo);
    for id in 0..3 {
        assert_eq!(service.clone().oneshot(id).await.unwrap(), id);
    }
    assert!(reporter.flush(LONG).await);
    assert_eq!(server.task_ids(), ["2", "2"]);
    assert_eq!(server.ends()[0].result, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_tasks_at_once_are_each_reported_once() {
    const TASKS: u32 = 10_000;
    let server = Server::start();
    let reporter = builder(&server).start().unwrap();
    let all_run = std::sync::Arc::new(tokio::sync::Barrier::new(TASKS as usize));
    let wait = service_fn(move |n: u32| {
        let all_run = std::sync::Arc::clone(&all_run);
        async move {
            all_run.wait().await;
            if n.is_multiple_of(3) { Err(format!("no {n}")) } else { Ok(n) }
        }
    });
    let service = ServiceBuilder::new().layer(described(&reporter)).service(wait);
    let tasks = (0..TASKS).map(|id| tokio::spawn(service.clone().oneshot(id))).collect::<Vec<_>>();
    futures::future::join_all(tasks).await;
    assert!(reporter.flush(LONG).await);

    let mut seen = BTreeMap::<u32, (u32, u32)>::new();
    for event in server.events() {
        let id = event.task_id.parse().unwrap();
        let (starts, ends) = seen.entry(id).or_default();
        match event.kind {
            EventKind::Started => *starts += 1,
            EventKind::Finished(end) if end.failed == id.is_multiple_of(3) => *ends += 1,
            other => panic!("{id}: {other:?}"),
        }
    }
    assert_eq!(seen.len(), TASKS as usize);
    assert!(seen.values().all(|counts| *counts == (1, 1)));
    let stats = reporter.stats();
    assert_eq!((stats.sent, stats.dropped, stats.refused, stats.running), (2 * u64::from(TASKS), 0, 0, 0));
}
