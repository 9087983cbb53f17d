//! A database, a queue and a server that records what is reported, for each test.

mod bot_api;
mod events;
pub mod llm;
mod postgres;
mod receiver;

use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::PgPool;
use taskscope_client::Reporter;
use taskscope_wire::{NativeEvent, NativeKind, Triggered};
use taskscope_workload::{Queue, Worker, WorkloadConfig, pool_options};
use tokio::{sync::oneshot, task::JoinHandle};

pub use self::{bot_api::BotApi, events::Events, llm::Llm, postgres::Cluster, receiver::Receiver};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Setting {
    pub pool: PgPool,
    pub queue: Queue,
    pub events: Events,
    reporter: Reporter,
}

impl Setting {
    pub async fn new() -> Self {
        Self::on(&Cluster::shared().await.new_database().await).await
    }

    pub async fn on(url: &str) -> Self {
        let pool = pool_options().max_connections(16).acquire_timeout(Duration::from_secs(3)).connect(url).await.unwrap();
        sqlx::migrate!("../../migrations").run(&pool).await.unwrap();
        let events = Events::serve().await;
        let reporter = Reporter::builder(&events.url)
            .queues(taskscope_workload::queues())
            .flush_interval(Duration::from_millis(10))
            .start()
            .unwrap();
        let queue = Queue::new(pool.clone(), Some(reporter.clone()));
        queue.setup().await.unwrap();
        Self { pool, queue, events, reporter }
    }

    /// Starts a worker. Nothing runs by the clock unless the config says so.
    pub fn worker(&self, config: Value) -> RunningWorker {
        RunningWorker::start(self.pool.clone(), self.reporter.clone(), read(config))
    }

    pub async fn trigger(&self, name: &str, params: Value) -> Triggered {
        self.queue.trigger(name, Some(params.into())).await.unwrap()
    }

    /// Triggers a task and waits until it has succeeded or used up its attempts; its last event.
    pub async fn run(&self, name: &str, params: Value) -> NativeEvent {
        let id = self.trigger(name, params).await.task_id;
        self.end_of(&id).await
    }

    pub async fn end_of(&self, task_id: &str) -> NativeEvent {
        until("the task is over in the queue", async || {
            let ended: Option<bool> = sqlx::query_scalar(
                "select status in ('Done', 'Killed') or status = 'Failed' and attempts >= max_attempts from apalis.jobs where id = $1",
            )
            .bind(task_id)
            .fetch_optional(&self.pool)
            .await
            .unwrap();
            ended == Some(true)
        })
        .await;
        self.all_told().await;
        self.events.of(task_id).into_iter().rfind(is_end).unwrap()
    }

    /// Waits until the server has what was reported.
    pub async fn all_told(&self) {
        assert!(self.reporter.flush(PATIENCE).await);
    }

    pub async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }
}

pub fn is_end(event: &NativeEvent) -> bool {
    matches!(event.kind, NativeKind::TaskCompleted | NativeKind::TaskFailed)
}

/// What a task returned.
pub fn result(event: &NativeEvent) -> Value {
    assert_eq!(event.kind, NativeKind::TaskCompleted, "{event:?}");
    serde_json::from_str(event.result.as_ref().unwrap().as_str()).unwrap()
}

/// Why a task failed.
pub fn error(event: &NativeEvent) -> &str {
    assert_eq!(event.kind, NativeKind::TaskFailed, "{event:?}");
    event.error_message.as_deref().unwrap()
}

pub fn read(mut config: Value) -> WorkloadConfig {
    let scheduled = [
        "score_unscored_messages_task",
        "scheduled_notification_alert_task",
        "scheduled_daily_digest_task",
        "cleanup_old_task_logs",
        "scheduled_knowledge_extraction_task",
        "scheduled_auto_approval_task",
    ];
    for name in scheduled {
        if config["schedules"].get(name).is_none() {
            config["schedules"][name] = "off".into();
        }
    }
    if config.get("demo").is_none() {
        config["demo"] = false.into();
    }
    serde_json::from_value(config).unwrap()
}

/// A worker that runs in the background.
pub struct RunningWorker {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl RunningWorker {
    fn start(pool: PgPool, reporter: Reporter, config: WorkloadConfig) -> Self {
        let worker = Worker::new(pool, Some(reporter), config).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(worker.run_until(async { drop(stopped.await) }));
        Self { stop, task }
    }

    /// Stops it in good order, and does something meanwhile.
    pub async fn stop_while(self, meanwhile: impl FnOnce()) {
        let _ = self.stop.send(());
        meanwhile();
        tokio::time::timeout(PATIENCE, self.task).await.expect("the worker stops").unwrap();
    }

    pub async fn stop(self) {
        self.stop_while(|| {}).await;
    }

    /// Ends it as a crash would: nothing is told to the queue.
    pub async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

/// Waits until a condition holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let patience = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < patience, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
