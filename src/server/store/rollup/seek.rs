//! Exact totals, and where in time the rows of a page lie, without passing over the rows before it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::{Postgres, Transaction};
use taskscope_wire::TaskStatus;

use super::{
    cell::{Grain, Parts, decode},
    plan::{Source, Stretch, plan},
    read::{Unmerged, Window},
};
use crate::server::store::StoreError;

/// Rows before a page that Postgres may pass over: less than to look closer costs, even where each lies in a block of its own.
const PASSED_OVER: i64 = 25;

/// The executions of a window, counted in pieces of time.
#[derive(Debug)]
pub(in crate::server) struct Counted {
    window: Window,
    unmerged: Unmerged,
    /// Executions that count as not there, by the time of their creation, in its order.
    without: Vec<DateTime<Utc>>,
    /// Newest first.
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, Copy)]
struct Piece {
    stretch: Stretch,
    count: i64,
}

/// The time in which the rows of a page lie, and how many newer rows of it come before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) struct Place {
    pub(in crate::server) from: DateTime<Utc>,
    pub(in crate::server) to: DateTime<Utc>,
    pub(in crate::server) offset: i64,
}

impl Counted {
    /// Counts a window, without executions of it that were created at these times.
    pub(in crate::server) async fn read(
        tx: &mut Transaction<'static, Postgres>,
        window: Window,
        mut without: Vec<DateTime<Utc>>,
    ) -> Result<Self, StoreError> {
        without.sort_unstable();
        let unmerged = Unmerged::read(tx).await?;
        let mut counted = Self { window, unmerged, without, pieces: Vec::new() };
        for stretch in plan(counted.window.from, counted.window.to, &counted.unmerged.dirty, true).into_iter().rev() {
            let pieces = counted.count(tx, stretch).await?;
            counted.pieces.extend(pieces);
        }
        Ok(counted)
    }

    /// Executions in the window.
    pub(in crate::server) fn total(&self) -> i64 {
        self.pieces.iter().map(|piece| piece.count).sum()
    }

    /// Where the `limit` rows after the newest `offset` lie: as closely as a minute where the log isn't marked, but only roughly where few rows are
    /// passed over anyway.
    pub(in crate::server) async fn locate(
        &mut self,
        tx: &mut Transaction<'static, Postgres>,
        offset: i64,
        limit: i64,
    ) -> Result<Place, StoreError> {
        let passed_over = if self.is_sparse() { 0 } else { PASSED_OVER };
        while let Some((index, before)) = self.find(offset) {
            if offset - before < passed_over || !self.look_closer(tx, index).await? {
                break;
            }
        }
        // The oldest row of the page too, where many other rows may lie beyond it.
        let oldest = (offset + limit).min(self.total()) - 1;
        while let Some((index, _)) = self.find(oldest).filter(|_| self.is_sparse()) {
            if !self.look_closer(tx, index).await? {
                break;
            }
        }
        let (first, before) = self.find(offset).unwrap_or((0, 0));
        let (last, _) = self.find(oldest).unwrap_or((self.pieces.len().saturating_sub(1), 0));
        let window = &self.window;
        let from = self.pieces.get(last).map_or(window.from, |piece| piece.stretch.from);
        let to = self.pieces.get(first).map_or(window.to, |piece| piece.stretch.to);
        Ok(Place { from, to, offset: offset - before })
    }

    /// Whether few of the rows in the window's time are counted: those that have not ended, or failed.
    fn is_sparse(&self) -> bool {
        self.window.statuses.as_ref().is_some_and(|statuses| !statuses.contains(&TaskStatus::Success))
    }

    /// Takes a piece apart into shorter ones; not where there are none.
    async fn look_closer(&mut self, tx: &mut Transaction<'static, Postgres>, index: usize) -> Result<bool, StoreError> {
        let Piece { stretch, .. } = self.pieces[index];
        let finer = match stretch.source {
            Source::Cells(Grain::Day) => Source::Cells(Grain::Hour),
            Source::Cells(Grain::Hour) => Source::Minutes,
            Source::Minutes | Source::Log => return Ok(false),
        };
        let pieces = self.count(tx, Stretch { source: finer, ..stretch }).await?;
        self.pieces.splice(index..=index, pieces);
        Ok(true)
    }

