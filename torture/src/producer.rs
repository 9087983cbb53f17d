//! Many tasks at once, each reported by a client of its own.

use std::{sync::Arc, time::Duration};

use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    delivery::{Answer, Door},
    ledger::Ledger,
    story::{Parcel, Story},
};

/// Pauses of a client that got no 2xx, in milliseconds.
const AGAIN: std::ops::Range<u64> = 100..1000;

/// Clients that run one task after the other until they are told to stop.
#[derive(Debug, Default)]
pub(crate) struct Producers {
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl Producers {
    /// Starts so many clients, which pause for `pace` in the mean between two parcels.
    #[must_use]
    pub(crate) fn start(count: usize, pace: Duration, door: &Door, ledger: &Arc<Ledger>) -> Self {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for index in 0..count {
            let rng = SmallRng::seed_from_u64(ledger.seed() ^ index as u64);
            let producer = Producer { door: door.clone(), ledger: Arc::clone(ledger), pace, rng };
            tasks.spawn(producer.run(stop.clone()));
        }
        Self { tasks, stop }
    }

    /// Begins no new tasks, and waits until those that are on their way are told to their end.
    pub(crate) async fn finish(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

struct Producer {
    door: Door,
    ledger: Arc<Ledger>,
    pace: Duration,
    rng: SmallRng,
}

impl Producer {
    async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let (number, story) = self.ledger.open(false);
            for parcel in &story.parcels {
                tokio::time::sleep(self.pace.mul_f64(self.rng.random_range(0.0..2.0))).await;
                self.tell(number, &story, parcel).await;
                if parcel.twice {
                    self.tell(number, &story, parcel).await;
                }
            }
        }
    }

    /// Until it is taken; an impatient client tries once.
    async fn tell(&mut self, number: u32, story: &Story, parcel: &Parcel) {
        while self.door.deliver(&self.ledger, number, story, parcel).await != Answer::Taken && !story.impatient {
            tokio::time::sleep(Duration::from_millis(self.rng.random_range(AGAIN))).await;
        }
    }
}
