use std::time::Duration;

use anyhow::{Context, anyhow};
use chrono::{DateTime, Utc};
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};

use crate::{Queue, WorkloadConfig, registry};

/// The longest sleep: the clock may be set, and a laptop may sleep too.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// How soon a tick is tried again that the database didn't take.
const AGAIN: Duration = Duration::from_secs(1);

/// A task type that runs by the clock.
#[derive(Debug)]
pub(crate) struct Schedule {
    name: &'static str,
    cron: Cron,
}

/// The schedules of all task types.
///
/// # Errors
/// A sentence that names the task type whose expression is wrong.
pub(crate) fn plan(config: &WorkloadConfig) -> anyhow::Result<Vec<Schedule>> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    let mut schedules = Vec::new();
    for definition in registry::definitions() {
        let Some(text) = definition.schedule(config) else { continue };
        let wrong = || {
            format!(
                "the schedule of {} must be a cron expression of five fields such as `0 8 * * *`, or `off`, not {text:?}",
                definition.name
            )
        };
        let cron = parser.parse(text).map_err(|error| anyhow!("{error}")).with_context(wrong)?;
        // Such as the 30th of February.
        cron.find_next_occurrence(&Utc::now(), false).map_err(|error| anyhow!("{error}")).with_context(wrong)?;
        schedules.push(Schedule { name: definition.name, cron });
    }
    Ok(schedules)
}

impl Schedule {
    /// Queues the task at each tick, for ever. Several workers may do so: the queue takes a tick once.
    pub(crate) async fn follow(self, queue: Queue) {
        let mut last = Utc::now();
        while let Ok(tick) = self.cron.find_next_occurrence(&last, false) {
            sleep_until(tick).await;
            self.queue_tick(&queue, tick).await;
            // What was slept through is not made up for.
            last = tick.max(Utc::now());
        }
        tracing::error!(task = self.name, "the schedule has no further tick");
    }

    async fn queue_tick(&self, queue: &Queue, tick: DateTime<Utc>) {
        while let Err(error) = queue.push_tick(self.name, tick).await {
            tracing::warn!(task = self.name, %tick, %error, "a tick can't be queued yet");
            tokio::time::sleep(AGAIN).await;
        }
    }
}

async fn sleep_until(tick: DateTime<Utc>) {
    while let Ok(rest) = (tick - Utc::now()).to_std() {
        if rest.is_zero() {
            return;
        }
        tokio::time::sleep(rest.min(LONGEST_SLEEP)).await;
    }
}
