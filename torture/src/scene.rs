//! Everything that a run needs: a Postgres, a server, networks between, producers, probes, and what is owed.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use chrono::Utc;
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tempfile::TempDir;

use crate::{
    clock::Clock,
    delivery::Door,
    faults::{Inject, Recovery},
    judge::{Verdict, judge},
    ledger::Ledger,
    plan::{Plan, Weather},
    postgres::{DATABASE, Postgres, let_through},
    probe::Probes,
    producer::Producers,
    proxy::{Proxy, Target},
    server::Server,
};

/// How long tasks that are on their way may take to be told to their end.
const PATIENCE: Duration = Duration::from_secs(180);
/// What lies between two faults, in milliseconds.
const REST: std::ops::Range<u64> = 50..600;
/// How long all that waits may take to be stored in the end.
const DRAIN_LIMIT: Duration = Duration::from_secs(900);

/// A running scene. Dropping it ends all of it and clears it away.
#[derive(Debug)]
pub struct Scene {
    /// What is owed.
    pub ledger: Arc<Ledger>,
    /// The server under torture.
    pub server: Server,
    /// Its Postgres.
    pub postgres: Postgres,
    pub(crate) clock: Clock,
    /// Between producers and server.
    pub(crate) front: Proxy,
    /// Between server and Postgres.
    pub(crate) back: Proxy,
    pub(crate) probes: Probes,
    producers: Producers,
    directory: TempDir,
}

/// What a run did and found.
#[derive(Debug)]
pub struct Course {
    /// Every fault, and how long until the server was alive again.
    pub recoveries: Vec<Recovery>,
    /// How late events showed before the first fault.
    pub usual_latencies: Vec<Duration>,
    /// How long it took, without the judge.
    pub took: Duration,
}

impl Scene {
    /// Starts everything and waits until events show.
    ///
    /// # Errors
    /// Something doesn't start.
    pub async fn start(plan: &Plan, program: &Path) -> anyhow::Result<Self> {
        let directory = TempDir::with_prefix("taskscope-torture-")?;
        let_through(directory.path())?;
        let postgres = Postgres::start(&directory.path().join("pg")).await?;
        let back = Proxy::start(Target::Socket(postgres.socket())).await?;
        let url = format!("postgres://postgres@127.0.0.1:{}/{DATABASE}?sslmode=disable", back.port);
        let clock = Clock::build(directory.path())?;
        let mut server = Server::new(program, &directory.path().join("server"), url)?;
        server.start(&clock)?;
        server.ready().await?;
        let front = Proxy::start(Target::Port(server.port)).await?;
        let ledger = Arc::new(Ledger::new(plan.seed));
        let producers = Producers::start(plan.tasks, plan.pace, &Door::new(front.port)?, &ledger);
        let probes = Probes::start(server.port, &ledger)?;
        probes.live_after(Instant::now()).await?;
        Ok(Self { ledger, server, postgres, clock, front, back, probes, producers, directory })
    }

    /// Does to it what the plan says.
    ///
    /// # Errors
    /// A fault can't be done, or isn't recovered from.
    pub async fn torture(&mut self, plan: &Plan, mut tell: impl FnMut(&str)) -> anyhow::Result<Course> {
        let began = Instant::now();
        // As many seconds as it takes to know how late events usually show.
        tokio::time::sleep(plan.pace).await;
        let usual_latencies = self.probes.latencies(began, Instant::now());
        let (faults, mut rng) = (plan.faults(), SmallRng::seed_from_u64(plan.seed));
        let mut recoveries = Vec::with_capacity(faults.len());
        for (number, fault) in (1..).zip(&faults) {
            let recovery = self.inject(*fault).await.with_context(|| format!("fault {number}, {fault:?}"))?;
            tell(&format!(
                "{:5.0} s  {number}/{} {}: live after {:.2} s",
                began.elapsed().as_secs_f64(),
                faults.len(),
                fault.kind(),
                recovery.live_after.as_secs_f64()
            ));
            recoveries.push(recovery);
            tokio::time::sleep(Duration::from_millis(rng.random_range(REST))).await;
        }
        Ok(Course { recoveries, usual_latencies, took: began.elapsed() })
    }

    /// Makes everything whole, lets tasks that are on their way end, and waits until all that was taken is stored.
    ///
    /// # Errors
    /// It doesn't get there.
    pub async fn settle(&mut self) -> anyhow::Result<()> {
        self.clock.set(0)?;
        self.front.set(Weather::Clear);
        self.back.set(Weather::Clear);
        self.server.ready().await?;
        let producers = std::mem::take(&mut self.producers);
        let told = tokio::time::timeout(PATIENCE, producers.finish()).await;
        ensure!(told.is_ok(), "producers are still not answered {} s after the last fault", PATIENCE.as_secs());
        self.probes.finish().await;
        let began = Instant::now();
        while self.server.waiting().await? > 0 {
            ensure!(began.elapsed() < DRAIN_LIMIT, "{} events wait and are not stored", self.server.waiting().await?);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // Windows end now, and attempts were told of a little ahead.
        let last = self.ledger.last_time();
        tokio::time::sleep((last - Utc::now()).to_std().unwrap_or_default()).await;
        Ok(())
    }

    /// Compares what is there with what is owed.
    ///
    /// # Errors
    /// It can't be read.
    pub async fn judge(&self) -> anyhow::Result<Verdict> {
        judge(self).await
    }

    /// Leaves everything on the disk; where it is.
    pub fn keep(&mut self) -> PathBuf {
        self.directory.disable_cleanup(true);
        self.directory.path().to_owned()
    }
}
