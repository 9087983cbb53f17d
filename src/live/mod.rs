//! Keeps a page current: one WebSocket, one [`Dashboard`], and the signals that all components share.
//!
//! The first paint comes from what a page fetched; the stream only advances it, from the place that was fetched. So server
//! and browser draw the same HTML, and no event is missed or counted twice in between.

mod backoff;
mod refetch;
mod series;
#[cfg(feature = "hydrate")]
mod socket;
mod state;
#[cfg(not(feature = "hydrate"))]
mod socket {
    /// There is nothing to keep current outside a browser.
    pub(super) const fn run(_live: super::Live) {}
}

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use leptos::prelude::*;
use taskscope_wire::{AnalysisEvent, LiveEvent, LiveMessage, Metrics, MissedEvents, Position, ServerState, TaskMetrics};

pub use backoff::backoff;
pub use refetch::{Refetch, use_refetch, use_slow_refetch};
pub use series::LiveSeries;
pub use state::{Dashboard, FEED, Feed, Next};

/// New events that the feed shows at once, however fast they come.
const FEW: u64 = 10;
/// The shortest time between two drawings of the feed where more come.
const FEED_DRAWN_APART: TimeDelta = TimeDelta::milliseconds(150);

/// Whether the page is current.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// There was no connection yet.
    Connecting,
    /// The stream runs.
    Connected,
    /// It broke; the next attempt is so many seconds away.
    Disconnected {
        /// Seconds between the break and the next attempt.
        retry_in: u32,
    },
}

/// One task type with its own signal, so that an event redraws one card only.
#[derive(Debug, Clone)]
pub struct Card {
    /// The task type.
    pub task_name: Arc<str>,
    /// Its counts.
    pub metrics: ArcRwSignal<TaskMetrics>,
}

/// The shared state of all that is live. Cheap to copy; components get its signals.
#[derive(Debug, Clone, Copy)]
pub struct Live {
    dashboard: StoredValue<Dashboard>,
    wanted: RwSignal<bool>,
    connection: RwSignal<Connection>,
    server: RwSignal<Option<ServerState>>,
    cards: RwSignal<Vec<Card>>,
    totals: RwSignal<TaskMetrics>,
    feed: RwSignal<Feed>,
    feed_drawn: StoredValue<DateTime<Utc>>,
    feed_waits: StoredValue<bool>,
    latest: RwSignal<Arc<[Arc<LiveEvent>]>>,
    analysis: RwSignal<Arc<[AnalysisEvent]>>,
    stale: RwSignal<u64>,
}

/// Makes the live state of the app, and connects once a page has said where it stands.
pub fn provide_live() {
    let live = Live {
        dashboard: StoredValue::default(),
        wanted: RwSignal::new(false),
        connection: RwSignal::new(Connection::Connecting),
        server: RwSignal::new(None),
        cards: RwSignal::default(),
        totals: RwSignal::default(),
        feed: RwSignal::default(),
        feed_drawn: StoredValue::new(DateTime::UNIX_EPOCH),
        feed_waits: StoredValue::new(false),
        latest: RwSignal::new(Arc::default()),
        analysis: RwSignal::new(Arc::default()),
        stale: RwSignal::new(0),
    };
    provide_context(live);
    Effect::new(move |_| {
        if live.wanted.get() {
            socket::run(live);
        }
    });
}

/// The live state of the app.
#[must_use]
pub fn use_live() -> Live {
    expect_context()
}

impl Live {
    /// Connects, if that has not happened: the page that calls it has loaded what it shows, and with it the place where the
    /// stream must begin.
    pub fn connect(self) {
        if !self.wanted.get_untracked() {
            self.wanted.set(true);
        }
    }

    /// Says where the stream must begin for what was fetched, where neither counts nor events are shown.
    pub fn start_at(self, position: &Position) {
        self.dashboard.update_value(|dashboard| dashboard.start_at(position));
    }

    /// Takes counts that were fetched.
    pub fn load_metrics(self, metrics: Metrics) {
        self.change(|dashboard| dashboard.load_metrics(metrics));
    }

    /// Takes the newest events that were fetched.
    pub fn load_feed(self, missed: MissedEvents) {
        self.change(|dashboard| {
            dashboard.load_feed(missed);
            Next::Go
        });
    }

    /// Takes messages of the stream, all that came since the last frame at once.
    pub fn receive(self, messages: Vec<LiveMessage>) {
        self.change(|dashboard| {
            let mut next = Next::Go;
            for message in messages {
                if dashboard.apply(message) == Next::Refetch {
                    next = Next::Refetch;
                }
            }
            next
        });
    }

    /// Tells how the connection is.
    pub fn set_connection(self, connection: Connection) {
        if self.connection.get_untracked() != connection {
            self.connection.set(connection);
        }
    }

    /// Where the next connection resumes.
    #[must_use]
    pub fn position(self) -> Option<Position> {
        self.dashboard.with_value(|dashboard| dashboard.position().cloned())
    }

