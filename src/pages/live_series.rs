//! How charts stay current: the stream moves their counts, and the series is fetched again when its last step is over.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use leptos::prelude::*;
use taskscope_wire::{LiveEvent, Series};

use crate::{
    error::AppError,
    live::{Live, LiveSeries, Next, Refetch, use_slow_refetch},
};

/// The shortest time between two drawings: charts have more to draw than a reader can follow.
const DRAWN_APART: TimeDelta = TimeDelta::milliseconds(250);
/// How long times and queues, which the stream doesn't tell, may be old.
const OLDEST: Duration = Duration::from_secs(30);
/// The shortest wait for the end of a step, and the wait after a failure.
const SHORTEST: Duration = Duration::from_secs(5);

/// A series as it is drawn. Cheap to copy.
#[derive(Clone, Copy)]
pub(super) struct ShownSeries {
    live: Live,
    state: StoredValue<LiveSeries>,
    shown: RwSignal<Arc<Series>>,
    drawn: StoredValue<DateTime<Utc>>,
    is_due: StoredValue<bool>,
    refetch: Refetch,
    /// How long until the next fetch, and how often one was waited for.
    next: RwSignal<(Duration, u64)>,
}

impl ShownSeries {
    /// An empty series, which is fetched by the resource and moved on by the stream from then on.
    pub(super) fn new(live: Live, resource: Resource<Result<Series, AppError>>) -> Self {
        let this = Self {
            live,
            state: StoredValue::default(),
            shown: RwSignal::default(),
            drawn: StoredValue::new(DateTime::UNIX_EPOCH),
            is_due: StoredValue::new(false),
            refetch: use_slow_refetch(live, move || resource.refetch()),
            next: RwSignal::new((SHORTEST, 0)),
        };
        let latest = live.latest();
        Effect::new(move |again: Option<()>| {
            let latest = latest.get();
            // What came before is put on top of what was fetched when that is loaded.
            if again.is_some() {
                this.apply(&latest);
            }
        });
        Effect::new(move |_| {
            let (wait, _) = this.next.get();
            let timer = set_timeout_with_handle(move || this.refetch.soon(), wait);
            on_cleanup(move || drop(timer.map(|timer| timer.clear())));
        });
        this
    }

    /// What is drawn.
    pub(super) fn shown(self) -> Signal<Arc<Series>> {
        self.shown.into()
    }

    /// Whether anything was loaded.
    pub(super) fn is_loaded(self) -> bool {
        self.shown.with_untracked(|shown| !shown.steps.is_empty())
    }

    /// Takes a series that was fetched.
    pub(super) fn load(self, series: Series) {
        self.live.start_at(&series.position);
        let later = self.live.since(&series.position);
        let is_complete = later.is_some();
        let mut next = Next::Go;
        self.state.update_value(|state| next = state.load(series, &later.unwrap_or_default()));
        self.draw();
        let wait = if is_complete && next == Next::Go { self.until_over() } else { SHORTEST };
        self.next.update(|(next, times)| (*next, *times) = (wait, *times + 1));
    }

    /// Tries again after a while: nothing could be fetched.
    pub(super) fn fail(self) {
        self.next.update(|(next, times)| (*next, *times) = (SHORTEST, *times + 1));
    }

    fn apply(self, events: &[Arc<LiveEvent>]) {
        if !self.is_loaded() || events.is_empty() {
            return;
        }
        let mut next = Next::Go;
        self.state.update_value(|state| events.iter().for_each(|event| next = next.and(state.apply(event))));
        if next == Next::Refetch {
            self.refetch.soon();
        }
        self.draw_soon();
    }

    fn draw_soon(self) {
        let wait = (self.drawn.get_value() + DRAWN_APART - Utc::now()).to_std();
        match wait {
            Err(_) => self.draw(),
            Ok(_) if self.is_due.get_value() => {}
            Ok(wait) => {
                self.is_due.set_value(true);
                set_timeout(move || self.draw(), wait);
            }
        }
    }

    /// Draws, unless the page was left meanwhile.
    fn draw(self) {
        let Some(series) = self.state.try_with_value(|state| Arc::new(state.series().clone())) else { return };
        self.is_due.try_set_value(false);
        self.drawn.try_set_value(Utc::now());
        if self.shown.try_with_untracked(|shown| *shown != series) == Some(true) {
            self.shown.try_set(series);
        }
    }

    /// How long after the fetch the last step is over, by the server's clock.
    fn until_over(self) -> Duration {
        let left = self.shown.with_untracked(|shown| shown.step_start(shown.steps.len()) - shown.generated_at);
        left.to_std().unwrap_or_default().clamp(SHORTEST, OLDEST)
    }
}
