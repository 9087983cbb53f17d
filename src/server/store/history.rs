//! Pages of the history.
//!
//! Filters of task type, status and time are answered from the rollups: the total is a sum, and a page is sought where the sums say that it lies. Other
//! filters and searches need a look at the rows, which takes a second at the most.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Postgres, QueryBuilder, Transaction};
use taskscope_wire::{Cursor, Execution, HistoryPage, HistoryQuery, TaskStatus};

use super::{
    Store, StoreError,
    active::OpenOnly,
    executions::{COLUMNS, ExecutionRow, mark_retried},
    filter::{Filter, push_cursor},
    position,
    rollup::{Counted, Place, Window, names},
    scan::{Wanted, scan},
};

/// How many rows that got their ids after a cursor's last one are looked at, for such as were created before it. Those that come late come soon.
const LATE_IDS: i64 = 5000;

/// How long a query may look through the log, so that its answer takes less than a second.
const BUDGET: Duration = Duration::from_millis(850);

impl Store {
    /// A page of the history, newest first, with the number of executions that match: exactly, unless it says how far back it looked.
    ///
    /// # Errors
    /// Postgres doesn't answer, or not in time.
    pub async fn history(&self, query: &HistoryQuery) -> Result<HistoryPage, StoreError> {
        self.history_within(query, BUDGET).await
    }

    /// [`Store::history`] that looks through the log for so long, where counts don't answer.
    ///
    /// # Errors
    /// Postgres doesn't answer, or not in time.
    pub async fn history_within(&self, query: &HistoryQuery, budget: Duration) -> Result<HistoryPage, StoreError> {
        self.read_past(|mut tx| async move {
            let position = position(&mut tx).await?;
            let cursor = match query.cursor {
                Some(cursor) => cursor,
                None => now(&mut tx).await?,
            };
            let filter = Filter::new(query, cursor.until)?;
            let answer = match counted_by(&mut tx, &filter).await? {
                Some(window) => seek(&mut tx, &filter, window).await?,
                None => look(&mut tx, &filter, budget).await?,
            };
            Ok(HistoryPage {
                total_count: answer.total,
                page: query.page,
                page_size: query.page_size,
                total_pages: (answer.total + i64::from(query.page_size) - 1) / i64::from(query.page_size),
                position,
                cursor: Some(cursor),
                searched_back_to: answer.back_to,
                items: answer.items,
            })
        })
        .await
    }
}

/// What a query found.
#[derive(Debug)]
struct Answer {
    total: i64,
    items: Vec<Execution>,
    back_to: Option<DateTime<Utc>>,
}

/// The window of the rollups that a query asks for, if they can answer it.
async fn counted_by(tx: &mut Transaction<'static, Postgres>, filter: &Filter<'_>) -> Result<Option<Window>, StoreError> {
    let query = filter.query;
    let Some(simple) = filter.simple() else { return Ok(None) };
    let mut task_names = (!query.task_name.is_empty()).then(|| query.task_name.clone());
    if !simple.has_any_task() {
        let known = match task_names {
            Some(asked) => asked,
            None => names(tx).await?.into_iter().collect(),
        };
        task_names = Some(known.into_iter().filter(|name| simple.matches_task(name)).collect());
    }
    let mut statuses = if query.status.is_empty() { TaskStatus::ALL.to_vec() } else { query.status.clone() };
    statuses.retain(|status| simple.statuses().is_none_or(|searched| searched.contains(status)));
    let until = query.cursor.map(|cursor| cursor.until).into_iter().chain(query.end_date).min();
    Ok(Some(Window {
        task_names,
        statuses: (statuses != TaskStatus::ALL).then_some(statuses),
        ..Window::between(query.start_date, until.map(after))
    }))
}

/// The first moment after a time, as Postgres keeps time.
fn after(time: DateTime<Utc>) -> DateTime<Utc> {
    time + TimeDelta::microseconds(1)
}

/// How many executions stand before a page.
fn offset(query: &HistoryQuery) -> i64 {
    i64::from(query.page - 1) * i64::from(query.page_size)
}

/// The total and the rows of a page, whose place the rollups know.
async fn seek(tx: &mut Transaction<'static, Postgres>, filter: &Filter<'_>, window: Window) -> Result<Answer, StoreError> {
    let query = filter.query;
    let late = match query.cursor {
        Some(cursor) => late(tx, filter, cursor).await?,
        None => Vec::new(),
    };
    let open = OpenOnly::of(&window);
    let mut counted = Counted::read(tx, window, late).await?;
    let total = counted.total();
    if offset(query) >= total {
        return Ok(Answer { total, items: Vec::new(), back_to: None });
    }
    let place = counted.locate(tx, offset(query), i64::from(query.page_size)).await?;
    let items = match open {
        Some(open) => open_rows_at(tx, filter, &open, place, total).await?,
        None => rows_at(tx, filter, place).await?,
    };
    Ok(Answer { total, items, back_to: None })
}

