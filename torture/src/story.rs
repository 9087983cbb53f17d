//! What a task is made of. All of it follows from the seed, the task's number and when it began, so that nothing has to be remembered of a
//! task but which of its events are owed.

use chrono::{DateTime, TimeDelta, Utc};
use rand::{RngExt, SeedableRng, rngs::SmallRng, seq::SliceRandom};
use serde_json::{Value, json};

/// Attempts of one task at the most.
const MOST_ATTEMPTS: u8 = 3;
/// What texts are made of: whatever somebody has to escape.
const LETTERS: [&str; 12] = ["a", "Z", "7", " ", "\"", "\\", "\n", "é", "ж", "😀", "<b>", "'"];

/// A task as it is reported, and as it must be found.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    /// Its id.
    pub(crate) task_id: String,
    /// Its type.
    pub(crate) task_name: String,
    /// By which protocol it is reported.
    pub(crate) protocol: Protocol,
    /// Whether its client sends each event once only, as TaskIQ's stock middlewares do, and doesn't try again.
    pub(crate) impatient: bool,
    /// What it is called with.
    pub(crate) params: Value,
    /// Its attempts, of which all but the last fail.
    pub(crate) attempts: Vec<Attempt>,
    /// What is sent together, in this order.
    pub(crate) parcels: Vec<Parcel>,
}

/// How a task is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// `POST /api/v1/events`.
    Native,
    /// `POST /api/tasks/{id}/queued`, `started`, `executed`.
    Taskiq,
}

/// One run of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// When it was queued.
    pub(crate) queued_at: DateTime<Utc>,
    /// When it started.
    pub(crate) started_at: DateTime<Utc>,
    /// When it ended.
    pub(crate) completed_at: DateTime<Utc>,
    /// Why it failed, if it did.
    pub(crate) error: Option<String>,
}

/// Events that are sent in one request.
#[derive(Debug, Clone)]
pub(crate) struct Parcel {
    /// Which ones.
    pub(crate) events: Vec<Event>,
    /// Whether they are sent again after they were taken.
    pub(crate) twice: bool,
}

/// One of a task's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event {
    /// The attempt, from 0.
    pub(crate) attempt: u8,
    /// What happened.
    pub(crate) step: Step,
}

/// What an event says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It waits.
    Queued,
    /// It runs.
    Started,
    /// It ended.
    Finished,
}

impl Event {
    /// Its bit in a set of a task's events.
    #[must_use]
    pub(crate) const fn bit(self) -> u16 {
        1 << (self.attempt * 3 + self.step as u8)
    }
}

/// The name that all ids of a seed begin with.
fn prefix(seed: u64) -> String {
    format!("torture-{seed:x}-")
}

/// The number in a task's id, if it is one of this seed.
#[must_use]
pub(crate) fn number_of(seed: u64, task_id: &str) -> Option<u32> {
    task_id.strip_prefix(&prefix(seed))?.parse().ok()
}

impl Story {
    /// A task that is queued, runs, perhaps is tried again, and ends.
    #[must_use]
    pub(crate) fn task(seed: u64, number: u32, began: DateTime<Utc>) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed ^ u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let task_id = format!("{}{number}", prefix(seed));
        let protocol = if rng.random_bool(0.3) { Protocol::Taskiq } else { Protocol::Native };
        let attempts = attempts(&mut rng, &task_id, began);
        let parcels = parcels(&mut rng, protocol, attempts.len() as u8);
        Self {
            protocol,
            // Which attempt TaskIQ's ends belong to is told by their starts, so that a task of which some are missing can't be judged.
            impatient: protocol == Protocol::Native && rng.random_bool(0.1),
            task_name: format!("torture_{}", rng.random_range(0..8)),
            params: json!({ "number": number, "text": text(&mut rng, 60), "list": [rng.random_range(0..1000), null, true] }),
            task_id,
            attempts,
            parcels,
        }
    }

    /// A task of which one event alone is sent, to see when it shows.
    #[must_use]
    pub(crate) fn probe(seed: u64, number: u32, began: DateTime<Utc>) -> Self {
        let event = Event { attempt: 0, step: Step::Finished };
        let attempt = Attempt { queued_at: began, started_at: began, completed_at: began, error: None };
        Self {
            task_id: format!("{}{number}", prefix(seed)),
            task_name: "torture_probe".to_owned(),
            protocol: Protocol::Native,
            impatient: true,
            params: Value::Null,
            attempts: vec![attempt],
            parcels: vec![Parcel { events: vec![event], twice: false }],
        }
    }

    /// All its events, as a set of [`Event::bit`]s.
    #[cfg(test)]
    pub(crate) fn all(&self) -> u16 {
        self.parcels.iter().flat_map(|parcel| &parcel.events).fold(0, |set, event| set | event.bit())
    }
}

