use std::time::Duration;

use leptos::{prelude::*, task::spawn_local};
use taskscope_wire::RunLogLine;
use uuid::Uuid;

use crate::{error::AppError, server_fns::get_run_log};

/// The most lines that an answer has.
const MOST: usize = 1_000;
/// How often it is asked for new lines while a run writes them: not every line comes with an event.
const AGAIN: Duration = Duration::from_secs(2);

/// The log of a run, which only grows: what is missing at its end is fetched.
#[derive(Clone, Copy)]
pub(super) struct Log {
    /// The run that the page is about.
    wanted: Memo<Result<Uuid, AppError>>,
    /// The run whose lines are there.
    run: RwSignal<Option<Uuid>>,
    lines: RwSignal<Vec<RunLogLine>>,
    /// Whether lines are on their way, and whether there may be more by then.
    fetching: StoredValue<bool>,
    again: StoredValue<bool>,
}

impl Log {
    pub(super) fn new(wanted: Memo<Result<Uuid, AppError>>) -> Self {
        let log = Self {
            wanted,
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

    /// Fetches again and again while the run writes lines, and until its first ones are there.
    pub(super) fn follow(self, running: Memo<bool>) {
        let missing = Memo::new(move |_| self.run.get() != self.wanted.get().ok());
        Effect::new(move |_| {
            if running.get() || missing.get() {
                let timer = set_interval_with_handle(move || self.fetch(), AGAIN);
                on_cleanup(move || drop(timer.map(|timer| timer.clear())));
            }
        });
    }

    /// Fetches the lines after those that are there.
    pub(super) fn fetch(self) {
        let Some(Ok(wanted)) = self.wanted.try_get_untracked() else { return };
        if self.fetching.try_get_value().unwrap_or(true) {
            self.again.try_set_value(true);
            return;
        }
        self.fetching.set_value(true);
        let is_there = self.run.get_untracked() == Some(wanted);
        let last = self.lines.with_untracked(|lines| lines.last().map(|line| line.id));
        spawn_local(async move {
            let more = get_run_log(wanted, last.filter(|_| is_there).unwrap_or_default()).await;
            // The page may be gone.
            if self.fetching.try_set_value(false).is_some() {
                return;
            }
            let full = more.as_ref().is_ok_and(|lines| lines.len() >= MOST);
            if let Ok(lines) = more {
                self.add(wanted, lines);
            }
            if self.again.try_update_value(std::mem::take).unwrap_or_default() || full {
                self.fetch();
            }
        });
    }

    /// Adds lines at the end, unless the page is about another run by now.
    fn add(self, run: Uuid, lines: Vec<RunLogLine>) {
        if self.wanted.get_untracked() != Ok(run) {
            return;
        }
        if self.run.get_untracked() != Some(run) {
            return self.load(run, lines);
        }
        // The first ones may have been loaded twice meanwhile.
        let last = self.lines.with_untracked(|lines| lines.last().map_or(0, |line| line.id));
        let newer: Vec<_> = lines.into_iter().filter(|line| line.id > last).collect();
        if !newer.is_empty() {
            self.lines.update(|lines| lines.extend(newer));
        }
    }
}
