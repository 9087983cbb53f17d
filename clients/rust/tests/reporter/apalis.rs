use std::{
    convert::Infallible,
    future::{Ready, ready},
};

use apalis_core::{
    backend::{TaskSink, memory::MemoryStorage},
    error::BoxDynError,
    task::{Task, attempt::Attempt, builder::TaskBuilder, task_id::TaskId},
    worker::{builder::WorkerBuilder, context::WorkerContext},
};
use serde_json::json;
use taskscope_client::apalis::{self, ReportLayer};
use taskscope_wire::{Attribution, EventKind, TaskEvent};
use tower::retry::{Policy, RetryLayer};

use crate::{
    LONG, builder,
    server::{Server, value},
};

/// Tries a task again until it succeeds.
#[derive(Clone)]
struct Again;

impl<Res, E> Policy<Task<u32>, Res, E> for Again {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut Task<u32>, result: &mut Result<Res, E>) -> Option<Ready<()>> {
        result.is_err().then(|| ready(()))
    }

    fn clone_request(&mut self, task: &Task<u32>) -> Option<Task<u32>> {
        Some(task.clone())
    }
}

fn attempt(event: &TaskEvent) -> i32 {
    match event.attribution {
        Attribution::Attempt(attempt) => attempt,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_try_of_a_worker_is_reported_with_the_attempt_that_the_task_sees() {
    let server = Server::start();
    let reporter = builder(&server).start().unwrap();
    let mut storage = MemoryStorage::new();
    let task = TaskBuilder::new(7u32).task_id(TaskId::from("order-7".to_owned())).max_attempts(4).queue("orders".into());
    storage.push_task(task.build()).await.unwrap();

    async fn third_time(order: u32, attempt: Attempt, worker: WorkerContext) -> Result<usize, BoxDynError> {
        match attempt.current() {
            3 => {
                worker.stop()?;
                Ok(3)
            }
            attempt => Err(format!("order {order}, attempt {attempt}").into()),
        }
    }

    let worker = WorkerBuilder::new("orders")
        .backend(storage)
        .layer(RetryLayer::new(Again))
        .layer(ReportLayer::named(reporter.clone(), "orders.charge").result(|n: &usize| Some(value(json!(n)))))
        .build(third_time);
    worker.run().await.unwrap();
    assert!(reporter.flush(LONG).await);

    let events = server.events();
    assert_eq!(events.iter().map(attempt).collect::<Vec<_>>(), [1, 1, 2, 2, 3, 3]);
    for event in &events {
        assert_eq!((event.task_id.as_str(), event.task_name.as_deref()), ("order-7", Some("orders.charge")));
        assert_eq!((event.max_retries, event.queue.as_deref()), (Some(3), Some("orders")));
    }
    let ends = server.ends();
    // The task has seen the same numbers.
    assert_eq!(ends[0].error_message.as_deref(), Some("order 7, attempt 1"));
    assert_eq!(ends[1].error_message.as_deref(), Some("order 7, attempt 2"));
    assert_eq!((ends[2].failed, ends[2].result.as_ref().unwrap().as_str()), (false, "3"));
}

#[tokio::test]
async fn an_attempt_that_the_backend_counted_is_taken_on() {
    let server = Server::start();
    let reporter = builder(&server).start().unwrap();
    let mut storage = MemoryStorage::new();
    storage.push_task(TaskBuilder::new(7u32).attempt(2).build()).await.unwrap();

    async fn stop(_: u32, attempt: Attempt, worker: WorkerContext) -> Result<(), BoxDynError> {
        assert_eq!(attempt.current(), 3);
        Ok(worker.stop()?)
    }

    let describe = |task: &Task<u32>| apalis::work("orders.charge", task).params(json!({ "order": task.args }));
    let layer = ReportLayer::new(reporter.clone(), describe);
    WorkerBuilder::new("orders").backend(storage).layer(layer).build(stop).run().await.unwrap();
    assert!(reporter.flush(LONG).await);

    let [started, finished] = &server.events()[..] else { panic!("two events") };
    assert_eq!((attempt(started), attempt(finished)), (3, 3));
    assert_eq!(started.params, Some(json!({ "order": 7 }).into()));
    assert!(!started.task_id.is_empty(), "the storage gave it an id");
    assert!(matches!(&finished.kind, EventKind::Finished(end) if !end.failed));
}

#[tokio::test]
async fn a_task_that_panics_is_reported_before_it_takes_the_worker_down() {
    let server = Server::start();
    let reporter = builder(&server).start().unwrap();
    let mut storage = MemoryStorage::new();
    storage.push(7u32).await.unwrap();

    async fn explode(_: u32) -> Result<(), Infallible> {
        panic!("no money")
    }

    let layer = ReportLayer::named(reporter.clone(), "orders.charge");
    let worker = WorkerBuilder::new("orders").backend(storage).layer(layer).build(explode);
    assert!(tokio::spawn(worker.run()).await.unwrap_err().is_panic());
    assert!(reporter.flush(LONG).await);
    let end = &server.ends()[0];
    assert_eq!((end.error_type.as_deref(), end.error_message.as_deref()), (Some("panic"), Some("no money")));
}
