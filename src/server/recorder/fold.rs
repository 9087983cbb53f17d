//! From events to attempts: pure, and the same whatever the order, the repetition and the batching of the events.
//!
//! *Native* events number their attempts. *TaskIQ's* don't: attempts are found out from all that is known of a task id, anew with
//! each event, by these rules (`sections` are those of the protocol notes in `crates/wire/src/taskiq.rs`):
//!
//! 1. A start is an attempt. Starts are told apart by their counters (labels `_retries`, `X-Taskiq-requeue`) and their time: a
//!    broker that redelivers a task after a crash starts it again with the same counters. Two starts with the same counters within
//!    [`TWIN`] are one attempt that two middlewares report.
//! 2. A *queued* belongs to the first start with its counters, or is an attempt that waits.
//! 3. An end that names its start (our own middleware's) belongs to the attempt with that start. Any other belongs to the attempt with the greatest start that is not after it and has no end yet; else to the first waiting one;
//!    else it is an attempt of which only the end is known.
//! 4. Attempts are numbered in the order of their counters, at least `_retries + requeues + 1`, so that a lost event leaves a gap in
//!    the numbers and shifts none.

use std::{
    borrow::{Borrow, Cow},
    collections::BTreeMap,
};

use chrono::{DateTime, TimeDelta, Utc};
use taskscope_wire::{Attribution, EventKind, Json, Source, TaskEvent, UNKNOWN_TASK_NAME, taskiq};

use crate::server::store::{Described, End, FinishText, Memo, StoredAttempt};

/// The error type of an execution that another attempt has replaced after its worker fell silent.
pub const WORKER_GONE: &str = "taskscope.WorkerGone";

/// How far apart two reporters may be when they tell the same thing.
const TWIN: TimeDelta = TimeDelta::seconds(1);

/// Applies events of one task to the attempts that are stored of it. The result is ordered by number; each stored attempt's
/// key is in it at most once, and one that is missing has become part of another attempt.
#[must_use]
pub fn fold<E: Borrow<TaskEvent>>(stored: Vec<StoredAttempt>, events: &[E]) -> Vec<StoredAttempt> {
    let events: Vec<&TaskEvent> = events.iter().map(Borrow::borrow).collect();
    let events = events.as_slice();
    match events.first().map(|event| event.source) {
        Some(Source::Taskiq) => taskiq_attempts(stored, &with_starts(events)),
        Some(Source::Native | Source::Sql) => native_attempts(stored, events),
        None => stored,
    }
}

/// An end of our own TaskIQ middleware tells of the start too, which may have been lost, and describes the task as the start does.
fn with_starts<'a>(events: &[&'a TaskEvent]) -> Vec<Cow<'a, TaskEvent>> {
    let start_of = |event: &TaskEvent| match &event.kind {
        EventKind::Finished(finish) => finish.started_at.map(|at| TaskEvent { at, kind: EventKind::Started, ..event.clone() }),
        EventKind::Queued | EventKind::Started => None,
    };
    events.iter().copied().flat_map(|event| start_of(event).map(Cow::Owned).into_iter().chain([Cow::Borrowed(event)])).collect()
}

fn native_attempts(stored: Vec<StoredAttempt>, events: &[&TaskEvent]) -> Vec<StoredAttempt> {
    let mut attempts: BTreeMap<i32, StoredAttempt> = stored.into_iter().map(|attempt| (attempt.number, attempt)).collect();
    for event in events {
        let Attribution::Attempt(number) = event.attribution else { continue };
        apply_native(attempts.entry(number).or_insert_with(|| blank(event, number)), event);
    }
    attempts.into_values().collect()
}

fn apply_native(attempt: &mut StoredAttempt, event: &TaskEvent) {
    if let Some(name) = event.task_name.as_ref().filter(|_| attempt.task_name == UNKNOWN_TASK_NAME) {
        attempt.task_name.clone_from(name);
    }
    match &event.kind {
        EventKind::Queued => {
            attempt.queued_at = earlier(attempt.queued_at, event.at);
            attempt.described.fill(&describe(event));
        }
        EventKind::Started => {
            let first = attempt.started_at.is_none() || attempt.memo.implied_start;
            attempt.memo.implied_start = false;
            attempt.started_at = earlier(attempt.started_at, event.at);
            let mut described = describe(event);
            if first {
                std::mem::swap(&mut described, &mut attempt.described);
            }
            attempt.described.fill(&described);
        }
        EventKind::Finished(finish) => {
            if let Some(start) = finish.started_at {
                attempt.memo.implied_start |= attempt.started_at.is_none();
                attempt.started_at = earlier(attempt.started_at, start);
            }
            let end = End { at: event.at, of: None, finish: FinishText::from(finish) };
            if attempt.end.as_ref().is_none_or(|known| end_key(&end) < end_key(known)) {
                attempt.end = Some(end);
            }
            let mut from_end = describe_beyond(event, &attempt.described);
            if let Some(known) = attempt.memo.from_end.take() {
                from_end.fill(&known);
            }
            attempt.memo.from_end = Some(from_end);
        }
    }
    forget_what_is_covered(attempt);
}