fn attempts(rng: &mut SmallRng, task_id: &str, began: DateTime<Utc>) -> Vec<Attempt> {
    let count = if rng.random_bool(0.8) { 1 } else { rng.random_range(2..=MOST_ATTEMPTS) };
    let mut queued_at = began;
    let mut attempts = Vec::new();
    for number in 1..=count {
        let started_at = queued_at + micros(rng, 1_000..50_000);
        let completed_at = started_at + micros(rng, 1_000..900_000);
        let failed = number < count || rng.random_bool(0.1);
        let error = failed.then(|| format!("attempt {number} of {task_id}: {}", text(rng, 30)));
        attempts.push(Attempt { queued_at, started_at, completed_at, error });
        // Two ends of TaskIQ within a second may be one.
        queued_at = completed_at + micros(rng, 1_500_000..2_500_000);
    }
    attempts
}

fn micros(rng: &mut SmallRng, range: std::ops::Range<i64>) -> TimeDelta {
    TimeDelta::microseconds(rng.random_range(range))
}

fn text(rng: &mut SmallRng, longest: usize) -> String {
    (0..rng.random_range(0..=longest)).map(|_| LETTERS[rng.random_range(0..LETTERS.len())]).collect()
}

fn parcels(rng: &mut SmallRng, protocol: Protocol, attempts: u8) -> Vec<Parcel> {
    let steps = [Step::Queued, Step::Started, Step::Finished];
    let mut events: Vec<Event> = (0..attempts).flat_map(|attempt| steps.map(|step| Event { attempt, step })).collect();
    if rng.random_bool(0.2) {
        events.shuffle(rng);
    }
    let together = match protocol {
        Protocol::Taskiq => 1,
        Protocol::Native => rng.random_range(1..=events.len()),
    };
    events.chunks(together).map(|events| Parcel { events: events.to_vec(), twice: rng.random_bool(0.1) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_story_is_told_the_same_again_and_its_number_is_in_its_id() {
        let began = DateTime::UNIX_EPOCH;
        let (one, again) = (Story::task(5, 42, began), Story::task(5, 42, began));
        assert_eq!((&one.params, &one.attempts), (&again.params, &again.attempts));
        assert_ne!(one.params, Story::task(5, 43, began).params);
        assert_eq!((number_of(5, &one.task_id), number_of(6, &one.task_id)), (Some(42), None));
    }

    #[test]
    fn every_event_is_sent_and_all_forms_occur() {
        let stories: Vec<Story> = (0..500).map(|number| Story::task(1, number, DateTime::UNIX_EPOCH)).collect();
        for story in &stories {
            assert_eq!(story.all().count_ones() as usize, 3 * story.attempts.len(), "{story:?}");
            assert!(story.attempts.iter().rev().skip(1).all(|attempt| attempt.error.is_some()));
        }
        let any = |what: fn(&Story) -> bool| stories.iter().any(what);
        assert!(any(|s| s.protocol == Protocol::Taskiq) && any(|s| s.impatient) && any(|s| s.attempts.len() == 3));
        assert!(any(|s| s.parcels.len() == 1) && any(|s| s.parcels.iter().any(|parcel| parcel.twice)));
        let is_in_order =
            |story: &Story| story.parcels.iter().flat_map(|parcel| &parcel.events).map(|event| event.bit()).is_sorted();
        assert!(!stories.iter().all(is_in_order));
    }
}
