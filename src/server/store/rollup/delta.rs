//! What a batch changes of the counts, as one row an hour.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use taskscope_wire::TaskStatus;

use super::{
    cell::{Cell, Fact, Grain, Parts, decode, encode},
    histogram::Histogram,
};
use crate::server::store::{BatchTx, StoreError, StoredAttempt};

/// Which cell of an hour or day.
pub(super) type Key = (String, TaskStatus);

/// Changes of cells of hours.
#[derive(Debug, Default)]
pub(super) struct Deltas(pub(super) BTreeMap<DateTime<Utc>, BTreeMap<Key, Cell>>);

impl Deltas {
    /// Counts an execution `by` (1 or -1) times.
    pub(super) fn record(&mut self, fact: &Fact, by: i64) {
        let cells = self.0.entry(Grain::Hour.start_of(fact.created_at)).or_default();
        match cells.get_mut(&(fact.task_name.clone(), fact.status)) {
            Some(cell) => cell.record(Grain::Hour, fact, by),
            None => cells.entry((fact.task_name.clone(), fact.status)).or_default().record(Grain::Hour, fact, by),
        }
    }

    /// Adds what a row of `rollup_deltas` says.
    pub(super) fn add(&mut self, hour: DateTime<Utc>, changes: &[u8]) -> Result<(), StoreError> {
        let changes: Vec<Change> = decode(changes)?;
        let cells = self.0.entry(hour).or_default();
        for change in changes {
            let Ok(status) = change.status.parse() else { continue };
            let cell = Cell { parts: change.parts, run: change.run, wait: change.wait };
            cells.entry((change.task_name, status)).or_default().add(&cell);
        }
        Ok(())
    }
}

/// One cell in a row of `rollup_deltas`.
#[derive(Serialize, Deserialize)]
struct Change {
    task_name: String,
    status: String,
    parts: Parts,
    run: Histogram,
    wait: Histogram,
}

/// How attempts that a batch loaded counted before, by the ids of their rows. By SQL a row can be made what no report says.
#[derive(Debug, Default)]
pub struct Loaded(pub(in crate::server::store) HashMap<i64, Fact>);

/// What a batch changes of the counts, ready to be written.
#[derive(Debug, Default)]
pub struct BatchCounts {
    hours: Vec<DateTime<Utc>>,
    changes: Vec<Vec<u8>>,
}

impl BatchCounts {
    /// From how each attempt that was loaded counted before, and how it does now.
    ///
    /// # Errors
    /// It can't be encoded.
    pub fn of<'a>(
        loaded: &Loaded,
        before: impl IntoIterator<Item = &'a StoredAttempt>,
        after: impl IntoIterator<Item = &'a StoredAttempt>,
    ) -> Result<Self, StoreError> {
        let mut deltas = Deltas::default();
        after.into_iter().for_each(|attempt| deltas.record(&Fact::of(attempt), 1));
        let before = before.into_iter().filter_map(|attempt| loaded.0.get(&attempt.key?.id));
        before.for_each(|fact| deltas.record(fact, -1));
        let mut counted = Self::default();
        for (hour, cells) in deltas.0 {
            let cells = cells.into_iter().filter(|(_, cell)| !cell.is_empty()).map(|((task_name, status), cell)| Change {
                task_name,
                status: status.to_string(),
                parts: cell.parts,
                run: cell.run,
                wait: cell.wait,
            });
            let cells: Vec<Change> = cells.collect();
            if !cells.is_empty() {
                counted.hours.push(hour);
                counted.changes.push(encode(&cells)?);
            }
        }
        Ok(counted)
    }
}

impl BatchTx {
    /// Adds to the rollups what the batch changes.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn count(&mut self, BatchCounts { hours, changes }: BatchCounts) -> Result<(), StoreError> {
        if !hours.is_empty() {
            sqlx::query!(
                "insert into rollup_deltas (hour, changes) select * from unnest($1::timestamptz[], $2::bytea[])",
                &hours,
                &changes,
            )
            .execute(&mut *self.tx)
            .await?;
        }
        Ok(())
    }
}
