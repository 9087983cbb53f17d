//! Puts the parts together and keeps them running.

use std::{net::SocketAddr, path::Path, str::FromStr, sync::OnceLock, time::Duration};

use anyhow::Context;
use chrono::{TimeDelta, Utc};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use secrecy::ExposeSecret;
use serde_json::value::RawValue;
use sqlx::{migrate::MigrateError, postgres::PgConnectOptions};
use taskscope_client::Reporter;
use taskscope_wire::ServerState;
use tokio::{net::TcpListener, sync::oneshot, task::JoinSet};

use super::{
    access::{AccessError, Gate, Login},
    config::{Config, NatsConfig},
    data_dir::DataDir,
    embedded_pg::EmbeddedPostgres,
    http::{
        self, AppState, Doors, Figures, HostNames, RouteInfo,
        listen::{self, Limits},
    },
    hub::Hub,
    nats,
    notices::Notices,
    recorder::Recorder,
    redaction::Redaction,
    secret_key,
    store::{Notice, ReplicaState, Store, StoreError},
    watchdog,
    workload::Workload,
};

/// How long connections may take to end when the server stops.
const STOP_LIMIT: Duration = Duration::from_secs(2);
/// How often Postgres is asked for a sign of life.
const PULSE: Duration = Duration::from_millis(500);
/// How often it is looked how far the replica is.
const REPLICA_LOOK: Duration = Duration::from_secs(1);
/// How often queues are looked at. What is kept is the most in a minute.
const QUEUE_LOOK: Duration = Duration::from_secs(15);
/// Live batches that are read at once when catching up.
const CATCH_UP: i64 = 500;
/// Messages that a starting server loads, so that watchers of the one before lose nothing.
const PRELOADED_MESSAGES: i64 = 10_000;
/// How often other recorders' batches are looked for if no notification comes.
const POLL: Duration = Duration::from_secs(2);
/// How long our own batch may take from its notification to the hub.
const OWN_BATCH: Duration = Duration::from_millis(25);
/// How often rollups are looked after.
const MERGE: Duration = Duration::from_secs(1);
/// Waiting events below this are the ordinary flow.
const BACKLOG: u64 = 5000;
/// How long the audit log goes back.
const AUDIT_KEPT: TimeDelta = TimeDelta::days(365);
/// How long until days that are over are looked at again.
const INDEX_PAUSE: Duration = Duration::from_secs(60);

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// Where it serves.
    pub addr: SocketAddr,
    /// Reads and writes.
    pub store: Store,
    /// Where the database is.
    pub database: PgConnectOptions,
    /// What is redacted.
    pub redaction: Redaction,
    /// Every route and who may call it.
    pub routes: Vec<RouteInfo>,
    workload: Workload,
    stop: oneshot::Sender<()>,
    tasks: JoinSet<anyhow::Result<()>>,
    // Dropped in this order, after everything else has ended.
    postgres: Option<EmbeddedPostgres>,
    _data_dir: DataDir,
}

