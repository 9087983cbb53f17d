use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use leptos::prelude::*;

use super::Live;

/// How long a request waits for others that come with it.
const SOON: Duration = Duration::from_millis(120);
/// The shortest time between two fetches.
const APART: TimeDelta = TimeDelta::milliseconds(500);

/// The same for what costs more than a page of rows, and changes slower.
const SLOWLY_APART: TimeDelta = TimeDelta::seconds(3);

/// Fetches a page's state again: soon after it is asked for, and not more often than twice a second, or every three seconds.
#[derive(Clone, Copy)]
pub struct Refetch {
    apart: TimeDelta,
    job: StoredValue<Arc<dyn Fn() + Send + Sync>>,
    timer: StoredValue<Option<TimeoutHandle>>,
    last: StoredValue<DateTime<Utc>>,
}

/// Calls `job` whenever what the page fetched became doubtful, and when the database is back.
pub fn use_refetch(live: Live, job: impl Fn() + Send + Sync + 'static) -> Refetch {
    use_refetch_apart(live, APART, job)
}

/// The same, but not more often than every three seconds.
pub fn use_slow_refetch(live: Live, job: impl Fn() + Send + Sync + 'static) -> Refetch {
    use_refetch_apart(live, SLOWLY_APART, job)
}

fn use_refetch_apart(live: Live, apart: TimeDelta, job: impl Fn() + Send + Sync + 'static) -> Refetch {
    let refetch = Refetch {
        apart,
        job: StoredValue::new(Arc::new(job)),
        timer: StoredValue::new(None),
        last: StoredValue::new(DateTime::UNIX_EPOCH),
    };
    on_change(live.stale(), move |_| refetch.soon());
    let database_up = Memo::new(move |_| live.server().with(|server| server.as_ref().is_none_or(|server| server.database_up)));
    on_change(database_up.into(), move |up| {
        if up {
            refetch.soon();
        }
    });
    on_cleanup(move || {
        if let Some(timer) = refetch.timer.try_get_value().flatten() {
            timer.clear();
        }
    });
    refetch
}

/// Calls `then` with every value but the first.
fn on_change<T: Clone + PartialEq + Send + Sync + 'static>(signal: Signal<T>, then: impl Fn(T) + 'static) {
    Effect::new(move |before: Option<T>| {
        let now = signal.get();
        if before.is_some_and(|before| before != now) {
            then(now.clone());
        }
        now
    });
}

impl Refetch {
    /// Asks for a fetch.
    pub fn soon(self) {
        if self.timer.try_get_value().is_none_or(|timer| timer.is_some()) {
            return;
        }
        let earliest = self.last.get_value() + self.apart;
        let wait = (earliest - Utc::now()).to_std().unwrap_or_default().max(SOON);
        let timer = set_timeout_with_handle(move || self.fetch(), wait);
        self.timer.set_value(timer.ok());
    }

    fn fetch(self) {
        self.timer.try_update_value(|timer| *timer = None);
        self.last.try_update_value(|last| *last = Utc::now());
        if let Some(job) = self.job.try_get_value() {
            job();
        }
    }
}
