//! Pages of the history.
//!
//! Filters of task type, status and time are answered from the rollups: the total is a sum, and a page is sought where the sums say that it lies. Other
//! filters need a look at the rows.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Postgres, QueryBuilder, Transaction};
use taskscope_wire::{Cursor, Execution, HistoryPage, HistoryQuery};

use super::{
    Store, StoreError,
    executions::{COLUMNS, ExecutionRow, mark_retried},
    filter::push_filters,
    position, read,
    rollup::{Counted, Place, Window},
};

/// How many rows that got their ids after a cursor's last one are looked at, for such as were created before it. Those that come late come soon.
const LATE_IDS: i64 = 5000;

impl Store {
    /// A page of the history, newest first, with the exact number of executions that match.
    ///
    /// # Errors
    /// Postgres doesn't answer, or not in time.
    pub async fn history(&self, query: &HistoryQuery) -> Result<HistoryPage, StoreError> {
        read(async {
            let mut tx = self.snapshot().await?;
            let position = position(&mut tx).await?;
            let cursor = match query.cursor {
                Some(cursor) => cursor,
                None => now(&mut tx).await?,
            };
            let offset = i64::from(query.page - 1) * i64::from(query.page_size);
            let (total_count, place) = match counted_by(query) {
                Some(window) => seek(&mut tx, query, window, offset).await?,
                None => scan(&mut tx, query, offset).await?,
            };
            let items = match place {
                Some(place) => rows(&mut tx, query, place).await?,
                None => Vec::new(),
            };
            Ok(HistoryPage {
                total_count,
                page: query.page,
                page_size: query.page_size,
                total_pages: (total_count + i64::from(query.page_size) - 1) / i64::from(query.page_size),
                position,
                cursor: Some(cursor),
                searched_back_to: None,
                items,
            })
        })
        .await
    }
}

/// The window of the rollups that a query asks for, if they can answer it.
fn counted_by(query: &HistoryQuery) -> Option<Window> {
    let others = query.stalled
        || query.q.is_some()
        || query.worker.is_some()
        || query.queue.is_some()
        || query.min_duration_ms.is_some()
        || query.max_duration_ms.is_some();
    let until = query.cursor.map(|cursor| cursor.until).into_iter().chain(query.end_date).min();
    (!others).then(|| Window {
        task_names: (!query.task_name.is_empty()).then(|| query.task_name.clone()),
        statuses: (!query.status.is_empty()).then(|| query.status.clone()),
        ..Window::between(query.start_date, until.map(after))
    })
}

/// The first moment after a time, as Postgres keeps time.
fn after(time: DateTime<Utc>) -> DateTime<Utc> {
    time + TimeDelta::microseconds(1)
}

/// The total and the place of a page, by the rollups; none where the page is beyond the last one.
async fn seek(
    tx: &mut Transaction<'static, Postgres>,
    query: &HistoryQuery,
    window: Window,
    offset: i64,
) -> Result<(i64, Option<Place>), StoreError> {
    let late = match query.cursor {
        Some(cursor) => late(tx, query, cursor).await?,
        None => Vec::new(),
    };
    let mut counted = Counted::read(tx, window, late).await?;
    let total = counted.total();
    if offset >= total {
        return Ok((total, None));
    }
    Ok((total, Some(counted.locate(tx, offset, i64::from(query.page_size)).await?)))
}

/// The total and the place of a page, by a look at all rows.
async fn scan(
    tx: &mut Transaction<'static, Postgres>,
    query: &HistoryQuery,
    offset: i64,
) -> Result<(i64, Option<Place>), StoreError> {
    let mut count = QueryBuilder::new("select count(*) from task_execution_logs e");
    push_filters(&mut count, query);
    push_cursor(&mut count, query.cursor);
    let total: i64 = count.build_query_scalar().fetch_one(&mut **tx).await?;
    let everything = Window::between(None, None);
    Ok((total, (offset < total).then_some(Place { from: everything.from, to: everything.to, offset })))
}

/// The rows of a page.
async fn rows(tx: &mut Transaction<'static, Postgres>, query: &HistoryQuery, place: Place) -> Result<Vec<Execution>, StoreError> {
    // The rows of the page first, then what is worked out for them: not for every row that the offset passes over.
    let mut page = QueryBuilder::new(format!("select {COLUMNS} from (select * from task_execution_logs e"));
    push_filters(&mut page, query);
    push_cursor(&mut page, query.cursor);
    page.push(" and e.created_at >= ").push_bind(place.from).push(" and e.created_at < ").push_bind(place.to);
    page.push(" order by e.created_at desc, e.id desc limit ").push_bind(i64::from(query.page_size));
    page.push(" offset ").push_bind(place.offset).push(") e order by e.created_at desc, e.id desc");
    let rows: Vec<ExecutionRow> = page.build_query_as().fetch_all(&mut **tx).await?;
    let mut items: Vec<Execution> = rows.into_iter().map(Into::into).collect();
    mark_retried(tx, &mut items).await?;
    Ok(items)
}

/// The moment of a snapshot. A clock that is ahead of Postgres' makes it later than now, so that nothing is missing.
async fn now(tx: &mut Transaction<'static, Postgres>) -> Result<Cursor, StoreError> {
    let row = sqlx::query!(
        r#"select greatest(now(), (select max(created_at) from task_execution_logs where created_at > now())) as "until!",
                  coalesce(
                      (select max(id) from task_execution_logs where created_at > now() - interval '2 days'),
                      (select last_value from task_execution_logs_id_seq)
                  ) as "last_id!""#
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(Cursor { until: row.until, last_id: row.last_id })
}

/// When those executions were created that match and came after a cursor's moment although they were created before it.
async fn late(
    tx: &mut Transaction<'static, Postgres>,
    query: &HistoryQuery,
    cursor: Cursor,
) -> Result<Vec<DateTime<Utc>>, StoreError> {
    let mut times = QueryBuilder::new("select e.created_at from task_execution_logs e");
    push_filters(&mut times, query);
    times.push(" and e.created_at <= ").push_bind(cursor.until);
    times.push(" and e.id > ").push_bind(cursor.last_id).push(" and e.id <= ").push_bind(cursor.last_id + LATE_IDS);
    Ok(times.build_query_scalar().fetch_all(&mut **tx).await?)
}

fn push_cursor(sql: &mut QueryBuilder<Postgres>, cursor: Option<Cursor>) {
    if let Some(cursor) = cursor {
        sql.push(" and e.created_at <= ").push_bind(cursor.until).push(" and e.id <= ").push_bind(cursor.last_id);
    }
}
