//! A batch of events by task, folded into what is stored of these tasks.

use std::collections::HashMap;

use chrono::{TimeDelta, Utc};
use taskscope_wire::{Attribution, EventKind, Source, TaskEvent, limits};

use super::{changes::Changes, fold::fold};
use crate::server::store::{BatchTx, StoreError, StoredAttempt};

/// How far back attempts of a task are looked for at first: nearly always its first event is younger.
const NEAR: TimeDelta = TimeDelta::hours(36);
/// How far the clocks of servers on one database may be apart.
const SKEW: TimeDelta = TimeDelta::hours(1);

/// The events of one task, in the order of their acceptance.
type Task<'a> = &'a [&'a TaskEvent];
/// The attempts of tasks, by source and task id.
type Attempts = HashMap<(Source, String), Vec<StoredAttempt>>;

/// Folds a batch of events into the attempts that are stored of their tasks.
pub(super) async fn fold_batch(tx: &mut BatchTx, events: &[TaskEvent]) -> Result<Changes, StoreError> {
    let mut sorted: Vec<&TaskEvent> = events.iter().collect();
    // Stable: within a task the order of acceptance stays.
    sorted.sort_by_key(|event| (event.source, event.task_id.as_str()));
    let tasks: Vec<Task<'_>> = sorted.chunk_by(|a, b| (a.source, &a.task_id) == (b.source, &b.task_id)).collect();
    let mut stored = load(tx, &tasks).await?;
    let mut changes = Changes::default();
    for task in tasks {
        let before = key(task).and_then(|key| stored.remove(&key)).unwrap_or_default();
        let after = fold(before.clone(), task);
        changes.add(before, after);
    }
    Ok(changes)
}

fn key(task: Task<'_>) -> Option<(Source, String)> {
    task.first().map(|event| (event.source, event.task_id.clone()))
}

/// The stored attempts of the tasks: first among the young ones, then everywhere for tasks that must be older.
async fn load(tx: &mut BatchTx, tasks: &[Task<'_>]) -> Result<Attempts, StoreError> {
    let now = Utc::now();
    let first = tasks.iter().copied().flatten().map(|event| event.earliest()).min().unwrap_or(now);
    // Nothing further ahead of a server's clock is accepted. This spares a look at the empty partitions ahead.
    let until = now + limits::CLOCK_AHEAD + SKEW;
    let mut found = group(tx.load(&ids(tasks.iter()), Some(first - NEAR), until).await?);
    let older = ids(tasks
        .iter()
        .filter(|task| !task.iter().any(|event| begins_a_task(event)) && key(task).is_some_and(|key| !found.contains_key(&key))));
    if !older.is_empty() {
        found.extend(group(tx.load(&older, None, until).await?));
    }
    Ok(found)
}

fn ids<'a>(tasks: impl Iterator<Item = &'a Task<'a>>) -> Vec<&'a str> {
    tasks.filter_map(|task| task.first()).map(|event| event.task_id.as_str()).collect()
}

fn group(attempts: Vec<StoredAttempt>) -> Attempts {
    let mut groups = Attempts::new();
    for attempt in attempts {
        groups.entry((attempt.source, attempt.task_id.clone())).or_default().push(attempt);
    }
    groups
}

/// Whether nothing older can be stored of the task of this event.
fn begins_a_task(event: &TaskEvent) -> bool {
    let first = matches!(event.attribution, Attribution::Attempt(1) | Attribution::Counters { retries: 0, requeues: 0 });
    first && matches!(event.kind, EventKind::Queued)
}
