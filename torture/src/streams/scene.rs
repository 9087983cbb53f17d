//! Several instances on one Postgres, producers, watchers, and the restarts.

use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use chrono::Utc;
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinSet};

use super::{
    StreamsOutcome,
    follower::Told,
    plan::{LOSSES, StreamsPlan},
    record::Reader,
    watcher::{Phase, Shared, Watcher},
};
use crate::{
    api,
    clock::Clock,
    delivery::Door,
    judge::judge_rows,
    ledger::Ledger,
    postgres::{DATABASE, Postgres, let_through},
    producer::Producers,
    server::Server,
};

/// How often what is stored is read.
const READ: Duration = Duration::from_millis(300);
/// How long an instance may be away, in milliseconds.
const AWAY: std::ops::Range<u64> = 0..800;
/// How long all that waits may take to be stored in the end, and tasks to be told to their end.
const PATIENCE: Duration = Duration::from_secs(180);

/// One of the servers.
pub type Instance = Server;

/// What a run did.
#[derive(Debug)]
pub struct StreamsCourse {
    /// Connections that watchers lost, by what happened to them.
    pub losses: Vec<(&'static str, u64)>,
    /// Connections that an instance's end was.
    pub ended: u64,
    /// Sleeps until the stream had gone on.
    pub sleeps: u64,
    /// Instances killed (SIGKILL).
    pub kills: usize,
    /// Instances stopped (SIGTERM).
    pub stops: usize,
    /// Times that all were killed and nothing was kept of the stream.
    pub prunes: usize,
    /// How long it took, without the judge.
    pub took: Duration,
    /// How long until everybody had seen the end at every instance.
    pub settled: Duration,
}

impl StreamsCourse {
    /// All disconnects.
    #[must_use]
    pub fn disconnects(&self) -> u64 {
        self.losses.iter().map(|(_, count)| count).sum::<u64>() + self.ended
    }
}

struct Scene {
    shared: Arc<Shared>,
    instances: Vec<Instance>,
    clock: Clock,
    reader: Reader,
    rng: SmallRng,
    counts: [usize; 3],
}

/// See [`super::run`].
pub(super) async fn run(plan: &StreamsPlan, program: &Path, mut tell: impl FnMut(&str)) -> anyhow::Result<StreamsOutcome> {
    let directory = TempDir::with_prefix("taskscope-streams-")?;
    let_through(directory.path())?;
    let postgres = Postgres::start(&directory.path().join("pg")).await?;
    let socket = postgres.socket();
    let host = socket.parent().context("a socket without a directory")?.display();
    let url = format!("postgres://postgres@localhost/{DATABASE}?host={host}");
    let clock = Clock::build(directory.path())?;
    let mut instances = Vec::new();
    for number in 0..plan.instances {
        let mut instance = Server::new(program, &directory.path().join(format!("server-{number}")), url.clone())?;
        instance.start(&clock)?;
        instance.ready().await?;
        instances.push(instance);
    }
    let ledger = Arc::new(Ledger::new(plan.seed));
    let producers = instances
        .iter()
        .map(|instance| Ok(Producers::start(plan.tasks, plan.pace, &Door::new(instance.port)?, &ledger)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let shared = Arc::new(Shared {
        plan: plan.clone(),
        ports: instances.iter().map(|instance| instance.port).collect(),
        record: Default::default(),
        losses: Default::default(),
        ended: Default::default(),
        refused: Default::default(),
        sleeps: Default::default(),
    });
    let (phase, seen) = watch::channel(Phase::Lose);
    let mut watchers = JoinSet::new();
    for number in 0..plan.watchers {
        watchers.spawn(Watcher::new(&shared, number).run(seen.clone()));
    }
    let rng = SmallRng::seed_from_u64(plan.seed);
    let mut scene = Scene { shared, instances, clock, reader: Reader::connect(&postgres).await?, rng, counts: [0; 3] };
    let began = Instant::now();
    scene.restart_all_the_time(began, &mut tell).await?;
    let took = began.elapsed();
    for producers in producers {
        let told = tokio::time::timeout(PATIENCE, producers.finish()).await;
        ensure!(told.is_ok(), "producers are still not answered {} s after the last restart", PATIENCE.as_secs());
    }
    let end = scene.settle(&ledger).await?;
    let began = Instant::now();
    phase.send_replace(Phase::Settle(end));
    let mut told = Told::default();
    while let Some(one) = watchers.join_next().await {
        told.add(one?);
    }
    let settled = began.elapsed();
    scene.reader.read(&scene.shared.record).await?;
    let mut connection = PgConnection::connect_with(&postgres.options()).await?;
    let verdict = judge_rows(&mut connection, &ledger).await?;
    let mut totals = Vec::new();
    for (number, instance) in (1..).zip(&scene.instances) {
        let flaws = api::compare(instance, &mut connection).await?;
        totals.extend(flaws.into_iter().map(|flaw| format!("instance {number}: {flaw}")));
    }
    Ok(StreamsOutcome {
        course: scene.course(took, settled),
        told,
        messages: end,
        heard: scene.shared.record.heard(),
        falsified: scene.shared.record.compare(end),
        verdict,
        totals,
    })
}

impl Scene {
    /// Restarts instances one after the other, until that and enough connections are lost.
    async fn restart_all_the_time(&mut self, began: Instant, tell: &mut impl FnMut(&str)) -> anyhow::Result<()> {
        let plan = self.shared.plan.clone();
        let every = (plan.restarts / (plan.prunes + 1)).max(1);
        for number in 1..=plan.restarts {
            let rest = Duration::from_millis(self.rng.random_range(plan.rest.clone()));
            self.wait(rest).await?;
            self.restart().await?;
            if number % every == 0 && self.counts[2] < plan.prunes {
                self.wait(Duration::from_millis(plan.rest.start)).await?;
                self.kill_all_and_prune().await?;
            }
            let lost = self.shared.lost();
            tell(&format!(
                "{:5.0} s  restart {number}/{}: {lost} connections lost",
                began.elapsed().as_secs_f64(),
                plan.restarts
            ));
        }
        while self.shared.lost() < plan.disconnects {
            self.wait(READ).await?;
        }
        Ok(())
    }

    /// Waits, and reads meanwhile what is stored.
    async fn wait(&mut self, lasts: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + lasts;
        while Instant::now() < end {
            self.reader.read(&self.shared.record).await?;
            tokio::time::sleep(READ.min(end - Instant::now())).await;
        }
        Ok(())
    }

    async fn restart(&mut self) -> anyhow::Result<()> {
        let (number, in_order) = (self.rng.random_range(0..self.instances.len()), self.rng.random_bool(0.5));
        let away = Duration::from_millis(self.rng.random_range(AWAY));
        let instance = &mut self.instances[number];
        ensure!(!instance.has_ended(), "an instance ended by itself; its log is {}", instance.log().display());
        if in_order {
            instance.stop().await?;
        } else {
            instance.kill();
        }
        self.counts[usize::from(in_order)] += 1;
        tokio::time::sleep(away).await;
        instance.start(&self.clock)?;
        instance.answers().await
    }

    /// Whoever comes back to a place before this can't be recovered.
    async fn kill_all_and_prune(&mut self) -> anyhow::Result<()> {
        self.instances.iter_mut().for_each(Server::kill);
        self.reader.prune(&self.shared.record).await?;
        self.counts[2] += 1;
        for instance in &mut self.instances {
            instance.start(&self.clock)?;
        }
        for instance in &mut self.instances {
            instance.answers().await?;
        }
        Ok(())
    }

    /// Waits until all that was taken is stored; where the stream ends then.
    async fn settle(&mut self, ledger: &Ledger) -> anyhow::Result<i64> {
        let began = Instant::now();
        for instance in &mut self.instances {
            instance.ready().await?;
            while instance.waiting().await? > 0 {
                ensure!(began.elapsed() < PATIENCE, "{} events wait and are not stored", instance.waiting().await?);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        // Windows end now, and attempts were told of a little ahead.
        tokio::time::sleep((ledger.last_time() - Utc::now()).to_std().unwrap_or_default()).await;
        self.reader.position().await
    }

    fn course(&self, took: Duration, settled: Duration) -> StreamsCourse {
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let losses = LOSSES.into_iter().zip(self.shared.losses.iter().map(count)).collect();
        let [kills, stops, prunes] = self.counts;
        let (ended, sleeps) = (count(&self.shared.ended), count(&self.shared.sleeps));
        StreamsCourse { losses, ended, sleeps, kills, stops, prunes, took, settled }
    }
}
