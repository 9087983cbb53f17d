//! Reads counts: cells, what no cell holds yet, and the log where neither does.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use sqlx::{Postgres, Transaction};
use taskscope_wire::TaskStatus;

use super::{
    cell::{Cell, Grain, Parts, decode},
    delta::{Deltas, Key},
    plan::{Source, Stretch, plan},
    times::CellTimes,
    upkeep::count_log,
};
use crate::server::store::{StoreError, executions::status};

/// In a cut hour with at most so many executions times are read from the log; in a fuller one those of the whole hour stand for them.
const READ_FROM_LOG: i64 = 5000;

/// Before all that is in the log.
const BEGINNING: i64 = -62_135_596_800;
/// After all that is in the log.
const END: i64 = 253_370_764_800;

/// What is counted: executions that were created from `from` on and before `to`. Lists that are none let everything through.
#[derive(Debug, Clone)]
pub(in crate::server) struct Window {
    pub(in crate::server) from: DateTime<Utc>,
    pub(in crate::server) to: DateTime<Utc>,
    pub(in crate::server) task_names: Option<Vec<String>>,
    pub(in crate::server) statuses: Option<Vec<TaskStatus>>,
}

impl Window {
    /// All executions between two times, where these are given.
    pub(in crate::server) fn between(from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> Self {
        let or = |time: Option<DateTime<Utc>>, far| time.or(DateTime::from_timestamp(far, 0)).unwrap_or_default();
        Self { from: or(from, BEGINNING), to: or(to, END), task_names: None, statuses: None }
    }

    pub(super) fn status_words(&self) -> Option<Vec<String>> {
        self.statuses.as_ref().map(|statuses| statuses.iter().map(ToString::to_string).collect())
    }

    fn holds(&self, (task_name, status): &Key) -> bool {
        self.task_names.as_ref().is_none_or(|names| names.contains(task_name))
            && self.statuses.as_ref().is_none_or(|statuses| statuses.contains(status))
    }
}

/// What is counted of a task type and status in (a part of) an hour or a day. There may be several of one hour: they add up.
#[derive(Debug)]
pub(in crate::server) struct Block {
    pub(in crate::server) grain: Grain,
    pub(in crate::server) start: DateTime<Utc>,
    pub(in crate::server) task_name: String,
    pub(in crate::server) status: TaskStatus,
    pub(in crate::server) parts: Parts,
    pub(super) times: CellTimes,
}

impl Block {
    fn new(grain: Grain, start: DateTime<Utc>, (task_name, status): Key, Cell { parts, run, wait }: Cell) -> Self {
        Self { grain, start, task_name, status, parts, times: CellTimes::Counted { run, wait } }
    }
}

/// What the cells don't hold in the snapshot of a transaction.
#[derive(Debug)]
pub(in crate::server) struct Unmerged {
    pub(super) deltas: Deltas,
    pub(super) dirty: BTreeSet<DateTime<Utc>>,
}

impl Unmerged {
    /// Reads it.
    pub(in crate::server) async fn read(tx: &mut Transaction<'static, Postgres>) -> Result<Self, StoreError> {
        let mut deltas = Deltas::default();
        let rows = sqlx::query!("select hour, changes from rollup_deltas").fetch_all(&mut **tx).await?;
        for row in rows {
            deltas.add(row.hour, &row.changes)?;
        }
        let dirty = sqlx::query_scalar!("select distinct hour from rollup_dirty").fetch_all(&mut **tx).await?;
        Ok(Self { deltas, dirty: dirty.into_iter().collect() })
    }

    /// Changes of cells that begin in a stretch and that a window lets through.
    pub(super) fn changes<'a>(
        &'a self,
        window: &'a Window,
        stretch: Stretch,
    ) -> impl Iterator<Item = (DateTime<Utc>, &'a Key, &'a Cell)> {
        let cells = self.deltas.0.range(stretch.from..stretch.to);
        cells.flat_map(|(hour, cells)| cells.iter().map(|(key, cell)| (*hour, key, cell))).filter(|(_, key, _)| window.holds(key))
    }
}

/// The counts of a window by hour, or by day too where `days` allows it. Without `times` there are no run and waiting times in them; run times are only
/// those of what succeeded.
pub(in crate::server) async fn blocks(
    tx: &mut Transaction<'static, Postgres>,
    window: &Window,
    days: bool,
    times: bool,
) -> Result<Vec<Block>, StoreError> {
    let unmerged = Unmerged::read(tx).await?;
    let plan = plan(window.from, window.to, &unmerged.dirty, days);
    let (mut blocks, mut whole_hours) = (Vec::new(), BTreeSet::new());
    for stretch in plan.iter().filter(|stretch| stretch.source == Source::Minutes) {
        let (minutes, are_whole) = minutes(tx, window, *stretch, times, &unmerged).await?;
        blocks.extend(minutes);
        whole_hours.extend(are_whole.then(|| Grain::Hour.start_of(stretch.from)));
    }
    for stretch in plan {
        match stretch.source {
            Source::Cells(grain) => blocks.extend(cells(tx, window, grain, stretch, times, &unmerged).await?),
            Source::Minutes => {}
            Source::Log => {
                let mut logged = from_log(tx, window, stretch).await?;
                // The times of the whole hour are there already.
                let is_counted = |block: &Block| whole_hours.contains(&block.start);
                logged.iter_mut().filter(|block| is_counted(block)).for_each(|block| block.times = CellTimes::None);
                blocks.extend(logged);
            }
        }
    }
    Ok(blocks)
}