/// What the end said is remembered only as long as nothing better says it.
fn forget_what_is_covered(attempt: &mut StoredAttempt) {
    let Some(from_end) = &mut attempt.memo.from_end else { return };
    from_end.leave_out(&attempt.described);
    attempt.memo.from_end.take_if(|from_end| *from_end == Described::default());
}

/// Counters of a TaskIQ message: retries, requeues.
type Counters = (i32, i32);

struct Told {
    counters: Counters,
    at: DateTime<Utc>,
    name: Option<String>,
    described: Described,
}

/// Everything that has been told of one TaskIQ task.
#[derive(Default)]
struct Facts {
    queued: Vec<Told>,
    started: Vec<Told>,
    ended: Vec<End>,
}

fn taskiq_attempts(stored: Vec<StoredAttempt>, events: &[Cow<'_, TaskEvent>]) -> Vec<StoredAttempt> {
    let Some(model) = events.first().map(|event| blank(event, 1)) else { return stored };
    let mut facts = Facts::default();
    stored.iter().for_each(|attempt| facts.recall(attempt));
    events.iter().for_each(|event| facts.hear(event));
    keep_keys(facts.attempts(&model), &stored)
}

impl Facts {
    /// Takes a stored attempt apart into the facts that made it.
    fn recall(&mut self, attempt: &StoredAttempt) {
        let told = |at| Told {
            counters: taskiq::stored_counters(attempt.described.labels_json().as_ref()),
            at,
            name: Some(attempt.task_name.clone()).filter(|name| name != UNKNOWN_TASK_NAME),
            described: attempt.described.clone(),
        };
        self.queued.extend(attempt.queued_at.map(told));
        self.started.extend(attempt.started_at.iter().chain(&attempt.memo.twin_starts).copied().map(told));
        let of = attempt.started_at.filter(|_| attempt.memo.exact);
        self.ended.extend(attempt.end.iter().map(|end| End { of, ..end.clone() }));
        self.ended.extend(attempt.memo.twin_ends.iter().cloned());
    }

    fn hear(&mut self, event: &TaskEvent) {
        let told = |counters| Told { counters, at: event.at, name: event.task_name.clone(), described: describe(event) };
        match (&event.kind, event.attribution) {
            (EventKind::Queued, Attribution::Counters { retries, requeues }) => self.queued.push(told((retries, requeues))),
            (EventKind::Started, Attribution::Counters { retries, requeues }) => self.started.push(told((retries, requeues))),
            (EventKind::Finished(finish), _) => {
                self.ended.push(End { at: event.at, of: finish.started_at, finish: FinishText::from(finish) });
            }
            _ => {}
        }
    }

    fn attempts(mut self, model: &StoredAttempt) -> Vec<StoredAttempt> {
        let name = self.started.iter().chain(&self.queued).find_map(|told| told.name.clone());
        let model = StoredAttempt { task_name: name.unwrap_or_else(|| UNKNOWN_TASK_NAME.to_owned()), ..model.clone() };
        let mut slots = self.take_slots(&model);
        // Of two that are the same, the one that names its run comes first and stays.
        self.ended.sort_by(|a, b| (end_key(a), a.of.is_none()).cmp(&(end_key(b), b.of.is_none())));
        self.ended.dedup_by(|a, b| end_key(a) == end_key(b));
        let unnamed: Vec<End> = self.ended.into_iter().filter_map(|end| bind_by_start(&mut slots, end)).collect();
        let orphans: Vec<End> = unnamed.into_iter().filter_map(|end| bind(&mut slots, end)).collect();
        number(slots, orphans, &model)
    }

    /// Rules 1 and 2: the attempts of which a start or a *queued* is known, in the order of their counters.
    fn take_slots(&mut self, model: &StoredAttempt) -> Vec<Slot> {
        let mut slots: Vec<Slot> = Vec::new();
        // Stable, so that of equal facts the stored one comes first and nothing changes.
        self.started.sort_by_key(|told| (told.counters, told.at));
        for told in self.started.drain(..) {
            match slots.last_mut() {
                Some(slot) if slot.is_same_start(&told) => slot.add_twin(told.at),
                _ => slots.push(Slot::started(told, model)),
            }
        }
        self.queued.sort_by_key(|told| (told.counters, told.at));
        self.queued.dedup_by_key(|told| told.counters);
        for told in self.queued.drain(..) {
            match slots.iter_mut().find(|slot| slot.counters == told.counters) {
                Some(slot) => {
                    slot.attempt.queued_at = Some(told.at);
                    slot.attempt.described.fill(&told.described);
                }
                None => slots.push(Slot::queued(told, model)),
            }
        }
        slots.sort_by_key(|slot| (slot.counters, slot.attempt.started_at));
        slots
    }
}

struct Slot {
    counters: Counters,
    attempt: StoredAttempt,
}

impl Slot {
    fn started(told: Told, model: &StoredAttempt) -> Self {
        let attempt = StoredAttempt { started_at: Some(told.at), described: told.described, ..model.clone() };
        Self { counters: told.counters, attempt }
    }

    fn queued(told: Told, model: &StoredAttempt) -> Self {
        let attempt = StoredAttempt { queued_at: Some(told.at), described: told.described, ..model.clone() };
        Self { counters: told.counters, attempt }
    }

    fn is_same_start(&self, told: &Told) -> bool {
        self.counters == told.counters && self.attempt.started_at.is_some_and(|first| told.at - first <= TWIN)
    }

    fn has_start(&self, at: DateTime<Utc>) -> bool {
        self.attempt.started_at == Some(at) || self.attempt.memo.twin_starts.contains(&at)
    }

    fn add_twin(&mut self, at: DateTime<Utc>) {
        let twins = &mut self.attempt.memo.twin_starts;
        if self.attempt.started_at != Some(at) && !twins.contains(&at) {
            twins.push(at);
        }
    }

    /// Whether the end that it has tells the same. Our own middleware tells the cause where a stock one says `NoResultError`, and an
    /// earlier time, so there the words don't matter.
    fn has_twin_of(&self, end: &End) -> bool {
        let same = |known: &End| {
            known.finish.failed == end.finish.failed
                && (self.attempt.memo.exact || known.finish.error_message == end.finish.error_message)
                && end.at - known.at <= TWIN
        };
        self.attempt.end.as_ref().is_some_and(same)
    }
}

/// Rule 3, for an end that names its start; any other is given back.
fn bind_by_start(slots: &mut [Slot], mut end: End) -> Option<End> {
    let slot = end.of.and_then(|start| slots.iter_mut().find(|slot| slot.has_start(start)));
    let Some(slot) = slot else { return Some(end) };
    if slot.attempt.end.is_none() {
        end.of = None;
        slot.attempt.end = Some(end);
        slot.attempt.memo.exact = true;
    } else {
        slot.attempt.memo.twin_ends.push(end);
    }
    None
}

/// Rule 3. Ends come in the order of their times; the one that finds no attempt is given back.
fn bind(slots: &mut [Slot], end: End) -> Option<End> {
    let started_before = |slot: &&mut Slot| slot.attempt.started_at.is_some_and(|start| start <= end.at);
    let mut candidates: Vec<&mut Slot> = slots.iter_mut().filter(started_before).collect();
    candidates.sort_by_key(|slot| std::cmp::Reverse(slot.attempt.started_at));
    let latest_is_twin = candidates.first().is_some_and(|latest| latest.has_twin_of(&end));
    let place = match latest_is_twin {
        true => Some(0),
        false => candidates.iter().position(|slot| slot.attempt.end.is_none()).or_else(|| {
            // Where clocks differ, the attempt that it tells of again may not be the latest.
            candidates.iter().position(|slot| slot.attempt.memo.exact && slot.has_twin_of(&end))
        }),
    };
    let slot = place.map(|place| candidates.swap_remove(place));
    let slot = match slot {
        Some(slot) => slot,
        None => match slots.iter_mut().find(|slot| slot.attempt.started_at.is_none() && may_take(slot, &end)) {
            Some(slot) => slot,
            None => return Some(end),
        },
    };
    if slot.attempt.end.is_none() {
        slot.attempt.end = Some(end);
    } else {
        slot.attempt.memo.twin_ends.push(end);
    }
    None
}

/// Whether an attempt whose start is not known may have ended so. The middlewares take the time of *queued* after they have sent the
/// task, so that a quick task may have ended by then.
fn may_take(slot: &Slot, end: &End) -> bool {
    let queued_before = slot.attempt.queued_at.is_none_or(|queued| queued <= end.at + TWIN);
    queued_before && (slot.attempt.end.is_none() || slot.has_twin_of(end))
}

/// Rule 4, with the attempts of which only the end is known put in by their time.
fn number(slots: Vec<Slot>, orphans: Vec<End>, model: &StoredAttempt) -> Vec<StoredAttempt> {
    let mut orphans = merge_twins(orphans, model).into_iter().peekable();
    let mut attempts: Vec<StoredAttempt> = Vec::new();
    let push = |attempts: &mut Vec<StoredAttempt>, mut attempt: StoredAttempt, at_least: i32| {
        attempt.number = at_least.max(attempts.last().map_or(1, |last| last.number + 1));
        attempts.push(attempt);
    };
    for slot in slots {
        while let Some(orphan) = orphans.next_if(|orphan| orphan.created_at() < slot.attempt.created_at()) {
            push(&mut attempts, orphan, 1);
        }
        push(&mut attempts, slot.attempt, slot.counters.0.saturating_add(slot.counters.1).saturating_add(1));
    }
    for orphan in orphans {
        push(&mut attempts, orphan, 1);
    }
    attempts
}

fn merge_twins(orphans: Vec<End>, model: &StoredAttempt) -> Vec<StoredAttempt> {
    let mut slots: Vec<Slot> = Vec::new();
    for end in orphans {
        match slots.last_mut() {
            Some(slot) if slot.has_twin_of(&end) => slot.attempt.memo.twin_ends.push(end),
            _ => slots.push(Slot { counters: (0, 0), attempt: StoredAttempt { end: Some(end), ..model.clone() } }),
        }
    }
    slots.into_iter().map(|slot| slot.attempt).collect()
}

/// Gives attempts the rows of the stored ones: first by number, then whatever row is left.
fn keep_keys(mut attempts: Vec<StoredAttempt>, stored: &[StoredAttempt]) -> Vec<StoredAttempt> {
    let mut left: Vec<&StoredAttempt> = stored.iter().collect();
    left.sort_by_key(|attempt| (attempt.number, attempt.key.map(|key| key.id)));
    for attempt in &mut attempts {
        if let Some(place) = left.iter().position(|row| row.number == attempt.number) {
            attempt.key = left.remove(place).key;
        }
    }
    let mut left = left.into_iter();
    for attempt in attempts.iter_mut().filter(|attempt| attempt.key.is_none()) {
        attempt.key = left.next().and_then(|row| row.key);
    }
    attempts
}

fn blank(event: &TaskEvent, number: i32) -> StoredAttempt {
    StoredAttempt {
        key: None,
        source: event.source,
        task_id: event.task_id.clone(),
        task_name: UNKNOWN_TASK_NAME.to_owned(),
        number,
        queued_at: None,
        started_at: None,
        end: None,
        described: Described::default(),
        memo: Memo::default(),
    }
}

fn describe(event: &TaskEvent) -> Described {
    describe_beyond(event, &Described::default())
}

/// What an event says of the task that is not known. Most ends say nothing new, and what they say may be long.
fn describe_beyond(event: &TaskEvent, known: &Described) -> Described {
    let json = |json: &Option<Json>, known: bool| json.as_ref().filter(|_| !known).map(|json| json.as_str().to_owned());
    Described {
        params: json(&event.params, known.params.is_some()),
        labels: json(&event.labels, known.labels.is_some()),
        queue: event.queue.clone().filter(|_| known.queue.is_none()),
        worker: event.worker.clone().filter(|_| known.worker.is_none()),
        max_retries: event.max_retries.filter(|_| known.max_retries.is_none()),
    }
}

fn earlier(known: Option<DateTime<Utc>>, told: DateTime<Utc>) -> Option<DateTime<Utc>> {
    Some(known.map_or(told, |known| known.min(told)))
}

/// What makes two ends the same, and their order. What the worker itself says counts before what was concluded from its silence.
fn end_key(end: &End) -> (bool, DateTime<Utc>, bool, Option<&str>) {
    let concluded = end.finish.error_type.as_deref() == Some(WORKER_GONE);
    (concluded, end.at, end.finish.failed, end.finish.error_message.as_deref())
}
