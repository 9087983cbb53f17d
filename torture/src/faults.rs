//! Each fault: it is done, it is over, and the server is alive again.

use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::{
    disk,
    plan::{Fault, Place, Weather},
    scene::Scene,
};

/// Events that wait in the ordinary flow.
const ORDINARY: u64 = 200;
/// How long to catch up may take.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(1800);

/// A fault that is over.
#[derive(Debug)]
pub struct Recovery {
    /// What was done.
    pub fault: Fault,
    /// How long it took, from when what was broken was whole again, until an event showed that was sent after that.
    pub live_after: Duration,
    /// What else a long outage tells.
    pub outage: Option<Outage>,
}

/// What a long outage of Postgres left to be done.
#[derive(Debug)]
pub struct Outage {
    /// How long it was.
    pub lasted: Duration,
    /// Events that waited at its end.
    pub waiting: u64,
    /// How long it took until no more waited than usually.
    pub caught_up: Duration,
    /// How late events showed that were sent meanwhile.
    pub latencies: Vec<Duration>,
}

/// What can be done to a scene.
pub(crate) trait Inject {
    /// Does it, ends it, and waits until events show again.
    async fn inject(&mut self, fault: Fault) -> anyhow::Result<Recovery>;
}

impl Inject for Scene {
    async fn inject(&mut self, fault: Fault) -> anyhow::Result<Recovery> {
        ensure!(!self.server.has_ended(), "the server ended by itself; its log is {}", self.server.log().display());
        if let Fault::Outage { lasts } = fault {
            return outage(self, fault, lasts).await;
        }
        let whole = match fault {
            Fault::Kill { again } => kill(self, again).await?,
            Fault::Stop { down } | Fault::Outage { lasts: down } => {
                self.postgres.stop_at_once().await?;
                tokio::time::sleep(down).await;
                self.postgres.start_again().await?;
                Instant::now()
            }
            Fault::Freeze { lasts } => {
                self.postgres.freeze(true);
                tokio::time::sleep(lasts).await;
                self.postgres.freeze(false);
                Instant::now()
            }
            Fault::FullDisk { mounts: true } => disk::fill_mounted(self).await?,
            Fault::FullDisk { mounts: false } => disk::limit(self).await?,
            Fault::ClockJump { hours } => {
                self.clock.set(hours * 3600)?;
                let whole = Instant::now();
                self.server.shows_time(hours).await?;
                whole
            }
            Fault::Network { place, weather, lasts } => {
                network(self, place, weather, lasts).await;
                Instant::now()
            }
        };
        Ok(Recovery { fault, live_after: self.probes.live_after(whole).await?, outage: None })
    }
}

/// The moment of its last start.
async fn kill(scene: &mut Scene, again: Option<Duration>) -> anyhow::Result<Instant> {
    scene.server.kill();
    if let Some(after) = again {
        scene.server.start(&scene.clock)?;
        tokio::time::sleep(after).await;
        scene.server.kill();
    }
    let whole = Instant::now();
    scene.server.start(&scene.clock)?;
    Ok(whole)
}

async fn network(scene: &Scene, place: Place, weather: Weather, lasts: Duration) {
    let network = match place {
        Place::Producers => &scene.front,
        Place::Postgres => &scene.back,
    };
    network.set(weather);
    tokio::time::sleep(lasts).await;
    network.set(Weather::Clear);
}

async fn outage(scene: &mut Scene, fault: Fault, lasts: Duration) -> anyhow::Result<Recovery> {
    let began = Instant::now();
    scene.postgres.stop_at_once().await?;
    tokio::time::sleep(lasts).await;
    scene.postgres.start_again().await?;
    let whole = Instant::now();
    let waiting = scene.server.waiting().await?;
    while scene.server.waiting().await? > ORDINARY {
        ensure!(whole.elapsed() < CATCH_UP_LIMIT, "it doesn't catch up: {} events wait", scene.server.waiting().await?);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let caught_up = Instant::now();
    let live_after = scene.probes.live_after(whole).await?;
    // All that was sent before is seen once something is that was sent after.
    scene.probes.live_after(caught_up).await?;
    let latencies = scene.probes.latencies(whole, caught_up);
    let outage = Outage { lasted: whole - began, waiting, caught_up: caught_up - whole, latencies };
    Ok(Recovery { fault, live_after, outage: Some(outage) })
}