impl Server {
    /// Starts everything. Events are taken from now on; the database may still be on its way.
    ///
    /// # Errors
    /// A sentence that says what to do.
    pub async fn start(mut config: Config) -> anyhow::Result<Self> {
        let data_dir = DataDir::take(&config.data_dir).await?;
        if config.workload.llm.secret_key.is_none() {
            config.workload.llm.secret_key = Some(secret_key::make(&config.data_dir)?);
        }
        let listener = TcpListener::bind(config.addr).await.with_context(|| {
            format!("{} is taken by another program: stop it, or choose another address with TASKSCOPE_ADDR", config.addr)
        })?;
        let addr = listener.local_addr()?;
        let (postgres, options) = database(&config).await?;
        let mut store = Store::new(options.clone());
        if let Some(url) = &config.replica_url {
            store = store.with_replica(PgConnectOptions::from_str(url).context("TASKSCOPE_REPLICA_URL is no Postgres URL")?);
        }
        let hub = Hub::default();
        hub.set_server(ServerState {
            database_up: false,
            database_down_since: Some(Utc::now()),
            events_waiting: 0,
            notices: Vec::new(),
        });
        let redaction = Redaction::start(&config.data_dir, store.clone())?;
        let rules = redaction.current().clone();
        let recorder = Recorder::open(&data_dir.spool()?, config.spool_limit_bytes, store.clone(), hub.clone(), rules)
            .context("the spool can't be opened")?;
        let workload = Workload::new(options.clone(), own_reporter(addr, &config)?, &config)?;
        let gate = Gate::new(config.login.clone(), config.ingest_token.clone(), store.clone());
        let state = AppState {
            leptos: config.leptos.clone(),
            workload: workload.clone(),
            store: store.clone(),
            recorder: recorder.clone(),
            redaction: redaction.clone(),
            hub: hub.clone(),
            doors: Doors { gate: gate.clone(), secure: config.is_reached_by_https() },
            host_names: HostNames(config.host_names.as_slice().into()),
            figures: Figures(figures()?),
        };
        let (router, routes) = http::router(state);
        let (stop, stopped) = oneshot::channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let stopped = async { drop(stopped.await) };
            listen::serve(listener, router, Limits::of_process(), stopped).await;
            Ok(())
        });
        let notices = Notices::default();
        if let Some(nats) = config.nats.clone() {
            tasks.spawn(take_from_nats(nats, recorder.clone(), store.clone(), hub.clone(), notices.clone()));
        }
        tasks.spawn(run(store.clone(), recorder, hub, gate, redaction.clone(), notices, config.clone()));
        Ok(Self { addr, store, database: options, redaction, routes, workload, stop, tasks, postgres, _data_dir: data_dir })
    }

    /// Runs until `stop` is over, or something can't go on.
    ///
    /// # Errors
    /// Why it can't go on.
    pub async fn run_until(mut self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let outcome = tokio::select! {
            () = stop => Ok(()),
            ended = self.tasks.join_next() => match ended {
                Some(Ok(outcome)) => outcome.and_then(|()| anyhow::bail!("a part of the server ended")),
                Some(Err(panic)) => Err(panic.into()),
                None => Ok(()),
            },
        };
        self.stop().await;
        outcome
    }

    /// Stops in order: connections, then the rest, then the embedded database.
    pub async fn stop(mut self) {
        self.workload.stop(STOP_LIMIT).await;
        // The receiver may be gone with its task.
        let _ = self.stop.send(());
        // Live connections don't end by themselves; one waits a moment for the others.
        let _ = tokio::time::timeout(STOP_LIMIT, self.tasks.join_next()).await;
        self.tasks.shutdown().await;
        let _ = tokio::time::timeout(STOP_LIMIT, self.store.close()).await;
        if let Some(postgres) = self.postgres.take() {
            // It waits for a thread.
            let _ = tokio::task::spawn_blocking(move || drop(postgres)).await;
        }
    }
}

/// Tells this server itself what is put into the queue through it.
fn own_reporter(addr: SocketAddr, config: &Config) -> anyhow::Result<Reporter> {
    let mut reporter = Reporter::builder(format!("http://{addr}")).heartbeat(None);
    if let Some(token) = &config.ingest_token {
        reporter = reporter.token(token.expose_secret());
    }
    Ok(reporter.start()?)
}

/// How long executions are kept, and who deletes them.
#[derive(Debug, Clone, Copy)]
struct Retention {
    days: u32,
    /// The worker deletes what it has archived; here only what is empty goes.
    archived: bool,
}

impl Retention {
    fn of(config: &Config) -> Self {
        Self { days: config.retention_days, archived: config.workload.retention.archive_dir.is_some() }
    }
}

async fn database(config: &Config) -> anyhow::Result<(Option<EmbeddedPostgres>, PgConnectOptions)> {
    match &config.database_url {
        Some(url) => Ok((None, PgConnectOptions::from_str(url).context("DATABASE_URL is no Postgres URL")?)),
        None => {
            let postgres = EmbeddedPostgres::start(Path::new(&config.data_dir)).await?;
            let options = postgres.options();
            Ok((Some(postgres), options))
        }
    }
}

/// There is one set of figures a process, however many servers a test starts in it.
fn figures() -> anyhow::Result<PrometheusHandle> {
    static FIGURES: OnceLock<PrometheusHandle> = OnceLock::new();
    if let Some(figures) = FIGURES.get() {
        return Ok(figures.clone());
    }
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    // Another thread may have been first; then its handle is the right one.
    if metrics::set_global_recorder(recorder).is_ok() {
        let _ = FIGURES.set(handle.clone());
    }
    Ok(FIGURES.get().cloned().unwrap_or(handle))
}

