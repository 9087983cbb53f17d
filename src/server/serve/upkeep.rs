//! What is looked after again and again while the server runs.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use taskscope_wire::ServerState;

use super::PULSE;
use crate::server::{
    config::Config,
    hub::Hub,
    notices::Notices,
    recorder::Recorder,
    store::{ReplicaState, Store, StoreError},
};

/// How often it is looked how far the replica is.
const REPLICA_LOOK: Duration = Duration::from_secs(1);
/// How often queues are looked at. What is kept is the most in a minute.
const QUEUE_LOOK: Duration = Duration::from_secs(15);
/// How often rollups are looked after.
const MERGE: Duration = Duration::from_secs(1);
/// Waiting events below this are the ordinary flow.
const BACKLOG: u64 = 5000;
/// How long the audit log goes back.
const AUDIT_KEPT: TimeDelta = TimeDelta::days(365);
/// How long until days that are over are looked at again.
const INDEX_PAUSE: Duration = Duration::from_secs(60);

/// How long executions are kept, and who deletes them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retention {
    days: u32,
    /// The worker deletes what it has archived; here only what is empty goes.
    archived: bool,
}

impl Retention {
    pub(super) fn of(config: &Config) -> Self {
        Self { days: config.retention_days, archived: config.workload.retention.archive_dir.is_some() }
    }
}

/// Tells watchers whether Postgres answers, and how much waits for it.
pub(super) async fn take_pulse(store: Store, recorder: Recorder, hub: Hub, notices: Notices) {
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
pub(super) async fn watch_replica(store: Store, notices: Notices) {
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
pub(super) async fn look_at_queues(store: Store) {
    loop {
        if let Err(error) = store.sample_queues(Utc::now()).await {
            tracing::debug!(%error, "queues could not be looked at");
        }
        tokio::time::sleep(QUEUE_LOOK).await;
    }
}

/// Merges what batches changed into the rollups, and counts anew what others wrote.
pub(super) async fn keep_counts(store: Store) {
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
pub(super) async fn index_days(store: Store) {
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
pub(super) async fn keep_house(store: Store, retention: Retention) {
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
