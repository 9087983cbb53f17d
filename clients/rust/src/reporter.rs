use std::{
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::Utc;
use tokio::{
    runtime::Handle,
    sync::Notify,
    task::{AbortHandle, JoinHandle},
    time::timeout,
};

use crate::{
    ReporterBuilder, Run, Work,
    buffer::Buffer,
    event::{Event, Step},
};

/// The most of a shutdown's time that is kept for the last heartbeat.
const LAST_HEARTBEAT: Duration = Duration::from_secs(1);

/// Reports tasks. Clones share one buffer and one connection.
///
/// Call [`Reporter::shutdown`] before the program ends: when the last clone is dropped, what waits in the buffer is dropped with it.
/// It does no harm to use a reporter whose runtime has ended; it counts what it drops.
#[derive(Debug, Clone)]
pub struct Reporter {
    inner: Arc<Inner>,
}

/// What a reporter has done since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Events that the server has.
    pub sent: u64,
    /// Events that the server will never take.
    pub refused: u64,
    /// Events that were dropped because the buffer was full, or nobody sends them any more.
    pub dropped: u64,
    /// Events that wait for an answer of the server.
    pub buffered: u64,
    /// Tasks that run now.
    pub running: u64,
}

impl Reporter {
    /// A reporter for the Taskscope at this URL, such as `http://127.0.0.1:3000`.
    pub fn builder(url: impl Into<String>) -> ReporterBuilder {
        ReporterBuilder::new(url.into())
    }

    /// The name of this worker in events and heartbeats.
    #[must_use]
    pub fn worker(&self) -> &str {
        self.shared().worker()
    }

    /// The task was sent to its queue.
    pub fn queued(&self, work: &Work) {
        let work = Arc::new(work.clone().bounded());
        self.shared().buffer.push(Event { work, at: Utc::now(), step: Step::Queued });
    }

    /// The task starts. What it returns reports the end, one way or another.
    pub fn start(&self, work: Work) -> Run {
        Run::start(self.clone(), work)
    }

    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared().stats()
    }

    /// Sends what waits now, for at most this long. True if the server has answered for all of it.
    pub async fn flush(&self, limit: Duration) -> bool {
        let inner = Arc::clone(&self.inner);
        self.on_runtime(async move { inner.flush(limit).await }).await
    }

    /// Sends what waits, and a last heartbeat that says that the worker ends in good order, for at most this long. What is reported
    /// afterwards is dropped and counted. True if all of it arrived.
    pub async fn shutdown(&self, limit: Duration) -> bool {
        let inner = Arc::clone(&self.inner);
        self.on_runtime(async move { inner.shutdown(limit).await }).await
    }

    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    /// Timers and sockets belong to the reporter's runtime, whoever waits. If that one has ended, nothing arrives any more.
    async fn on_runtime(&self, work: impl Future<Output = bool> + Send + 'static) -> bool {
        self.inner.runtime.spawn(work).await.unwrap_or(false)
    }
}

/// What the clones of a reporter share. The background tasks don't, so that they end with the last clone.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) shared: Arc<Shared>,
    pub(crate) runtime: Handle,
    pub(crate) sender: AbortHandle,
    pub(crate) heart: Option<HeartHandle>,
}

#[derive(Debug)]
pub(crate) struct HeartHandle {
    pub(crate) stop: Arc<Notify>,
    pub(crate) abort: AbortHandle,
    /// Taken by the first shutdown.
    pub(crate) last_beat: Mutex<Option<JoinHandle<bool>>>,
}

impl Inner {
    async fn flush(&self, limit: Duration) -> bool {
        timeout(limit, self.shared.buffer.flushed()).await.unwrap_or(false)
    }

    async fn shutdown(&self, limit: Duration) -> bool {
        let start = Instant::now();
        let reserve = if self.heart.is_some() { LAST_HEARTBEAT.min(limit / 4) } else { Duration::ZERO };
        let most = limit.saturating_sub(reserve);
        let mut arrived = self.flush(most).await;
        // What has come meanwhile is sent too, but nothing is waited for without an end.
        self.shared.buffer.close();
        arrived &= self.flush(most.saturating_sub(start.elapsed())).await;
        self.sender.abort();
        self.shared.buffer.abandon();
        match &self.heart {
            Some(heart) => arrived & timeout(limit.saturating_sub(start.elapsed()), heart.stop()).await.unwrap_or(false),
            None => arrived,
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.sender.abort();
        if let Some(heart) = &self.heart {
            heart.abort.abort();
        }
    }
}

impl HeartHandle {
    /// Sends the last heartbeat. True if it arrived, or was sent by an earlier shutdown.
    async fn stop(&self) -> bool {
        let last_beat = self.last_beat.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(last_beat) = last_beat else { return true };
        self.stop.notify_one();
        last_beat.await.unwrap_or(false)
    }
}

/// What tasks and background tasks share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) worker: String,
    pub(crate) buffer: Buffer,
    pub(crate) counters: Counters,
}

impl Shared {
    pub(crate) fn worker(&self) -> &str {
        &self.worker
    }

    pub(crate) fn stats(&self) -> Stats {
        let counters = &self.counters;
        Stats {
            sent: counters.sent.load(Ordering::Relaxed),
            refused: counters.refused.load(Ordering::Relaxed),
            dropped: self.buffer.dropped(),
            buffered: self.buffer.held().events as u64,
            running: counters.running.load(Ordering::Relaxed),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    sent: AtomicU64,
    refused: AtomicU64,
    running: AtomicU64,
}

impl Counters {
    pub(crate) fn add_sent(&self, events: usize) {
        self.sent.fetch_add(events as u64, Ordering::Relaxed);
    }

    pub(crate) fn add_refused(&self, events: usize) {
        self.refused.fetch_add(events as u64, Ordering::Relaxed);
    }

    pub(crate) fn run_started(&self) {
        self.running.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn run_ended(&self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }
}