/// All that goes on beside requests, once the database is there.
async fn run(
    store: Store,
    recorder: Recorder,
    hub: Hub,
    gate: Gate,
    redaction: Redaction,
    notices: Notices,
    config: Config,
) -> anyhow::Result<()> {
    prepare(&store, &hub).await?;
    let retention = Retention::of(&config);
    let mut tasks = JoinSet::new();
    tasks.spawn(follow(store.clone(), recorder.clone(), hub.clone()));
    tasks.spawn(recorder.clone().run());
    tasks.spawn(watchdog::run(store.clone(), recorder.clone(), hub.clone(), config.stall_floor));
    tasks.spawn(async move {
        if let Err(error) = open(gate, config).await {
            tracing::error!("nobody can log in: {error:#}");
        }
    });
    tasks.spawn(redaction.follow());
    tasks.spawn(watch_replica(store.clone(), notices.clone()));
    tasks.spawn(take_pulse(store.clone(), recorder, hub, notices));
    tasks.spawn(look_at_queues(store.clone()));
    tasks.spawn(keep_counts(store.clone()));
    tasks.spawn(index_days(store.clone()));
    tasks.spawn(keep_house(store, retention));
    match tasks.join_next().await {
        Some(Err(panic)) => Err(panic.into()),
        _ => anyhow::bail!("a part of the server ended"),
    }
}

/// Takes events from NATS, which never ends.
async fn take_from_nats(nats: NatsConfig, recorder: Recorder, store: Store, hub: Hub, notices: Notices) -> anyhow::Result<()> {
    nats::run(nats, recorder, store, hub, notices).await;
    Ok(())
}

/// Lets people in, where a login is asked for.
async fn open(gate: Gate, config: Config) -> anyhow::Result<()> {
    if config.login == Login::Accounts {
        while let Err(error) = gate.make_first_admin(config.admin_password.as_ref()).await {
            let AccessError::Store(error) = error else { return Err(error).context("TASKSCOPE_ADMIN_PASSWORD can't be used") };
            tracing::debug!(%error, "waiting for the database");
            tokio::time::sleep(PULSE).await;
        }
    }
    gate.run().await;
    Ok(())
}

/// Waits for Postgres, brings the tables up to this version, and the hub to where the stream stands.
async fn prepare(store: &Store, hub: &Hub) -> anyhow::Result<()> {
    loop {
        migrated(store).await?;
        match catch_up(store, hub).await {
            Ok(()) => return Ok(()),
            Err(error) => tracing::warn!(%error, "waiting for the database"),
        }
        tokio::time::sleep(PULSE).await;
    }
}

