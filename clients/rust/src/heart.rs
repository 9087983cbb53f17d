//! Tells the server that the worker lives, in a task of its own: a batch that is stuck must not make the worker look dead.

use std::{sync::Arc, time::Duration};

use taskscope_wire::Heartbeat;
use tokio::{
    sync::Notify,
    time::{MissedTickBehavior, interval},
};

use crate::{
    endpoint::{Answer, Endpoint},
    reporter::Shared,
};

pub(crate) struct Heart {
    shared: Arc<Shared>,
    endpoint: Endpoint,
    /// All that doesn't change.
    template: Heartbeat,
    stop: Arc<Notify>,
}

impl Heart {
    pub(crate) fn new(shared: Arc<Shared>, endpoint: Endpoint, template: Heartbeat, stop: Arc<Notify>) -> Self {
        Self { shared, endpoint, template, stop }
    }

    /// Beats until it is told to stop, and once more then. True if the last one arrived.
    pub(crate) async fn run(self) -> bool {
        let mut ticks = interval(Duration::from_millis(self.template.interval_ms.into()));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut warned = false;
        loop {
            tokio::select! {
                _ = ticks.tick() => match self.beat(false).await {
                    Answer::Taken(()) => {}
                    Answer::Refused(reason) | Answer::TooLarge(reason) if !warned => {
                        warned = true;
                        tracing::warn!(reason, "Taskscope refuses the worker's heartbeats");
                    }
                    other => tracing::debug!(answer = ?other, "a heartbeat didn't arrive"),
                },
                () = self.stop.notified() => return matches!(self.beat(true).await, Answer::Taken(())),
            }
        }
    }

    async fn beat(&self, stopping: bool) -> Answer<()> {
        let stats = self.shared.stats();
        let heartbeat = Heartbeat {
            running: u32::try_from(stats.running).unwrap_or(u32::MAX),
            buffered: stats.buffered,
            dropped: stats.dropped + stats.refused,
            stopping,
            ..self.template.clone()
        };
        self.endpoint.send_heartbeat(&heartbeat).await
    }
}
