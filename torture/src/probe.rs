//! One event every few milliseconds past all networks, and a watcher that sees when it shows: whether the server is alive, and how late.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::ensure;
use futures::StreamExt;
use serde::Deserialize;
use tokio::{sync::watch, task::JoinSet};
use tokio_tungstenite::{connect_async, tungstenite::Message};

use crate::{delivery::Door, ledger::Ledger, story};

/// How often an event is sent.
const PERIOD: Duration = Duration::from_millis(50);
/// How long to wait before the watcher comes again.
const AGAIN: Duration = Duration::from_millis(50);
/// How long it may take until the server is alive again. A long outage's backlog comes first.
const PATIENCE: Duration = Duration::from_secs(600);

/// A probe that was seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// When it was sent.
    pub(crate) sent: Instant,
    /// When it showed.
    pub(crate) at: Instant,
}

/// The running probes.
#[derive(Debug)]
pub(crate) struct Probes {
    tasks: JoinSet<()>,
    shared: Arc<Shared>,
    newest: watch::Receiver<Option<Seen>>,
}

#[derive(Debug, Default)]
struct Shared {
    sent: Mutex<HashMap<u32, Instant>>,
    seen: Mutex<Vec<Seen>>,
}

impl Probes {
    /// Begins to send and to watch.
    ///
    /// # Errors
    /// There can't be an HTTP client.
    pub(crate) fn start(port: u16, ledger: &Arc<Ledger>) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (newest, seen) = watch::channel(None);
        let mut tasks = JoinSet::new();
        tasks.spawn(send(Door::new(port)?, Arc::clone(ledger), Arc::clone(&shared)));
        tasks.spawn(watch_live(port, ledger.seed(), Arc::clone(&shared), newest));
        Ok(Self { tasks, shared, newest: seen })
    }

    /// Waits until an event shows that was sent at this moment or later; how long that took from then on.
    ///
    /// # Errors
    /// None shows.
    pub(crate) async fn live_after(&self, moment: Instant) -> anyhow::Result<Duration> {
        let mut newest = self.newest.clone();
        let shown = newest.wait_for(|seen| seen.is_some_and(|seen| seen.sent >= moment));
        let shown = tokio::time::timeout(PATIENCE, shown).await;
        ensure!(shown.is_ok(), "nothing is live {} s after a fault was over", PATIENCE.as_secs());
        let first = lock(&self.shared.seen).iter().filter(|seen| seen.sent >= moment).map(|seen| seen.at).min();
        Ok(first.map_or(Duration::ZERO, |at| at - moment))
    }

    /// How late events showed that were sent in a span of time.
    #[must_use]
    pub(crate) fn latencies(&self, from: Instant, to: Instant) -> Vec<Duration> {
        lock(&self.shared.seen)
            .iter()
            .filter(|seen| from <= seen.sent && seen.sent <= to)
            .map(|seen| seen.at - seen.sent)
            .collect()
    }

    /// Sends no more.
    pub(crate) async fn finish(&mut self) {
        self.tasks.shutdown().await;
    }
}

async fn send(door: Door, ledger: Arc<Ledger>, shared: Arc<Shared>) {
    let mut under_way = JoinSet::new();
    loop {
        tokio::time::sleep(PERIOD).await;
        while under_way.try_join_next().is_some() {}
        let (number, story) = ledger.open(true);
        let (door, ledger) = (door.clone(), Arc::clone(&ledger));
        lock(&shared.sent).insert(number, Instant::now());
        under_way.spawn(async move {
            for parcel in &story.parcels {
                door.deliver(&ledger, number, &story, parcel).await;
            }
        });
    }
}

/// A live message, as far as it matters.
#[derive(Debug, Deserialize)]
struct Live {
    seq: Option<i64>,
    epoch: Option<String>,
    data: Option<LiveData>,
}

#[derive(Debug, Deserialize)]
struct LiveData {
    broker_task_id: Option<String>,
}

/// Watches for ever, and comes back to its place when the connection is lost.
async fn watch_live(port: u16, seed: u64, shared: Arc<Shared>, newest: watch::Sender<Option<Seen>>) {
    let mut place: Option<(String, i64)> = None;
    loop {
        let known = place.as_ref().map(|(epoch, seq)| format!("&epoch={epoch}&seq={seq}")).unwrap_or_default();
        if let Ok((mut stream, _)) = connect_async(format!("ws://127.0.0.1:{port}/ws?batch=1{known}")).await {
            while let Some(Ok(message)) = stream.next().await {
                let Message::Text(text) = message else { continue };
                let messages: Vec<Live> = serde_json::from_str(&text).unwrap_or_default();
                for message in messages {
                    follow(&mut place, &message);
                    note(seed, &shared, &newest, &message);
                }
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

fn follow(place: &mut Option<(String, i64)>, message: &Live) {
    let Some(seq) = message.seq else { return };
    match (&message.epoch, &mut *place) {
        (Some(epoch), Some((known, _))) if known == epoch => {}
        (Some(epoch), _) => *place = Some((epoch.clone(), seq)),
        (None, Some((_, known))) => *known = seq,
        (None, None) => {}
    }
}

fn note(seed: u64, shared: &Shared, newest: &watch::Sender<Option<Seen>>, message: &Live) {
    let id = message.data.as_ref().and_then(|data| data.broker_task_id.as_deref());
    let Some(number) = id.and_then(|id| story::number_of(seed, id)) else { return };
    let Some(sent) = lock(&shared.sent).remove(&number) else { return };
    let seen = Seen { sent, at: Instant::now() };
    lock(&shared.seen).push(seen);
    newest.send_if_modified(|newest| {
        let newer = newest.is_none_or(|known| known.sent < seen.sent);
        if newer {
            *newest = Some(seen);
        }
        newer
    });
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
