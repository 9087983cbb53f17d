//! Reports the tasks of an apalis worker.
//!
//! ```
//! use apalis_core::{backend::memory::MemoryStorage, worker::builder::WorkerBuilder};
//! use taskscope_client::{Reporter, apalis::ReportLayer};
//!
//! # async fn example() -> Result<(), taskscope_client::StartError> {
//! async fn charge(order: u32) {}
//!
//! let reporter = Reporter::builder("http://127.0.0.1:3000").queues(["orders"]).start()?;
//! let worker = WorkerBuilder::new("orders")
//!     .backend(MemoryStorage::new())
//!     .layer(ReportLayer::named(reporter, "orders.charge"))
//!     .build(charge);
//! # Ok(())
//! # }
//! ```
//!
//! The order of layers matters: a layer that tries a task again belongs before this one, so that each try is reported as an attempt.

use apalis_core::task::Task;
use tower_layer::Layer;

use crate::{Describe, Json, NoPreview, ReportService, Reporter, Work};

/// A layer for [`WorkerBuilder::layer`](apalis_core::worker::builder::WorkerBuilder::layer), which reports every task of the worker.
#[derive(Debug)]
pub struct ReportLayer<D, P = NoPreview>(crate::ReportLayer<D, P>);

/// Describes tasks by a name that they all have.
#[derive(Debug)]
pub struct Named(String);

/// Describes tasks by a closure.
#[derive(Debug)]
pub struct EveryTask<F>(F);

/// What apalis knows of a task that is about to run: its id, attempt, queue, and how often it may be retried.
#[must_use]
pub fn work<Args>(task_name: impl Into<String>, task: &Task<Args>) -> Work {
    // Only a task that was pushed past its backend has no id.
    let id = task.task_id().map_or_else(|| format!("{:016x}", fastrand::u64(..)), ToString::to_string);
    let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    Work {
        // apalis counts the attempt when it first polls the innermost service, so what stands here are the attempts before it.
        attempt: number(task.attempt()).saturating_add(1),
        max_retries: task.max_attempts().map(|attempts| number(attempts.saturating_sub(1))),
        queue: task.queue().map(ToString::to_string),
        ..Work::new(id, task_name)
    }
}

impl ReportLayer<Named> {
    /// Reports tasks by this name, as [`work`] describes them.
    #[must_use]
    pub fn named(reporter: Reporter, task_name: impl Into<String>) -> Self {
        Self(crate::ReportLayer::with(reporter, Named(task_name.into())))
    }
}

impl<F> ReportLayer<EveryTask<F>> {
    /// Reports tasks as `describe` says; [`work`] is a good beginning.
    #[must_use]
    pub fn new<Args>(reporter: Reporter, describe: F) -> Self
    where
        F: Fn(&Task<Args>) -> Work,
    {
        Self(crate::ReportLayer::with(reporter, EveryTask(describe)))
    }
}

impl<D, P> ReportLayer<D, P> {
    /// Reports a preview of what tasks return.
    #[must_use]
    pub fn result<Response, F>(self, preview: F) -> ReportLayer<D, F>
    where
        F: Fn(&Response) -> Option<Json>,
    {
        ReportLayer(self.0.result(preview))
    }
}

impl<D, P> Clone for ReportLayer<D, P> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S, D, P> Layer<S> for ReportLayer<D, P> {
    type Service = ReportService<S, D, P>;

    fn layer(&self, service: S) -> Self::Service {
        self.0.layer(service)
    }
}

impl<Args> Describe<Task<Args>> for Named {
    fn describe(&self, task: &Task<Args>) -> Option<Work> {
        Some(work(self.0.clone(), task))
    }
}

impl<Args, F: Fn(&Task<Args>) -> Work> Describe<Task<Args>> for EveryTask<F> {
    fn describe(&self, task: &Task<Args>) -> Option<Work> {
        Some((self.0)(task))
    }
}