    /// The piece that holds a row, and the rows before that piece.
    fn find(&self, row: i64) -> Option<(usize, i64)> {
        let mut before = 0;
        for (index, piece) in self.pieces.iter().enumerate() {
            if row < before + piece.count {
                return Some((index, before));
            }
            before += piece.count;
        }
        None
    }

    /// The pieces of a stretch, newest first.
    async fn count(&self, tx: &mut Transaction<'static, Postgres>, stretch: Stretch) -> Result<Vec<Piece>, StoreError> {
        let mut pieces = match stretch.source {
            Source::Cells(grain) => self.count_cells(tx, grain, stretch).await?,
            Source::Minutes => self.count_minutes(tx, stretch).await?,
            Source::Log => vec![Piece { stretch, count: self.count_log(tx, stretch).await? }],
        };
        for piece in &mut pieces {
            let before = |time: DateTime<Utc>| self.without.partition_point(|known| *known < time) as i64;
            piece.count -= before(piece.stretch.to) - before(piece.stretch.from);
        }
        Ok(pieces)
    }

    async fn count_cells(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        grain: Grain,
        stretch: Stretch,
    ) -> Result<Vec<Piece>, StoreError> {
        let rows = sqlx::query!(
            r#"select start, sum(total)::bigint as "count!" from execution_rollups
               where grain = $1 and start >= $2 and start < $3
                 and ($4::text[] is null or task_name = any($4)) and ($5::text[] is null or status = any($5))
               group by start"#,
            grain.as_str(),
            stretch.from,
            stretch.to,
            self.window.task_names.as_deref() as _,
            self.window.status_words() as _,
        )
        .fetch_all(&mut **tx)
        .await?;
        let mut counts: BTreeMap<DateTime<Utc>, i64> = rows.into_iter().map(|row| (row.start, row.count)).collect();
        for (hour, _, cell) in self.unmerged.changes(&self.window, stretch) {
            *counts.entry(grain.start_of(hour)).or_default() += cell.parts.sum().total;
        }
        let piece = |(from, count)| Piece { stretch: Stretch { from, to: from + grain.length(), ..stretch }, count };
        Ok(counts.into_iter().rev().map(piece).collect())
    }

    async fn count_minutes(&self, tx: &mut Transaction<'static, Postgres>, stretch: Stretch) -> Result<Vec<Piece>, StoreError> {
        let hour = Grain::Hour.start_of(stretch.from);
        let cells = sqlx::query_scalar!(
            r#"select parts from execution_rollups
               where grain = 'hour' and start = $1
                 and ($2::text[] is null or task_name = any($2)) and ($3::text[] is null or status = any($3))"#,
            hour,
            self.window.task_names.as_deref() as _,
            self.window.status_words() as _,
        )
        .fetch_all(&mut **tx)
        .await?;
        let mut counts: BTreeMap<DateTime<Utc>, i64> = BTreeMap::new();
        let mut add = |parts: &Parts| {
            for (minute, part) in parts.iter() {
                *counts.entry(hour + Grain::Hour.part() * i32::from(minute)).or_default() += part.total;
            }
        };
        for cell in cells {
            add(&decode(&cell)?);
        }
        let whole = Stretch { from: hour, to: hour + Grain::Hour.length(), source: stretch.source };
        self.unmerged.changes(&self.window, whole).for_each(|(_, _, cell)| add(&cell.parts));
        let minutes = counts.range(stretch.from..stretch.to).rev();
        let piece = |(from, count): (&DateTime<Utc>, &i64)| Piece {
            stretch: Stretch { from: *from, to: *from + Grain::Hour.part(), ..stretch },
            count: *count,
        };
        Ok(minutes.map(piece).collect())
    }

    async fn count_log(&self, tx: &mut Transaction<'static, Postgres>, stretch: Stretch) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar!(
            r#"select count(*) as "count!" from task_execution_logs
               where created_at >= $1 and created_at < $2
                 and ($3::text[] is null or task_name = any($3)) and ($4::text[] is null or status = any($4))"#,
            stretch.from,
            stretch.to,
            self.window.task_names.as_deref() as _,
            self.window.status_words() as _,
        );
        Ok(count.fetch_one(&mut **tx).await?)
    }
}
