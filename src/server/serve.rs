//! Puts the parts together and keeps them running.

mod follow;
mod upkeep;

use std::{net::SocketAddr, path::Path, str::FromStr, sync::OnceLock, time::Duration};

use anyhow::Context;
use chrono::Utc;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use secrecy::ExposeSecret;
use sqlx::{migrate::MigrateError, postgres::PgConnectOptions};
use taskscope_client::Reporter;
use taskscope_wire::ServerState;
use tokio::{net::TcpListener, sync::oneshot, task::JoinSet};

use self::{
    follow::{catch_up, follow},
    upkeep::{Retention, index_days, keep_counts, keep_house, look_at_queues, take_pulse, watch_replica},
};
use super::{
    access::{AccessError, Gate},
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
    store::Store,
    watchdog,
    workload::Workload,
};

/// How long connections may take to end when the server stops.
const STOP_LIMIT: Duration = Duration::from_secs(2);
/// How often Postgres is asked for a sign of life.
const PULSE: Duration = Duration::from_millis(500);

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
    if config.login.ways().is_some_and(|ways| ways.passwords) {
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
