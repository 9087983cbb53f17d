use std::time::Duration;

use chrono::{DateTime, Utc};
use leptos::prelude::*;

/// The time, second by second, while `runs`; none on the server and in the first drawing, which must not differ.
pub(super) fn seconds(runs: Signal<bool>) -> Signal<Option<DateTime<Utc>>> {
    let now = RwSignal::new(None);
    Effect::new(move |_| {
        if runs.get() {
            now.set(Some(Utc::now()));
            let tick = move || {
                now.try_set(Some(Utc::now()));
            };
            let timer = set_interval_with_handle(tick, Duration::from_secs(1));
            on_cleanup(move || drop(timer.map(|timer| timer.clear())));
        }
    });
    now.into()
}