/// Waits for Postgres with back-off, and brings the tables up to this version.
///
/// # Errors
/// The database was made by another version.
pub(super) async fn migrated(store: &Store) -> anyhow::Result<()> {
    let mut pause = Duration::from_millis(100);
    loop {
        match store.migrate().await {
            Ok(()) => return Ok(()),
            Err(error @ (MigrateError::VersionMissing(_) | MigrateError::VersionMismatch(_) | MigrateError::Dirty(_))) => {
                return Err(error).context("the database was not made by this version of Taskscope: use another one");
            }
            Err(error) => tracing::warn!(%error, "waiting for the database"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

/// Brings what others commit to the hub, and what they write by SQL to the recorder.
async fn follow(store: Store, recorder: Recorder, hub: Hub) {
    loop {
        if let Err(error) = listen(&store, &recorder, &hub).await {
            tracing::warn!(%error, "not listening to the database");
        }
        tokio::time::sleep(PULSE).await;
    }
}

async fn listen(store: &Store, recorder: &Recorder, hub: &Hub) -> Result<(), StoreError> {
    let mut news = store.listen().await?;
    catch_up(store, hub).await?;
    recorder.look_for_foreign_changes();
    loop {
        tokio::select! {
            notice = news.next() => match notice? {
                Notice::Foreign => recorder.look_for_foreign_changes(),
                Notice::Committed(seq) if seq <= hub.position().seq => {}
                Notice::Committed(seq) => {
                    tokio::time::sleep(OWN_BATCH).await;
                    if seq > hub.position().seq {
                        catch_up(store, hub).await?;
                    }
                }
            },
            () = hub.behind() => catch_up(store, hub).await?,
            () = tokio::time::sleep(POLL) => {
                if store.position().await? != hub.position() {
                    catch_up(store, hub).await?;
                }
            }
        }
    }
}

async fn catch_up(store: &Store, hub: &Hub) -> Result<(), StoreError> {
    let known = hub.position();
    let current = store.position().await?;
    let mut after = if known.epoch == current.epoch { known.seq } else { current.seq - PRELOADED_MESSAGES };
    loop {
        let (position, batches) = store.batches_after(after, CATCH_UP).await?;
        let Some(last) = batches.last().map(|batch| batch.last_seq) else {
            hub.catch_up(&position, Vec::new());
            return Ok(());
        };
        hub.catch_up(&position, batches.into_iter().map(|batch| (batch.first_seq, split(&batch.messages))).collect());
        after = last;
    }
}

/// The messages of a stored JSON array, each as its text.
fn split(array: &str) -> Vec<String> {
    let messages: Vec<&RawValue> = serde_json::from_str(array).unwrap_or_default();
    messages.into_iter().map(|message| message.get().to_owned()).collect()
}

/// Tells watchers whether Postgres answers, and how much waits for it.
async fn take_pulse(store: Store, recorder: Recorder, hub: Hub, notices: Notices) {
    let mut down_since = None;
    loop {
        match store.ping().await {
            Ok(()) => down_since = None,
            Err(error) => {
                if down_since.is_none() {
                    tracing::error!(%error, "the database is not reachable; events are kept");
                }
                down_since = down_since.or_else(|| Some(Utc::now()));
            }
        }
        let waiting = recorder.waiting();
        hub.set_server(ServerState {
            database_up: down_since.is_none(),
            database_down_since: down_since,
            events_waiting: if down_since.is_some() || waiting > BACKLOG { waiting } else { 0 },
            notices: notices.all(),
        });
        tokio::time::sleep(PULSE).await;
    }
}

/// Looks whether the replica keeps up, and says so where it doesn't.
async fn watch_replica(store: Store, notices: Notices) {
    const ABOUT: &str = "replica";
    loop {
        match store.look_at_replica().await {
            Ok(None) => std::future::pending().await,
            Ok(Some(state)) => {
                metrics::gauge!("taskscope_replica_up").set(f64::from(u8::from(matches!(state, ReplicaState::Current(_)))));
                match state {
                    ReplicaState::Current(lag) => {
                        metrics::gauge!("taskscope_replica_lag_seconds").set(lag.as_secs_f64());
                        notices.clear(ABOUT);
                    }
                    ReplicaState::Behind(lag) => {
                        metrics::gauge!("taskscope_replica_lag_seconds").set(lag.as_secs_f64());
                        notices.say(ABOUT, "The replica is too far behind to be asked; the database itself answers.");
                    }
                    ReplicaState::Away(error) => {
                        tracing::debug!(error, "the replica doesn't answer");
                        notices.say(ABOUT, "The replica doesn't answer; the database itself does.");
                    }
                    ReplicaState::Strange => {
                        notices.say(ABOUT, "TASKSCOPE_REPLICA_URL is no replica of this database, so it isn't asked.");
                    }
                }
            }
            // That the database is away is said elsewhere.
            Err(error) => tracing::debug!(%error, "it can't be said how far the replica is"),
        }
        tokio::time::sleep(REPLICA_LOOK).await;
    }
}

/// Notes how many executions wait.
async fn look_at_queues(store: Store) {
    loop {
        if let Err(error) = store.sample_queues(Utc::now()).await {
            tracing::debug!(%error, "queues could not be looked at");
        }
        tokio::time::sleep(QUEUE_LOOK).await;
    }
}

/// Merges what batches changed into the rollups, and counts anew what others wrote.
async fn keep_counts(store: Store) {
    loop {
        match store.keep_rollups().await {
            Ok(true) => continue,
            Ok(false) => {}
            // Nothing is wrong meanwhile, only slower.
            Err(error) => tracing::debug!(%error, "rollups could not be looked after"),
        }
        tokio::time::sleep(MERGE).await;
    }
}

/// Gives days that are over the index that searches use, one at a time, the newest first.
async fn index_days(store: Store) {
    loop {
        // A server that starts has more urgent things to do.
        tokio::time::sleep(INDEX_PAUSE).await;
        loop {
            match store.index_closed_day(Utc::now()).await {
                Ok(Some(partition)) => tracing::debug!(partition, "a day that is over can be searched"),
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(%error, "a day that is over could not be made searchable");
                    break;
                }
            }
        }
    }
}

/// Partitions ahead, retention behind.
async fn keep_house(store: Store, retention: Retention) {
    loop {
        let now = Utc::now();
        let done = async {
            store.make_partitions(now).await?;
            let cutoff = now - TimeDelta::days(i64::from(retention.days));
            let dropped = store.drop_before(cutoff, retention.archived).await?;
            store.forget_queue_samples(cutoff).await?;
            store.prune_live_batches().await?;
            store.analyze().await?;
            store.tidy_workers().await?;
            store.tidy_access(now - AUDIT_KEPT).await?;
            Ok::<_, StoreError>(dropped)
        };
        let pause = match done.await {
            Ok(dropped) => {
                tracing::debug!(dropped, "partitions are in order");
                Duration::from_secs(3600)
            }
            Err(error) => {
                tracing::warn!(%error, "partitions could not be looked after");
                Duration::from_secs(60)
            }
        };
        tokio::time::sleep(pause).await;
    }
}
