//! Moves events from the buffer to the server, for ever.
//!
//! **Promises.** A batch is sent until the server has said what became of each event. Batches follow each other, so that at most one is
//! under way. When the sender ends, the buffer is abandoned.

use std::{sync::Arc, time::Duration};

use taskscope_wire::BatchOutcome;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    backoff::Backoff,
    batch::{Batch, Batches},
    endpoint::{Answer, Endpoint, Later},
    reporter::Shared,
};

/// Refused events are logged this often at the most.
const REFUSALS_LOGGED_EVERY: Duration = Duration::from_secs(60);

pub(crate) struct Sender {
    shared: Arc<Shared>,
    endpoint: Endpoint,
    flush_interval: Duration,
    backoff: Backoff,
    /// When the server was found to be away.
    outage: Option<Instant>,
    refusal_logged: Option<Instant>,
}

impl Sender {
    pub(crate) fn new(shared: Arc<Shared>, endpoint: Endpoint, flush_interval: Duration) -> Self {
        Self { shared, endpoint, flush_interval, backoff: Backoff::new(), outage: None, refusal_logged: None }
    }

    pub(crate) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        loop {
            let events = shared.buffer.take(self.flush_interval).await;
            for batch in Batches::new(events, shared.worker()) {
                self.deliver(batch).await;
            }
        }
    }

    async fn deliver(&mut self, batch: Batch) {
        let mut parts = vec![batch];
        while let Some(part) = parts.pop() {
            match self.endpoint.send_events(part.body()).await {
                Answer::Taken(outcome) => self.taken(&part, outcome),
                Answer::Refused(reason) => self.refused(&part, &reason),
                Answer::TooLarge(reason) => match part.halve() {
                    Ok([first, second]) => parts.extend([second, first]),
                    Err(part) => self.refused(&part, &reason),
                },
                Answer::Later(later) => {
                    self.wait(later).await;
                    parts.push(part);
                }
            }
        }
    }

    fn taken(&mut self, batch: &Batch, outcome: BatchOutcome) {
        let refused = outcome.results.into_iter().filter(|item| !item.accepted).collect::<Vec<_>>();
        let reason = refused.first().and_then(|item| item.error.as_deref());
        self.settle(batch, refused.len(), reason);
    }

    fn refused(&mut self, batch: &Batch, reason: &str) {
        self.settle(batch, batch.load().events, Some(reason));
    }

    fn settle(&mut self, batch: &Batch, refused: usize, reason: Option<&str>) {
        self.backoff.reset();
        if let Some(since) = self.outage.take() {
            let dropped = self.shared.buffer.dropped();
            tracing::info!(after = ?since.elapsed(), dropped, "Taskscope takes events again");
        }
        let load = batch.load();
        let refused = refused.min(load.events);
        self.shared.counters.add_sent(load.events - refused);
        self.shared.counters.add_refused(refused);
        self.shared.buffer.settle(load);
        if refused > 0 && self.refusal_logged.is_none_or(|at| at.elapsed() > REFUSALS_LOGGED_EVERY) {
            self.refusal_logged = Some(Instant::now());
            tracing::warn!(refused, reason, "Taskscope refused events");
        }
    }

    /// Waits as long as the server asks for, and a random while.
    async fn wait(&mut self, later: Later) {
        if self.outage.is_none() {
            self.outage = Some(Instant::now());
            tracing::warn!(reason = later.reason, "Taskscope doesn't take events now; they wait");
        }
        sleep(later.after.unwrap_or_default()).await;
        // Who waits for a flush doesn't wait for the end of a long pause.
        if timeout(self.backoff.pause(), self.shared.buffer.hurried()).await.is_ok() {
            self.backoff.reset();
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.shared.buffer.abandon();
    }
}
