use leptos::{prelude::*, task::spawn_local};
use taskscope_wire::RunLogLine;
use uuid::Uuid;

use crate::server_fns::get_run_log;

/// The most lines that an answer has.
const MOST: usize = 1_000;

/// The log of a run, which only grows: what is missing at its end is fetched.
#[derive(Clone, Copy)]
pub(super) struct Log {
    run: RwSignal<Option<Uuid>>,
    lines: RwSignal<Vec<RunLogLine>>,
    /// Whether lines are on their way, and whether there may be more by then.
    fetching: StoredValue<bool>,
    again: StoredValue<bool>,
}

impl Log {
    pub(super) fn new() -> Self {
        let log = Self {
            run: RwSignal::new(None),
            lines: RwSignal::default(),
            fetching: StoredValue::new(false),
            again: StoredValue::new(false),
        };
        // A log may have more lines than one answer.
        Effect::new(move |_| {
            if log.run.with(Option::is_some) {
                log.fetch();
            }
        });
        log
    }

    /// The lines, oldest first.
    pub(super) fn lines(self) -> Signal<Vec<RunLogLine>> {
        self.lines.into()
    }

    /// Shows the first lines of a run's log.
    pub(super) fn load(self, run: Uuid, lines: Vec<RunLogLine>) {
        if self.run.get_untracked() != Some(run) {
            self.run.set(Some(run));
            self.lines.set(lines);
        }
    }

    /// Fetches the lines after those that are there.
    pub(super) fn fetch(self) {
        let Some(run) = self.run.try_get_untracked().flatten() else { return };
        if self.fetching.get_value() {
            self.again.set_value(true);
            return;
        }
        self.fetching.set_value(true);
        spawn_local(async move {
            let after = self.lines.try_with_untracked(|lines| lines.last().map_or(0, |line| line.id));
            let Some(after) = after else { return };
            let more = get_run_log(run, after).await.unwrap_or_default();
            // The page may be gone, or show another run.
            let Some(shown) = self.run.try_get_untracked() else { return };
            let full = more.len() >= MOST;
            if shown == Some(run) && !more.is_empty() {
                self.lines.update(|lines| lines.extend(more));
            }
            self.fetching.set_value(false);
            if self.again.try_update_value(std::mem::take).unwrap_or_default() || full {
                self.fetch();
            }
        });
    }
}