/// The cells of a stretch, and what they don't hold yet.
async fn cells(
    tx: &mut Transaction<'static, Postgres>,
    window: &Window,
    grain: Grain,
    stretch: Stretch,
    times: bool,
    unmerged: &Unmerged,
) -> Result<Vec<Block>, StoreError> {
    let mut rows = sqlx::query!(
        r#"select start, task_name, status, parts,
                  case when $6 and status = 'success' then run end as run, case when $6 then wait end as wait
           from execution_rollups
           where grain = $1 and start >= $2 and start < $3
             and ($4::text[] is null or task_name = any($4)) and ($5::text[] is null or status = any($5))"#,
        grain.as_str(),
        stretch.from,
        stretch.to,
        window.task_names.as_deref() as _,
        window.status_words() as _,
        times,
    )
    .fetch(&mut **tx);
    let mut blocks = Vec::new();
    while let Some(row) = rows.try_next().await? {
        let (parts, times) = (decode(&row.parts)?, CellTimes::Columns { run: row.run, wait: row.wait });
        blocks.push(Block { grain, start: row.start, task_name: row.task_name, status: status(&row.status), parts, times });
    }
    drop(rows);
    let changes = unmerged.changes(window, stretch);
    blocks.extend(changes.map(|(start, key, cell)| Block::new(Grain::Hour, start, key.clone(), cell.clone())));
    Ok(blocks)
}

/// The minutes of an hour that lie in a stretch, and whether the times with them are those of the whole hour.
async fn minutes(
    tx: &mut Transaction<'static, Postgres>,
    window: &Window,
    stretch: Stretch,
    times: bool,
    unmerged: &Unmerged,
) -> Result<(Vec<Block>, bool), StoreError> {
    let mut blocks = cells(tx, window, Grain::Hour, hour_of(stretch), times, unmerged).await?;
    let total: i64 = blocks.iter().map(|block| block.parts.sum().total).sum();
    if times && total <= READ_FROM_LOG {
        return Ok((from_log(tx, window, stretch).await?, false));
    }
    blocks.iter_mut().for_each(|block| block.parts.keep(Grain::Hour, block.start, stretch.from, stretch.to));
    Ok((blocks, times))
}

/// The hour that holds a stretch of minutes.
fn hour_of(stretch: Stretch) -> Stretch {
    let from = Grain::Hour.start_of(stretch.from);
    Stretch { from, to: from + Grain::Hour.length(), source: Source::Cells(Grain::Hour) }
}

async fn from_log(tx: &mut Transaction<'static, Postgres>, window: &Window, stretch: Stretch) -> Result<Vec<Block>, StoreError> {
    let mut found: BTreeMap<(DateTime<Utc>, Key), Cell> = BTreeMap::new();
    count_log(tx, stretch, window, |fact| {
        let key = (fact.task_name.clone(), fact.status);
        found.entry((Grain::Hour.start_of(fact.created_at), key)).or_default().record(Grain::Hour, &fact, 1);
    })
    .await?;
    Ok(found.into_iter().map(|((start, key), cell)| Block::new(Grain::Hour, start, key, cell)).collect())
}

/// The task types that have executions.
pub(in crate::server) async fn names(tx: &mut Transaction<'static, Postgres>) -> Result<BTreeSet<String>, StoreError> {
    let unmerged = Unmerged::read(tx).await?;
    let counted =
        sqlx::query_scalar!("select distinct task_name from execution_rollups where grain = 'day'").fetch_all(&mut **tx).await?;
    let mut names: BTreeSet<String> = counted.into_iter().collect();
    names.extend(unmerged.deltas.0.values().flat_map(|cells| cells.keys().map(|(name, _)| name.clone())));
    if !unmerged.dirty.is_empty() {
        // From name to name through the index, instead of over all rows.
        let logged = sqlx::query_scalar!(
            r#"with recursive names (name) as (
                   select min(task_name) from task_execution_logs
                   union all
                   select (select min(task_name) from task_execution_logs where task_name > name) from names where name is not null
               )
               select name as "name!" from names where name is not null"#
        );
        names.extend(logged.fetch_all(&mut **tx).await?);
    }
    Ok(names)
}
