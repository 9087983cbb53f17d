//! One attempt to run one task.

use std::{sync::Arc, time::Duration};

use apalis::prelude::{AbortError, BoxDynError, Task};
use serde_json::Value;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    Queue, WorkloadConfig,
    context::Context,
    failure::{Failure, Retry, TaskResult},
    panics,
    queue::Job,
    registry::{self, Definition},
    reporting::{self, Report},
};

/// The longest that a task waits for its next attempt of itself.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// What all attempts of a worker share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) queue: Queue,
    pub(crate) config: Arc<WorkloadConfig>,
    pub(crate) http: reqwest::Client,
    /// Ends the attempts that still run.
    pub(crate) cancel: CancellationToken,
}

/// Runs a task that apalis has fetched. It runs as a task of its own in the runtime, so that a slow one never keeps apalis' heartbeat
/// waiting; it ends with this future.
pub(crate) async fn run(shared: Arc<Shared>, task: Task<Value>) -> Result<(), BoxDynError> {
    let number = task.attempt();
    let task_id = task.task_id().map(ToString::to_string).unwrap_or_default();
    let job: Job = serde_json::from_value(task.args.clone()).map_err(AbortError::new)?;
    let definition =
        registry::find(&job.name).ok_or_else(|| AbortError::new(format!("this version has no task type {:?}", job.name)))?;
    let attempt = Attempt { shared, task_id, number, definition, params: job.params };
    AbortOnDropHandle::new(tokio::spawn(attempt.run())).await?
}

struct Attempt {
    shared: Arc<Shared>,
    task_id: String,
    /// From 1.
    number: usize,
    definition: &'static Definition,
    params: Value,
}

impl Attempt {
    async fn run(self) -> Result<(), BoxDynError> {
        let number = i32::try_from(self.number).unwrap_or(i32::MAX);
        let work = reporting::work(&self.task_id, self.definition, &self.params, number);
        let report = Report::start(self.shared.queue.reporter(), work);
        let outcome = self.limited().await;
        report.end(&outcome);
        match outcome {
            Ok(_) => Ok(()),
            Err(failure) => {
                if self.is_last(&failure) {
                    self.give_up(&failure).await;
                }
                Err(self.settle(&failure).await)
            }
        }
    }

    /// Whether the queue makes no other attempt after this failure.
    fn is_last(&self, failure: &Failure) -> bool {
        failure.retry() == Retry::Never || self.number >= usize::from(self.definition.max_attempts)
    }

    /// Does what the task type has to do when a task has failed for good.
    async fn give_up(&self, failure: &Failure) {
        let Some(give_up) = self.definition.body.give_up else { return };
        if let Err(error) = give_up(self.context(), self.params.clone(), failure.message()).await {
            tracing::warn!(error = %error.message(), id = %self.task_id, "what waits for a task that failed can't be told");
        }
    }

    /// Runs the body within its limits.
    async fn limited(&self) -> TaskResult<Value> {
        if self.number > usize::from(self.definition.max_attempts) {
            // The queue gives a task back whose worker died, however often that was.
            return Err(Failure::permanent(format!("given up: its worker died in each of {} attempts", self.number - 1)));
        }
        let limit = self.definition.time_limit(&self.shared.config);
        tokio::select! {
            outcome = panics::caught(self.body()) => outcome,
            () = tokio::time::sleep(limit) => Err(Failure::new(format!("timed out after {} s", limit.as_secs_f64()))),
            () = self.shared.cancel.cancelled() => {
                Err(Failure::new("cancelled: the worker stopped before the task was done").retry_after(Duration::ZERO))
            }
        }
    }

    async fn body(&self) -> TaskResult<Value> {
        (self.definition.body.run)(self.context(), self.params.clone()).await
    }

    fn context(&self) -> Arc<Context> {
        Arc::new(Context {
            pool: self.shared.queue.pool().clone(),
            config: Arc::clone(&self.shared.config),
            http: self.shared.http.clone(),
            task_id: self.task_id.clone(),
            queue: self.shared.queue.clone(),
        })
    }

    /// Tells the queue when to try again, and gives the error by which apalis knows whether to.
    async fn settle(&self, failure: &Failure) -> BoxDynError {
        tracing::warn!(task = self.definition.name, id = %self.task_id, attempt = self.number, error = %failure.message(), "a task failed");
        let pause = match failure.retry() {
            Retry::Never => return AbortError::new(failure.message()).into(),
            Retry::After(pause) => pause,
            Retry::Usual => back_off(self.shared.config.retry_pause(), self.number),
        };
        if let Err(error) = self.shared.queue.postpone(&self.task_id, pause).await {
            tracing::warn!(%error, id = %self.task_id, "the next attempt can't be put off");
        }
        failure.message().into()
    }
}

/// Twice as long after each attempt, and a quarter more or less at random, so that what failed together doesn't come back together.
fn back_off(first: Duration, attempt: usize) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX).min(20);
    let usual = first.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST_PAUSE);
    usual.mul_f64(rand::random_range(0.75..1.25))
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;

    /// An attempt of a body that panics, with a database that is not there.
    fn panicking() -> Attempt {
        let pool = PgPool::connect_lazy("postgres://localhost:9/none").unwrap();
        let shared = Shared {
            queue: Queue::new(pool, None),
            config: Arc::default(),
            http: crate::http::client(&WorkloadConfig::default()).unwrap(),
            cancel: CancellationToken::new(),
        };
        let definition = Definition::for_test(|_, params| Box::pin(async move { panic!("no {}", params["what"]) }));
        let params = serde_json::json!({"what": "luck"});
        Attempt { shared: Arc::new(shared), task_id: "7".to_owned(), number: 1, definition, params }
    }

    #[tokio::test]
    async fn a_panic_fails_the_attempt_with_message_and_place() {
        let failure = panicking().limited().await.unwrap_err();
        assert_eq!(failure.message(), "panicked: no \"luck\"");
        assert_eq!((failure.error_type(), failure.retry()), ("panic", Retry::Usual));
        let traceback = failure.traceback();
        assert!(traceback.contains("crates/workload/src/attempt.rs:"), "{traceback}");
    }

    #[tokio::test]
    async fn a_cancelled_attempt_is_to_be_made_again_at_once() {
        let mut attempt = panicking();
        attempt.definition = Definition::for_test(|_, _| Box::pin(std::future::pending()));
        attempt.shared.cancel.cancel();
        assert_eq!(attempt.limited().await.unwrap_err().retry(), Retry::After(Duration::ZERO));
    }

    #[test]
    fn the_pause_doubles_up_to_a_limit() {
        let first = Duration::from_secs(5);
        for (attempt, usual) in [(1, 5), (2, 10), (3, 20), (9, 900), (1000, 900)] {
            let pause = back_off(first, attempt).as_secs_f64();
            let usual = f64::from(usual);
            assert!((0.75 * usual..1.25 * usual).contains(&pause), "attempt {attempt}: {pause}");
        }
    }
}
