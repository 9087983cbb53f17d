//! Proves on a live database that what was counted is what the log holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use chrono::{DateTime, Utc};
use sqlx::{Postgres, Transaction};

use super::{
    cell::{Cell, Grain},
    delta::Key,
    plan::{Source, Stretch},
    read::{Unmerged, Window},
    upkeep::count_log,
};
use crate::server::store::{Store, StoreError, executions::status};

/// A cell that is not what the log holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// `hour` or `day`.
    pub grain: &'static str,
    /// Where the hour or day starts.
    pub start: DateTime<Utc>,
    /// The task type.
    pub task_name: String,
    /// The status.
    pub status: String,
    /// Executions, as counted.
    pub counted: i64,
    /// Executions in the log. Where it is the same number, run times, waiting times or minutes differ.
    pub logged: i64,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { grain, start, task_name, status, counted, logged } = self;
        write!(f, "{grain} {start}: {task_name:?} {status}: {counted} counted, {logged} in the log")?;
        if counted == logged { f.write_str(" (minutes, run or waiting times differ)") } else { Ok(()) }
    }
}

type Cells = BTreeMap<Key, Cell>;

impl Store {
    /// The days (UTC) that hold rows or cells, oldest first.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn counted_days(&self) -> Result<Vec<DateTime<Utc>>, StoreError> {
        let days = sqlx::query_scalar!(
            r#"with recursive days (day) as (
                   select date_trunc('day', min(created_at), 'UTC') from task_execution_logs
                   union all
                   select (
                       select date_trunc('day', min(created_at), 'UTC') from task_execution_logs
                       where created_at >= days.day + interval '1 day'
                   )
                   from days where days.day is not null
               )
               select day as "day!" from days where day is not null
               union select date_trunc('day', start, 'UTC') from execution_rollups
               union select date_trunc('day', hour, 'UTC') from rollup_deltas
               order by 1"#
        );
        Ok(days.fetch_all(&self.pool).await?)
    }

    /// Compares what is counted of a day, by hour and as a whole, with the log, in one snapshot. Marked hours count as what they are: not counted yet.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn check_day(&self, day: DateTime<Utc>) -> Result<Vec<Difference>, StoreError> {
        let mut tx =
            self.pool.begin_with("begin isolation level repeatable read read only; set local statement_timeout = 0").await?;
        let unmerged = Unmerged::read(&mut tx).await?;
        let (mut counted, mut logged) = (Cells::new(), Cells::new());
        let mut differences = Vec::new();
        for number in 0..24 {
            let hour = day + Grain::Hour.length() * number;
            let in_log = hour_in_log(&mut tx, hour).await?;
            let in_cells =
                if unmerged.dirty.contains(&hour) { in_log.clone() } else { hour_in_cells(&mut tx, hour, &unmerged).await? };
            compare(Grain::Hour, hour, &in_cells, &in_log, &mut differences);
            add_to_day(&mut logged, hour, &in_log);
        }
        let marked = unmerged.dirty.range(day..day + Grain::Day.length()).next().is_some();
        if !marked {
            read_cells(&mut tx, Grain::Day, day, &mut counted).await?;
            for (hour, cells) in unmerged.deltas.0.range(day..day + Grain::Day.length()) {
                add_to_day(&mut counted, *hour, cells);
            }
            compare(Grain::Day, day, &counted, &logged, &mut differences);
        }
        Ok(differences)
    }
}

async fn hour_in_log(tx: &mut Transaction<'static, Postgres>, hour: DateTime<Utc>) -> Result<Cells, StoreError> {
    let mut cells = Cells::new();
    let stretch = Stretch { from: hour, to: hour + Grain::Hour.length(), source: Source::Log };
    count_log(tx, stretch, &Window::between(None, None), |fact| {
        cells.entry((fact.task_name.clone(), fact.status)).or_default().record(Grain::Hour, &fact, 1);
    })
    .await?;
    Ok(cells)
}

async fn hour_in_cells(
    tx: &mut Transaction<'static, Postgres>,
    hour: DateTime<Utc>,
    unmerged: &Unmerged,
) -> Result<Cells, StoreError> {
    let mut cells = Cells::new();
    read_cells(tx, Grain::Hour, hour, &mut cells).await?;
    for (key, change) in unmerged.deltas.0.get(&hour).into_iter().flatten() {
        cells.entry(key.clone()).or_default().add(change);
    }
    Ok(cells)
}

async fn read_cells(
    tx: &mut Transaction<'static, Postgres>,
    grain: Grain,
    start: DateTime<Utc>,
    cells: &mut Cells,
) -> Result<(), StoreError> {
    let rows = sqlx::query!(
        "select task_name, status, parts, run, wait from execution_rollups where grain = $1 and start = $2",
        grain.as_str(),
        start,
    )
    .fetch_all(&mut **tx)
    .await?;
    for row in rows {
        let cell = Cell::decode(&row.parts, &row.run, &row.wait)?;
        cells.entry((row.task_name, status(&row.status))).or_default().add(&cell);
    }
    Ok(())
}

fn add_to_day(day: &mut Cells, hour: DateTime<Utc>, cells: &Cells) {
    cells.iter().for_each(|(key, cell)| day.entry(key.clone()).or_default().add(&cell.in_day(hour)));
}

fn compare(grain: Grain, start: DateTime<Utc>, counted: &Cells, logged: &Cells, differences: &mut Vec<Difference>) {
    let nothing = Cell::default();
    let keys: BTreeSet<&Key> = counted.keys().chain(logged.keys()).collect();
    for key in keys {
        let (one, other) = (counted.get(key).unwrap_or(&nothing), logged.get(key).unwrap_or(&nothing));
        if one != other {
            differences.push(Difference {
                grain: grain.as_str(),
                start,
                task_name: key.0.clone(),
                status: key.1.to_string(),
                counted: one.parts.sum().total,
                logged: other.parts.sum().total,
            });
        }
    }
}
