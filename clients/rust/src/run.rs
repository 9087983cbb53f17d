use std::{sync::Arc, time::Instant};

use chrono::{DateTime, Utc};
use taskscope_wire::Json;

use crate::{
    Failure, Reporter, Work,
    event::{End, Event, Outcome, Step},
};

/// A task that runs. It reports the end: [`Run::succeed`] or [`Run::fail`], or, if it is dropped without either, that the task was
/// cancelled or that its thread panicked.
#[derive(Debug)]
#[must_use = "dropping it reports that the task was cancelled"]
pub struct Run {
    reporter: Reporter,
    work: Arc<Work>,
    started_at: DateTime<Utc>,
    /// The clock of the machine may be set while the task runs; this one isn't.
    clock: Instant,
    ended: bool,
}

impl Run {
    pub(crate) fn start(reporter: Reporter, work: Work) -> Self {
        let run = Self { reporter, work: Arc::new(work.bounded()), started_at: Utc::now(), clock: Instant::now(), ended: false };
        run.reporter.shared().counters.run_started();
        run.push(run.started_at, Step::Started);
        run
    }

    /// The task returned. `result` is a preview of what: the server keeps 4 KiB of it.
    pub fn succeed(mut self, result: Option<Json>) {
        self.end(Outcome::Succeeded(result));
    }

    /// The task failed.
    pub fn fail(mut self, failure: Failure) {
        self.end(Outcome::Failed(failure));
    }

    fn end(&mut self, outcome: Outcome) {
        self.ended = true;
        let duration = self.clock.elapsed();
        let end = End { started_at: self.started_at, duration, outcome: outcome.bounded() };
        self.reporter.shared().counters.run_ended();
        self.push(Utc::now().max(self.started_at), Step::Finished(Box::new(end)));
    }

    fn push(&self, at: DateTime<Utc>, step: Step) {
        self.reporter.shared().buffer.push(Event { work: Arc::clone(&self.work), at, step });
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if !self.ended {
            let failure = if std::thread::panicking() { Failure::panicking() } else { Failure::cancelled() };
            self.end(Outcome::Failed(failure));
        }
    }
}