/// The rows of a page on which none is over. One that is stuck may lie days behind the others, with a million between them in the log.
async fn open_rows_at(
    tx: &mut Transaction<'static, Postgres>,
    filter: &Filter<'_>,
    open: &OpenOnly,
    place: Place,
    total: i64,
) -> Result<Vec<Execution>, StoreError> {
    let query = filter.query;
    let keys = open.keys(tx, place, query.cursor, i64::from(query.page_size)).await?;
    let rows = rows_of(tx, &keys).await?;
    // A program that turned triggers off leaves rows that only the log has, and a day that is dropped such as it has no more.
    let is_whole = rows.len() as i64 == (total - offset(query)).min(i64::from(query.page_size));
    if is_whole { Ok(rows) } else { rows_at(tx, filter, place).await }
}

/// The total and the rows of a page, by a look at the log.
async fn look(tx: &mut Transaction<'static, Postgres>, filter: &Filter<'_>, budget: Duration) -> Result<Answer, StoreError> {
    let wanted = Wanted { offset: offset(filter.query), limit: i64::from(filter.query.page_size) };
    let found = scan(tx, filter, wanted, budget).await?;
    Ok(Answer { total: found.total, items: rows_of(tx, &found.keys).await?, back_to: found.back_to })
}

/// The rows of a page.
async fn rows_at(
    tx: &mut Transaction<'static, Postgres>,
    filter: &Filter<'_>,
    place: Place,
) -> Result<Vec<Execution>, StoreError> {
    // The rows of the page first, then what is worked out for them: not for every row that the offset passes over.
    let mut page = QueryBuilder::new(format!("select {COLUMNS} from (select * from task_execution_logs e"));
    filter.push(&mut page);
    push_cursor(&mut page, filter.query.cursor);
    page.push(" and e.created_at >= ").push_bind(place.from).push(" and e.created_at < ").push_bind(place.to);
    page.push(" order by e.created_at desc, e.id desc limit ").push_bind(i64::from(filter.query.page_size));
    page.push(" offset ").push_bind(place.offset).push(") e order by e.created_at desc, e.id desc");
    executions(tx, page).await
}

/// The rows with these keys, newest first as the keys are. Their times tell Postgres which partitions to look at.
async fn rows_of(tx: &mut Transaction<'static, Postgres>, keys: &[(DateTime<Utc>, i64)]) -> Result<Vec<Execution>, StoreError> {
    let (Some(newest), Some(oldest)) = (keys.first(), keys.last()) else { return Ok(Vec::new()) };
    let (times, ids): (Vec<_>, Vec<_>) = keys.iter().copied().unzip();
    let mut rows = QueryBuilder::new(format!("select {COLUMNS} from task_execution_logs e join unnest("));
    rows.push_bind(times)
        .push(", ")
        .push_bind(ids)
        .push(") as k (created_at, id) using (created_at, id) where e.created_at between ");
    rows.push_bind(oldest.0).push(" and ").push_bind(newest.0).push(" order by e.created_at desc, e.id desc");
    executions(tx, rows).await
}

pub(super) async fn executions(
    tx: &mut Transaction<'static, Postgres>,
    mut rows: QueryBuilder<Postgres>,
) -> Result<Vec<Execution>, StoreError> {
    let rows: Vec<ExecutionRow> = rows.build_query_as().fetch_all(&mut **tx).await?;
    let mut executions: Vec<Execution> = rows.into_iter().map(Into::into).collect();
    mark_retried(tx, &mut executions).await?;
    Ok(executions)
}

/// The moment of a snapshot. A clock that is ahead of Postgres' makes it later than now, so that nothing is missing.
pub(super) async fn now(tx: &mut Transaction<'static, Postgres>) -> Result<Cursor, StoreError> {
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
    filter: &Filter<'_>,
    cursor: Cursor,
) -> Result<Vec<DateTime<Utc>>, StoreError> {
    let mut times = QueryBuilder::new("select e.created_at from task_execution_logs e");
    filter.push(&mut times);
    times.push(" and e.created_at <= ").push_bind(cursor.until);
    times.push(" and e.id > ").push_bind(cursor.last_id).push(" and e.id <= ").push_bind(cursor.last_id + LATE_IDS);
    Ok(times.build_query_scalar().fetch_all(&mut **tx).await?)
}
