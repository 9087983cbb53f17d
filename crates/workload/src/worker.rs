use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use apalis::prelude::{PollWith, Strategy, WorkerBuilder, WorkerBuilderExt, WorkerContext, WorkerError};
use apalis_postgres::{Config, PostgresStorage, Pubsub};
use serde_json::Value;
use sqlx::PgPool;
use taskscope_client::Reporter;
use tokio::task::JoinSet;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use ulid::Ulid;

use crate::{Queue, WorkloadConfig, attempt, attempt::Shared, demo, http, registry, scheduler};

/// How often a worker of the queue says that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// After so many of them missed, others take its tasks.
const MISSED_HEARTBEATS: usize = 2;
/// How often the queue is looked at without a notification: for tasks whose time has come.
const POLL: Duration = Duration::from_millis(500);
/// How long cancelled tasks have to tell so.
const LAST_WORDS: Duration = Duration::from_secs(5);
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Runs tasks: one apalis worker a queue, and the scheduler.
#[derive(Debug)]
pub struct Worker {
    shared: Arc<Shared>,
    schedules: Vec<scheduler::Schedule>,
}

impl Worker {
    /// A worker for the queue in this database. The pool should have ten connections or more: three listen, the others serve tasks.
    ///
    /// # Errors
    /// A sentence that names the setting that is wrong.
    pub fn new(pool: PgPool, reporter: Option<Reporter>, config: WorkloadConfig) -> anyhow::Result<Self> {
        config.check()?;
        let schedules = scheduler::plan(&config)?;
        let http = http::client(&config)?;
        let (config, cancel) = (Arc::new(config), CancellationToken::new());
        Ok(Self { shared: Arc::new(Shared { queue: Queue::new(pool, reporter), config, http, cancel }), schedules })
    }

    /// Runs until `stop` is over. Then no task is begun any more, and those that run have the configured time to end; what doesn't is
    /// cancelled, and tried again later. Whatever happens to the database, this goes on.
    pub async fn run_until(self, stop: impl Future<Output = ()>) {
        let stopping = CancellationToken::new();
        let running = self.run(stopping.clone());
        tokio::pin!(running);
        tokio::select! {
            () = &mut running => return,
            () = stop => stopping.cancel(),
        }
        running.await;
    }

    async fn run(self, stopping: CancellationToken) {
        if stopping.run_until_cancelled(set_up(&self.shared.queue)).await.is_none() {
            return;
        }
        let mut parts = JoinSet::new();
        for queue in registry::queues() {
            parts.spawn(keep_running(Arc::clone(&self.shared), queue, stopping.clone()));
        }
        for schedule in self.schedules {
            let queue = self.shared.queue.clone();
            let stopping = stopping.clone();
            parts.spawn(async move {
                stopping.run_until_cancelled(schedule.follow(queue)).await;
            });
        }
        let (queue, wanted) = (self.shared.queue.clone(), self.shared.config.demo);
        parts.spawn(async move {
            stopping.run_until_cancelled(demo::if_wanted(queue, wanted)).await;
        });
        while let Some(ended) = parts.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a part of the worker panicked");
            }
        }
    }
}

/// Waits for the database and the queue's tables.
async fn set_up(queue: &Queue) {
    let mut pause = SHORTEST_PAUSE;
    while let Err(error) = queue.setup().await {
        tracing::warn!("the worker waits: {error:#}");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// An apalis worker ends when the database goes away; the next one takes its place.
async fn keep_running(shared: Arc<Shared>, queue: &'static str, stopping: CancellationToken) {
    let mut pause = SHORTEST_PAUSE;
    while !stopping.is_cancelled() {
        let begun = Instant::now();
        if let Err(error) = run_once(&shared, queue, &stopping).await {
            tracing::warn!(queue, "the queue is left and entered again: {error}");
        }
        if begun.elapsed() > LONGEST_PAUSE * 3 {
            pause = SHORTEST_PAUSE;
        }
        stopping.run_until_cancelled(tokio::time::sleep(pause)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One life of a worker of one queue. It fetches a task only when it can run it, one at a time: apalis sends no heartbeat while it holds
/// fetched tasks back.
async fn run_once(shared: &Arc<Shared>, queue: &str, stopping: &CancellationToken) -> Result<(), WorkerError> {
    // The name must be new in each life, or tasks of the one before would count as this one's.
    let context = WorkerContext::new(&format!("{queue}-{}", Ulid::generate()));
    let config = Config::default().queue(queue).batch_size(1).heartbeat_interval(HEARTBEAT).missed_heartbeats(MISSED_HEARTBEATS);
    let pool = shared.queue.pool();
    let storage = PostgresStorage::<Value>::new(pool).with_config(config);
    let news = Pubsub::new(pool.clone(), queue.to_owned());
    let backend = PollWith::new(storage, Strategy::new().interval(POLL).stream(news));
    let attempts = Arc::clone(shared);
    let service = tower::service_fn(move |task| attempt::run(Arc::clone(&attempts), task));
    let worker = WorkerBuilder::new(&context).backend(backend).concurrency(shared.config.concurrency).build(service);
    let running = worker.run();
    tokio::pin!(running);
    tokio::select! {
        ended = &mut running => ended,
        () = stopping.cancelled() => drain(shared, &context, running).await,
    }
}

/// Waits for the tasks that run. Their outcome is in the queue when this is over.
async fn drain<F>(shared: &Shared, context: &WorkerContext, mut running: Pin<&mut F>) -> Result<(), WorkerError>
where
    F: Future<Output = Result<(), WorkerError>>,
{
    // It fails only for a worker that never began.
    if context.stop().is_err() {
        return Ok(());
    }
    let _alive = AbortOnDropHandle::new(tokio::spawn(stay_alive(shared.queue.clone(), context.name().to_owned())));
    let limit = tokio::time::sleep(Duration::from_secs(shared.config.stop_seconds));
    tokio::pin!(limit);
    let mut cancelled = false;
    loop {
        tokio::select! {
            ended = &mut running => return ended,
            () = &mut limit => {
                if cancelled {
                    return Ok(());
                }
                shared.cancel.cancel();
                cancelled = true;
                limit.as_mut().reset(tokio::time::Instant::now() + LAST_WORDS);
            }
        }
    }
}

/// Says that a worker is alive, which apalis doesn't while it waits for the last tasks.
async fn stay_alive(queue: Queue, worker: String) {
    let mut beat = tokio::time::interval(HEARTBEAT / 2);
    loop {
        beat.tick().await;
        if let Err(error) = queue.keep_alive(&worker).await {
            tracing::debug!(%error, "no sign of life while stopping");
        }
    }
}