    /// The events after a place of the stream, as far as they have come; none where some of them are not known any more.
    #[must_use]
    pub fn since(self, position: &Position) -> Option<Vec<Arc<LiveEvent>>> {
        self.dashboard.with_value(|dashboard| dashboard.since(position))
    }

    /// How the connection is.
    #[must_use]
    pub fn connection(self) -> Signal<Connection> {
        self.connection.into()
    }

    /// How the server last said it is.
    #[must_use]
    pub fn server(self) -> Signal<Option<ServerState>> {
        self.server.into()
    }

    /// One card a task type. Changes only when a task type comes or goes.
    #[must_use]
    pub fn cards(self) -> Signal<Vec<Card>> {
        self.cards.into()
    }

    /// The sums over all task types.
    #[must_use]
    pub fn totals(self) -> Signal<TaskMetrics> {
        self.totals.into()
    }

    /// The newest events.
    #[must_use]
    pub fn feed(self) -> Signal<Feed> {
        self.feed.into()
    }

    /// The events of the last frame, oldest first.
    #[must_use]
    pub fn latest(self) -> Signal<Arc<[Arc<LiveEvent>]>> {
        self.latest.into()
    }

    /// What happened to analysis runs in the last frame, oldest first.
    #[must_use]
    pub fn analysis(self) -> Signal<Arc<[AnalysisEvent]>> {
        self.analysis.into()
    }

    /// Counts how often what was fetched became doubtful, and must be fetched again.
    #[must_use]
    pub fn stale(self) -> Signal<u64> {
        self.stale.into()
    }

    fn change(self, change: impl FnOnce(&mut Dashboard) -> Next) {
        let mut next = Next::Go;
        let (mut fresh, mut analysis) = (Vec::new(), Vec::new());
        self.dashboard.update_value(|dashboard| {
            next = change(dashboard);
            fresh = dashboard.take_fresh();
            analysis = dashboard.take_fresh_analysis();
        });
        self.dashboard.with_value(|dashboard| self.publish(dashboard));
        if !fresh.is_empty() {
            self.latest.set(fresh.into());
        }
        if !analysis.is_empty() {
            self.analysis.set(analysis.into());
        }
        if next == Next::Refetch {
            self.stale.update(|times| *times += 1);
        }
    }

    fn publish(self, dashboard: &Dashboard) {
        self.publish_cards(dashboard.metrics());
        set_if_new(self.totals, &dashboard.totals());
        if self.feed.with_untracked(|shown| shown != dashboard.feed()) {
            self.publish_feed(dashboard.feed());
        }
        if let Some(server) = dashboard.server()
            && self.server.with_untracked(|shown| shown.as_ref() != Some(server))
        {
            self.server.set(Some(server.clone()));
        }
    }

    /// Draws the feed at once, but under load not more often than a reader can see: its lines are new elements each time.
    fn publish_feed(self, feed: &Feed) {
        let next = self.feed_drawn.get_value() + FEED_DRAWN_APART;
        let new = self.feed.with_untracked(|shown| feed.arrived.saturating_sub(shown.arrived));
        match (next - Utc::now()).to_std() {
            Ok(wait) if new > FEW => self.publish_feed_later(wait),
            _ => {
                self.feed_drawn.set_value(Utc::now());
                self.feed.set(feed.clone());
            }
        }
    }

    fn publish_feed_later(self, wait: Duration) {
        if self.feed_waits.get_value() {
            return;
        }
        self.feed_waits.set_value(true);
        let draw = move || {
            self.feed_waits.set_value(false);
            self.feed_drawn.set_value(Utc::now());
            self.dashboard.with_value(|dashboard| set_if_new(self.feed, dashboard.feed()));
        };
        set_timeout(draw, wait);
    }

    fn publish_cards(self, metrics: &[TaskMetrics]) {
        let cards = self.cards.get_untracked();
        for (card, metrics) in cards.iter().zip(metrics).filter(|(card, metrics)| *card.task_name == *metrics.task_name) {
            if card.metrics.with_untracked(|shown| shown != metrics) {
                card.metrics.set(metrics.clone());
            }
        }
        let is_same_list = cards.len() == metrics.len()
            && cards.iter().zip(metrics).all(|(card, metrics)| *card.task_name == *metrics.task_name);
        if !is_same_list {
            self.cards.set(metrics.iter().map(|metrics| card_of(&cards, metrics)).collect());
        }
    }
}

/// The card of a task type: the one that there is, or a new one.
fn card_of(cards: &[Card], metrics: &TaskMetrics) -> Card {
    let known = cards.iter().find(|card| *card.task_name == *metrics.task_name).cloned();
    if let Some(card) = &known
        && card.metrics.with_untracked(|shown| shown != metrics)
    {
        card.metrics.set(metrics.clone());
    }
    known.unwrap_or_else(|| Card { task_name: metrics.task_name.as_str().into(), metrics: ArcRwSignal::new(metrics.clone()) })
}

fn set_if_new<T: Clone + PartialEq + Send + Sync + 'static>(signal: RwSignal<T>, value: &T) {
    if signal.with_untracked(|shown| shown != value) {
        signal.set(value.clone());
    }
}
