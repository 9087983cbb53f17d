//! What a fold changes: rows to write, and the live messages that tell of it.

use chrono::{DateTime, Utc};
use taskscope_wire::{Json, LiveData, LiveEvent, LiveMessage, Previous, TaskStatus};

use crate::server::store::{BatchCounts, ForeignChange, ForeignRow, Loaded, StoreError, StoredAttempt};

/// Bytes of params that go along with a live message.
const LIVE_PARAMS: usize = 1024;
/// Characters of an error message that go along with a live message.
const LIVE_ERROR: usize = 500;
/// From how many changes by SQL on a batch is told as one message.
const FOREIGN_FLOOD: usize = 200;

/// Rows to write.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// New attempts; they have no key yet.
    pub(super) insert: Vec<StoredAttempt>,
    /// Attempts whose row changes.
    pub(super) update: Vec<StoredAttempt>,
    /// How the attempts of `update` were before, in their order.
    pub(super) before: Vec<StoredAttempt>,
    /// Stored attempts that became part of another one: their rows go.
    pub(super) gone: Vec<StoredAttempt>,
}

impl Changes {
    /// Adds what differs between the stored attempts of a task and the folded ones.
    pub(super) fn add(&mut self, stored: Vec<StoredAttempt>, folded: Vec<StoredAttempt>) {
        let mut stored = stored;
        for attempt in folded {
            match stored.iter().position(|row| row.key == attempt.key && row.key.is_some()) {
                None => self.insert.push(attempt),
                Some(place) => {
                    let before = stored.swap_remove(place);
                    if before != attempt {
                        self.update.push(attempt);
                        self.before.push(before);
                    }
                }
            }
        }
        self.gone.extend(stored);
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.insert.is_empty() && self.update.is_empty() && self.gone.is_empty()
    }

    /// What they change of the counts.
    pub(super) fn counts(&self, loaded: &Loaded) -> Result<BatchCounts, StoreError> {
        BatchCounts::of(loaded, self.before.iter().chain(&self.gone), self.insert.iter().chain(&self.update))
    }

    /// The live messages, in the order of their times. New attempts must have their keys by now.
    #[must_use]
    pub(super) fn messages(&self) -> Vec<LiveMessage> {
        let mut events: Vec<LiveEvent> = Vec::new();
        self.insert.iter().for_each(|attempt| tell(None, attempt, &mut events));
        self.before.iter().zip(&self.update).for_each(|(before, after)| tell(Some(before), after, &mut events));
        // Stable: the steps of one attempt stay in their order even where a clock gives them the same time.
        events.sort_by_key(|event| event.timestamp);
        let mut messages: Vec<LiveMessage> = events.into_iter().map(|event| LiveMessage::Event(Box::new(event))).collect();
        if !self.gone.is_empty() {
            messages.push(LiveMessage::Changed { seq: 0 });
        }
        messages
    }
}

/// Tells each step that an attempt has made since.
fn tell(before: Option<&StoredAttempt>, after: &StoredAttempt, events: &mut Vec<LiveEvent>) {
    let Some(key) = after.key else { return };
    let mut previous = before.map(|before| Previous {
        task_name: before.task_name.clone(),
        status: before.status(),
        duration_ms: before.duration_ms(),
        created_at: before.created_at(),
    });
    let status = after.status();
    let seen = before.map(StoredAttempt::status);
    let mut floor = DateTime::<Utc>::MIN_UTC;
    let steps = [
        (TaskStatus::Pending, after.queued_at),
        (TaskStatus::Running, after.started_at),
        (status, after.end.as_ref().map(|end| end.at)),
    ];
    for (step, at) in steps {
        let Some(at) = at.filter(|_| seen.is_none_or(|seen| step > seen) && step <= status) else { continue };
        floor = floor.max(at);
        events.push(event(after, key.id, step, floor, previous.take()));
        previous = Some(now(after, step));
    }
    let told = previous.as_ref().is_some_and(|previous| *previous == now(after, status));
    let started_moved = before.is_some_and(|before| before.started_at != after.started_at || before.number != after.number);
    if !told || (started_moved && seen == Some(status)) {
        let at = after.end.as_ref().map(|end| end.at).or(after.started_at).or(after.queued_at).unwrap_or_default();
        events.push(event(after, key.id, status, at, previous));
    }
}

/// How an attempt counts once a step has been told.
fn now(attempt: &StoredAttempt, step: TaskStatus) -> Previous {
    Previous {
        task_name: attempt.task_name.clone(),
        status: step,
        duration_ms: if step.is_finished() { attempt.duration_ms() } else { None },
        created_at: attempt.created_at(),
    }
}

fn event(attempt: &StoredAttempt, id: i64, step: TaskStatus, at: DateTime<Utc>, previous: Option<Previous>) -> LiveEvent {
    let finish = attempt.end.as_ref().map(|end| &end.finish).filter(|_| step.is_finished());
    LiveEvent {
        kind: LiveEvent::kind_of(step),
        task_name: attempt.task_name.clone(),
        status: step,
        timestamp: at,
        data: LiveData {
            task_id: id,
            broker_task_id: Some(attempt.task_id.clone()),
            attempt: attempt.number,
            duration_ms: if step.is_finished() { attempt.duration_ms() } else { None },
            error_message: finish.and_then(|finish| short_error(finish.error_message.as_deref())),
            params: short_params(attempt.params()),
            created_at: attempt.created_at(),
            previous,
            refetch: false,
        },
        seq: 0,
    }
}

/// The live messages of what others did by SQL: an event where a row is new or its status changed, else a request to fetch again.
/// A flood is told as its newest events and one request.
#[must_use]
pub(super) fn foreign_messages(changes: Vec<ForeignChange>) -> Vec<LiveMessage> {
    let count = changes.len();
    let mut messages: Vec<LiveMessage> = Vec::new();
    let mut silent = count > FOREIGN_FLOOD;
    for change in changes.into_iter().skip(count.saturating_sub(FOREIGN_FLOOD)) {
        match foreign_event(change) {
            Some(event) => messages.push(LiveMessage::Event(Box::new(event))),
            None => silent = true,
        }
    }
    if silent {
        messages.push(LiveMessage::Changed { seq: 0 });
    }
    messages
}

fn foreign_event(change: ForeignChange) -> Option<LiveEvent> {
    let status: TaskStatus = change.new_status.filter(|new| Some(new) != change.old_status.as_ref())?.parse().ok()?;
    let row: ForeignRow = change.row?;
    let known = match status {
        TaskStatus::Pending => Some(row.created_at),
        TaskStatus::Running => row.started_at,
        TaskStatus::Success | TaskStatus::Failed => row.completed_at,
    };
    let fallback = if change.old_status.is_some() { row.updated_at } else { row.created_at };
    Some(LiveEvent {
        kind: LiveEvent::kind_of(status),
        task_name: row.task_name,
        status,
        timestamp: known.unwrap_or(fallback),
        data: LiveData {
            task_id: change.row_id,
            broker_task_id: row.task_id,
            attempt: row.attempt,
            duration_ms: row.duration_ms,
            error_message: short_error(row.error_message.as_deref()),
            params: short_params(row.params.as_deref()),
            created_at: row.created_at,
            previous: None,
            refetch: true,
        },
        seq: 0,
    })
}

fn short_error(message: Option<&str>) -> Option<String> {
    message.map(|message| match message.char_indices().nth(LIVE_ERROR) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    })
}

fn short_params(params: Option<&str>) -> Option<Json> {
    params.filter(|params| params.len() <= LIVE_PARAMS).and_then(|params| Json::parse(params.to_owned()).ok())
}
