//! What is done to the program, drawn from a seed: the same seed gives the same faults in the same order.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::SmallRng, seq::SliceRandom};

/// How hard, how long, and from which seed.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What all that is random comes from.
    pub seed: u64,
    /// Tasks that are on their way at any time.
    pub tasks: usize,
    /// The mean pause between two reports of one task.
    pub pace: Duration,
    /// SIGKILLs of the server.
    pub kills: usize,
    /// Stops of Postgres that leave it no time to write anything.
    pub stops: usize,
    /// Freezes of Postgres.
    pub freezes: usize,
    /// How long the one long outage of Postgres is; zero for none.
    pub outage: Duration,
    /// Times that the server can write no further byte.
    pub full_disks: usize,
    /// Whether a full disk is a small file system of its own, where this process may mount one; otherwise it is a limit of the files' size.
    pub mounts: bool,
    /// Jumps of the server's clock.
    pub clock_jumps: usize,
    /// Bad weather of every kind on both networks, so many times.
    pub weathers: usize,
    /// Megabytes of events that a last start finds in the spool; zero for none.
    pub backlog_megabytes: u64,
}

impl Plan {
    /// Every kind once or a few times, in about half a minute.
    #[must_use]
    pub const fn short(seed: u64) -> Self {
        Self {
            seed,
            tasks: 60,
            pace: Duration::from_millis(400),
            kills: 3,
            stops: 1,
            freezes: 1,
            outage: Duration::from_secs(3),
            full_disks: 1,
            mounts: false,
            clock_jumps: 2,
            weathers: 1,
            backlog_megabytes: 0,
        }
    }

    /// What a release is judged by.
    #[must_use]
    pub const fn long(seed: u64) -> Self {
        Self {
            seed,
            tasks: 1000,
            pace: Duration::from_secs(3),
            kills: 500,
            stops: 50,
            freezes: 20,
            outage: Duration::from_secs(600),
            full_disks: 1,
            mounts: true,
            clock_jumps: 20,
            weathers: 5,
            backlog_megabytes: 1024,
        }
    }

    /// All faults, in the order in which they come.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut rng = SmallRng::seed_from_u64(self.seed);
        let mut faults = Vec::new();
        let millis = |rng: &mut SmallRng, range: std::ops::Range<u64>| Duration::from_millis(rng.random_range(range));
        for _ in 0..self.kills {
            // Some are killed again while they start.
            let again = rng.random_bool(0.2).then(|| millis(&mut rng, 0..400));
            faults.push(Fault::Kill { again });
        }
        faults.extend((0..self.stops).map(|_| Fault::Stop { down: millis(&mut rng, 0..1000) }));
        faults.extend((0..self.freezes).map(|_| Fault::Freeze { lasts: millis(&mut rng, 1000..4000) }));
        faults.extend((!self.outage.is_zero()).then_some(Fault::Outage { lasts: self.outage }));
        faults.extend((0..self.full_disks).map(|_| Fault::FullDisk { mounts: self.mounts }));
        for _ in 0..self.clock_jumps {
            let hours = rng.random_range(1..=9);
            faults.push(Fault::ClockJump { hours: if rng.random_bool(0.5) { hours } else { -hours } });
        }
        for _ in 0..self.weathers {
            for place in [Place::Producers, Place::Postgres] {
                let slow = Weather::Slow(millis(&mut rng, 20..200));
                for weather in [Weather::Cut, slow, Weather::HalfOpen] {
                    faults.push(Fault::Network { place, weather, lasts: millis(&mut rng, 300..1500) });
                }
            }
        }
        faults.shuffle(&mut rng);
        faults
    }
}

/// Something that happens to a running server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL, and a new start on the same directory.
    Kill {
        /// How long after it the new one is killed too.
        again: Option<Duration>,
    },
    /// Postgres ends without writing anything, and recovers when it is started again.
    Stop {
        /// How long it is away.
        down: Duration,
    },
    /// Every process of Postgres is stopped: it takes connections and never answers.
    Freeze {
        /// For how long.
        lasts: Duration,
    },
    /// Postgres is away for long.
    Outage {
        /// For how long.
        lasts: Duration,
    },
    /// The spool can't grow while Postgres is away.
    FullDisk {
        /// Whether by a small file system.
        mounts: bool,
    },
    /// The server's clock is wrong from now on.
    ClockJump {
        /// By how much, in hours.
        hours: i64,
    },
    /// A network is bad for a while.
    Network {
        /// Which one.
        place: Place,
        /// How.
        weather: Weather,
        /// For how long.
        lasts: Duration,
    },
}

impl Fault {
    /// What the report calls it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Kill { .. } => "server killed (SIGKILL)",
            Self::Stop { .. } => "Postgres stopped at once",
            Self::Freeze { .. } => "Postgres frozen (SIGSTOP)",
            Self::Outage { .. } => "long outage of Postgres",
            Self::FullDisk { .. } => "full disk under the spool",
            Self::ClockJump { .. } => "server's clock off by hours",
            Self::Network { place: Place::Producers, weather, .. } => match weather {
                Weather::Clear | Weather::Slow(_) => "producers to server: slow",
                Weather::Cut => "producers to server: cut",
                Weather::HalfOpen => "producers to server: half-open",
            },
            Self::Network { place: Place::Postgres, weather, .. } => match weather {
                Weather::Clear | Weather::Slow(_) => "server to Postgres: slow",
                Weather::Cut => "server to Postgres: cut",
                Weather::HalfOpen => "server to Postgres: half-open",
            },
        }
    }
}

/// One of the two networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Between producers and server.
    Producers,
    /// Between server and Postgres.
    Postgres,
}

/// How a network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// As it should be.
    Clear,
    /// Every piece comes so much later.
    Slow(Duration),
    /// Connections break, and new ones too.
    Cut,
    /// Connections stay open and nothing passes; those that tried are lost.
    HalfOpen,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_gives_the_same_faults_and_another_one_others() {
        assert_eq!(Plan::long(7).faults(), Plan::long(7).faults());
        assert_ne!(Plan::long(7).faults(), Plan::long(8).faults());
    }

    #[test]
    fn even_the_short_plan_has_every_kind() {
        let kinds = |plan: Plan| plan.faults().iter().map(Fault::kind).collect::<BTreeSet<_>>();
        assert_eq!(kinds(Plan::short(1)), kinds(Plan::long(1)));
        assert_eq!(kinds(Plan::short(1)).len(), 12);
    }
}
