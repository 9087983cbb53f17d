//! The one place where attempts meet the client that reports them.

use serde_json::Value;
use taskscope_client::{Failure as Reported, Reporter, Run, Work};

use crate::{failure::Failure, registry::Definition};

/// A task as it is reported.
pub(crate) fn work(task_id: &str, definition: &Definition, params: &Value, attempt: i32) -> Work {
    Work::new(task_id, definition.name)
        .attempt(attempt)
        .max_retries(i32::from(definition.max_attempts) - 1)
        .queue(definition.queue)
        .params(params.clone())
}

/// Reports that a task waits in its queue.
pub(crate) fn queued(reporter: Option<&Reporter>, work: &Work) {
    if let Some(reporter) = reporter {
        reporter.queued(work);
    }
}

/// A running attempt. Dropped without an end, it reports that it was cancelled.
#[derive(Debug)]
pub(crate) struct Report(Option<Run>);

impl Report {
    pub(crate) fn start(reporter: Option<&Reporter>, work: Work) -> Self {
        Self(reporter.map(|reporter| reporter.start(work)))
    }

    pub(crate) fn end(self, outcome: &Result<Value, Failure>) {
        let Some(run) = self.0 else { return };
        match outcome {
            Ok(result) => run.succeed(Some(result.clone().into())),
            Err(failure) => run.fail(reported(failure)),
        }
    }
}

fn reported(failure: &Failure) -> Reported {
    Reported::new(failure.message()).error_type(failure.error_type()).traceback(failure.traceback())
}
