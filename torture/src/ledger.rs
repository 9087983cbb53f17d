//! What the server owes: each event that it answered with 2xx. One that it was offered without an answer may be there or not.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use chrono::{DateTime, Utc};

use crate::story::Story;

/// Tasks that are looked at for the latest time.
const RECENT: usize = 10_000;

/// What is known of every task, by its number.
#[derive(Debug)]
pub struct Ledger {
    seed: u64,
    entries: Mutex<Vec<Entry>>,
    /// How requests ended.
    pub answers: Answers,
}

/// What is known of one task.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    began: DateTime<Utc>,
    probe: bool,
    /// Events that must be there, as a set of bits.
    pub owed: u16,
    /// Events that may be there: all that were sent.
    pub offered: u16,
}

/// How requests ended.
#[derive(Debug, Default)]
pub struct Answers {
    /// Requests answered with 2xx.
    pub taken: AtomicU64,
    /// Requests answered with 503 and a time to come again.
    pub refused: AtomicU64,
    /// Requests without an answer.
    pub unanswered: AtomicU64,
    wrong: Mutex<Vec<String>>,
}

impl Answers {
    /// Notes an answer that no producer of sound events should get.
    pub fn note_wrong(&self, what: String) {
        lock(&self.wrong).push(what);
    }

    /// All such answers.
    #[must_use]
    pub fn wrong(&self) -> Vec<String> {
        lock(&self.wrong).clone()
    }

    /// How many were refused so far.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

impl Ledger {
    /// An empty one.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, entries: Mutex::default(), answers: Answers::default() }
    }

    /// What all ids begin with.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// Begins a task.
    pub(crate) fn open(&self, probe: bool) -> (u32, Story) {
        // As exact as Postgres keeps it.
        let began = DateTime::from_timestamp_micros(Utc::now().timestamp_micros()).unwrap_or_default();
        let mut entries = lock(&self.entries);
        let number = entries.len() as u32;
        let entry = Entry { began, probe, owed: 0, offered: 0 };
        entries.push(entry);
        drop(entries);
        (number, entry.story(self.seed, number))
    }

    /// These events are about to be sent.
    pub fn offer(&self, number: u32, events: u16) {
        if let Some(entry) = lock(&self.entries).get_mut(number as usize) {
            entry.offered |= events;
        }
    }

    /// These events were answered with 2xx.
    pub fn owe(&self, number: u32, events: u16) {
        if let Some(entry) = lock(&self.entries).get_mut(number as usize) {
            entry.owed |= events;
        }
    }

    /// The latest time that any event tells of. Only what began in the last seconds can be ahead of the clock.
    #[must_use]
    pub fn last_time(&self) -> DateTime<Utc> {
        let entries = self.entries();
        let stories =
            (0..entries.len() as u32).zip(&entries).rev().take(RECENT).map(|(number, entry)| entry.story(self.seed, number));
        stories.filter_map(|story| Some(story.attempts.last()?.completed_at)).max().unwrap_or_default()
    }

    /// All tasks as they stand.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        lock(&self.entries).clone()
    }
}

impl Entry {
    /// What the task of that number is.
    #[must_use]
    pub(crate) fn story(&self, seed: u64, number: u32) -> Story {
        let tell = if self.probe { Story::probe } else { Story::task };
        tell(seed, number, self.began)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
