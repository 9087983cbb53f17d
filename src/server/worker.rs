//! The worker: runs the product's own tasks, in the server's process or in one of its own, and reports them as any other worker would.

use std::time::Duration;

use anyhow::Context;
use secrecy::ExposeSecret;
use sqlx::{PgPool, postgres::PgConnectOptions};
use taskscope_client::Reporter;
use taskscope_workload::{Queue, SeedOutcome, Worker, pool_options, queues, seed};

use super::{config::Config, secret_key, store::Store};

/// Connections of a worker: each queue listens and fetches, each task may ask.
const CONNECTIONS: u32 = 16;
/// How often it says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// How long the last events may take when it stops.
const LAST_EVENTS: Duration = Duration::from_secs(5);

/// Runs tasks until `stop` is over, and reports them to the Taskscope at `url`. Waits for the database as long as it takes.
///
/// # Errors
/// A setting is wrong, or the database was made by another version.
pub async fn run(
    config: &Config,
    database: PgConnectOptions,
    url: &str,
    stop: impl Future<Output = ()> + Send,
) -> anyhow::Result<()> {
    let mut reporter = Reporter::builder(url)
        .version(env!("CARGO_PKG_VERSION"))
        .queues(queues())
        .concurrency(u32::try_from(config.workload.concurrency * queues().len()).unwrap_or(u32::MAX))
        .heartbeat(Some(HEARTBEAT));
    if let Some(token) = &config.ingest_token {
        reporter = reporter.token(token.expose_secret());
    }
    let reporter = reporter.start().context("the worker can't report")?;
    let pool = pool(database.clone());
    let mut workload = config.workload.clone();
    if workload.llm.secret_key.is_none() {
        // Of the server that runs on this machine, if there is one. Without a key only providers that have a stored key can't be asked.
        workload.llm.secret_key = secret_key::find(&config.data_dir)?;
    }
    let worker = Worker::new(pool.clone(), Some(reporter.clone()), workload)?;
    tokio::pin!(stop);
    tokio::select! {
        () = &mut stop => {}
        ready = prepare(config, &database, &pool, &reporter) => {
            ready?;
            worker.run_until(stop).await;
        }
    }
    reporter.shutdown(LAST_EVENTS).await;
    pool.close().await;
    Ok(())
}

/// Fills the database with sample messages, and says what there is now.
///
/// # Errors
/// The database doesn't answer.
pub async fn seed_samples(database: PgConnectOptions) -> anyhow::Result<String> {
    Store::new(database.clone()).migrate().await.context("the tables can't be brought up to this version")?;
    let pool = pool(database);
    let queue = Queue::new(pool.clone(), None);
    queue.setup().await?;
    let outcome = seed(&queue, |done, total| tracing::info!("{done} of {total} sample messages")).await?;
    pool.close().await;
    Ok(in_words(&outcome))
}

fn in_words(outcome: &SeedOutcome) -> String {
    match (outcome.messages_added, outcome.tasks.len()) {
        (0, 0) => "the sample messages were there already".to_owned(),
        (messages, tasks) => format!("{messages} sample messages stored, {tasks} tasks queued"),
    }
}

/// Waits until the tables are there, and fills them with samples where that is wanted and they are empty.
async fn prepare(config: &Config, database: &PgConnectOptions, pool: &PgPool, reporter: &Reporter) -> anyhow::Result<()> {
    super::serve::migrated(&Store::new(database.clone())).await?;
    if config.sample_data
        && let Err(error) = seed_if_empty(pool, reporter).await
    {
        tracing::warn!("the sample data can't be stored: {error:#}");
    }
    Ok(())
}

async fn seed_if_empty(pool: &PgPool, reporter: &Reporter) -> anyhow::Result<()> {
    if is_empty(pool).await? {
        let queue = Queue::new(pool.clone(), Some(reporter.clone()));
        queue.setup().await?;
        tracing::info!("{}", in_words(&seed(&queue, |_, _| ()).await?));
    }
    Ok(())
}

async fn is_empty(pool: &PgPool) -> anyhow::Result<bool> {
    Ok(sqlx::query_scalar!(r#"select not exists (select from messages) as "empty!""#).fetch_one(pool).await?)
}

fn pool(options: PgConnectOptions) -> PgPool {
    pool_options()
        .max_connections(CONNECTIONS)
        .acquire_timeout(Duration::from_secs(10))
        .connect_lazy_with(options.application_name("taskscope-worker"))
}
