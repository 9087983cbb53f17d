//! The executions of a query as one list, a part at a time: each part holds what stands below the one before.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use sqlx::{Postgres, QueryBuilder, Transaction};
use taskscope_wire::{Execution, HistoryQuery};

use super::{
    Store, StoreError,
    executions::COLUMNS,
    filter::{Filter, push_cursor},
    history,
};

/// How far an export has come.
#[derive(Debug, Clone)]
pub struct Export {
    /// What is asked for, as of one moment.
    query: HistoryQuery,
    /// The last row that was given: what is newer was given too.
    last: Option<(DateTime<Utc>, i64)>,
    /// Nothing that is created at this time or later is still to come.
    end: Option<DateTime<Utc>>,
}

impl Store {
    /// Begins an export of what matches now; pages and their size have no meaning in it.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn begin_export(&self, query: HistoryQuery) -> Result<Export, StoreError> {
        let cursor = match query.cursor {
            Some(cursor) => cursor,
            None => self.read_past(async |mut tx| history::now(&mut tx).await).await?,
        };
        Ok(Export { query: HistoryQuery { cursor: Some(cursor), ..query }, last: None, end: None })
    }

    /// The next executions, newest first, at most `limit`; none where all were given. What is rare is looked for a day at a time, so that no
    /// question takes long.
    ///
    /// # Errors
    /// Postgres doesn't answer, or not in time.
    pub async fn next_part(&self, export: &mut Export, limit: i64) -> Result<Vec<Execution>, StoreError> {
        loop {
            let (day, executions) = self.read_past(|tx| part(tx, &*export, limit)).await?;
            let Some(day) = day else { return Ok(Vec::new()) };
            match executions.last() {
                Some(last) if executions.len() as i64 == limit => export.last = Some((last.created_at, last.id)),
                _ => export.end = Some(day),
            }
            if !executions.is_empty() {
                return Ok(executions);
            }
        }
    }
}

/// What a day still has to give, newest first, and the day's beginning; none where there is no day left.
async fn part(
    mut tx: Transaction<'static, Postgres>,
    export: &Export,
    limit: i64,
) -> Result<(Option<DateTime<Utc>>, Vec<Execution>), StoreError> {
    let Export { query, last, end } = export;
    let filter = Filter::new(query, query.cursor.map_or_else(Utc::now, |cursor| cursor.until))?;
    let (start, before) = filter.range();
    let before = [*end, before].into_iter().flatten().min().unwrap_or_else(|| Utc::now() + TimeDelta::days(36_500));
    let newest = sqlx::query_scalar!("select max(created_at) from task_execution_logs where created_at < $1", before);
    let Some(newest) = newest.fetch_one(&mut *tx).await?.filter(|newest| start.is_none_or(|start| *newest >= start)) else {
        return Ok((None, Vec::new()));
    };
    let day = newest.duration_trunc(TimeDelta::days(1)).unwrap_or(newest);
    let mut rows = QueryBuilder::new(format!("select {COLUMNS} from task_execution_logs e"));
    filter.push(&mut rows);
    push_cursor(&mut rows, query.cursor);
    rows.push(" and e.created_at >= ").push_bind(day).push(" and e.created_at < ").push_bind(before);
    if let Some((at, id)) = last {
        rows.push(" and (e.created_at, e.id) < (").push_bind(*at).push(", ").push_bind(*id).push(")");
    }
    rows.push(" order by e.created_at desc, e.id desc limit ").push_bind(limit);
    Ok((Some(day), history::executions(&mut tx, rows).await?))
}
