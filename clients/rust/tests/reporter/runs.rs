use std::panic::{AssertUnwindSafe, catch_unwind};

use taskscope_client::Reporter;
use taskscope_wire::Finish;

use crate::{LONG, builder, server::Server, work};

async fn only_end(server: &Server, reporter: &Reporter) -> Finish {
    assert!(reporter.flush(LONG).await);
    assert_eq!(reporter.stats().running, 0);
    let [end] = &server.ends()[..] else { panic!("one end") };
    end.clone()
}

#[tokio::test]
async fn a_run_that_is_dropped_was_cancelled() {
    let server = Server::start();
    let reporter = builder(&server).start().unwrap();
    drop(reporter.start(work(1)));
    let end = only_end(&server, &reporter).await;
    assert_eq!((end.failed, end.error_type.as_deref()), (true, Some("cancelled")));
    assert_eq!(end.error_message.as_deref(), Some("cancelled before it ended"));
}

#[tokio::test]
async fn a_future_that_is_aborted_was_cancelled() {
    let server = Server::start();
    let reporter = builder(&server).start().unwrap();
    let run = reporter.start(work(1));
    let task = tokio::spawn(async move {
        std::future::pending::<()>().await;
        run.succeed(None);
    });
    assert_eq!(reporter.stats().running, 1);
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(only_end(&server, &reporter).await.error_type.as_deref(), Some("cancelled"));
}

#[tokio::test]
async fn a_run_whose_thread_panics_reports_the_panic() {
    let server = Server::start();
    let reporter = builder(&server).start().unwrap();
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let _run = reporter.start(work(1));
        panic!("no money");
    }));
    assert!(panic.is_err());
    let end = only_end(&server, &reporter).await;
    assert_eq!((end.failed, end.error_type.as_deref()), (true, Some("panic")));
}

#[tokio::test]
async fn a_run_ends_once() {
    let server = Server::start();
    let reporter = builder(&server).start().unwrap();
    reporter.start(work(1)).succeed(None);
    assert!(!only_end(&server, &reporter).await.failed);
}

#[tokio::test]
async fn the_duration_is_that_of_the_run() {
    let server = Server::start();
    let reporter = builder(&server).start().unwrap();
    let run = reporter.start(work(1));
    tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    run.succeed(None);
    let end = only_end(&server, &reporter).await;
    assert!(end.duration_ms.is_some_and(|ms| ms >= 30), "{end:?}");
}
