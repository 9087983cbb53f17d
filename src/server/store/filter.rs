//! The filters of the history as SQL.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Postgres, QueryBuilder};
use taskscope_wire::{
    Cursor, HistoryQuery, TaskStatus,
    search::{Name, Search, Simple, Term},
};

use super::{StoreError, search::push_search};

/// A query of the history whose search was understood.
#[derive(Debug)]
pub(super) struct Filter<'a> {
    pub(super) query: &'a HistoryQuery,
    search: Option<Search>,
    /// The moment that ages in the search go back from.
    now: DateTime<Utc>,
}

impl<'a> Filter<'a> {
    /// Understands a query. Ages in its search go back from `now`, which is the cursor's moment, so that all pages hold the same.
    ///
    /// # Errors
    /// `q` is no search. What comes from outside was checked before.
    pub(super) fn new(query: &'a HistoryQuery, now: DateTime<Utc>) -> Result<Self, StoreError> {
        let search = query.search().map_err(|invalid| StoreError::Refused(invalid.to_string()))?;
        Ok(Self { query, search, now })
    }

    /// What the search asks for, where counts by task type, status and time can answer the whole query.
    pub(super) fn simple(&self) -> Option<Simple> {
        let query = self.query;
        let has_more = query.stalled
            || query.worker.is_some()
            || query.queue.is_some()
            || query.min_duration_ms.is_some()
            || query.max_duration_ms.is_some();
        if has_more {
            return None;
        }
        self.search.as_ref().map_or_else(|| Some(Simple::default()), Search::simple)
    }

    /// Whether it asks for tasks by their whole ids, which an index finds wherever they are.
    pub(super) fn is_by_id(&self) -> bool {
        let is_exact = |name: &Name| matches!(name, Name::Exact(_));
        let mut required = self.search.iter().flat_map(Search::required);
        required.any(|term| matches!(term, Term::Id(ids) if ids.iter().all(is_exact)))
    }

    /// The first moment of what is asked for, and the first after it; none where there is no end to it.
    pub(super) fn range(&self) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
        // What is created at these times belongs to it, and Postgres keeps microseconds.
        let after = |at: DateTime<Utc>| at + TimeDelta::microseconds(1);
        let mut start = self.query.start_date;
        let mut end = earlier(self.query.end_date.map(after), self.query.cursor.map(|cursor| after(cursor.until)));
        for term in self.search.iter().flat_map(Search::required) {
            if let Term::Created(range) = term {
                let bounds = range.bounds(self.now);
                start = start.max(bounds.0);
                end = earlier(end, bounds.1);
            }
        }
        (start, end)
    }

    /// Adds the where clause on the log as `e`, without the cursor: filters joined by AND, values of one filter by OR.
    pub(super) fn push(&self, sql: &mut QueryBuilder<Postgres>) {
        push_filters(sql, self.query);
        if let Some(search) = &self.search {
            sql.push(" and ");
            push_search(sql, search, self.now);
        }
    }
}

/// Adds a condition to a where clause on the log as `e`: what a cursor's pages hold.
pub(super) fn push_cursor(sql: &mut QueryBuilder<Postgres>, cursor: Option<Cursor>) {
    if let Some(cursor) = cursor {
        sql.push(" and e.created_at <= ").push_bind(cursor.until).push(" and e.id <= ").push_bind(cursor.last_id);
    }
}

/// The earlier of two ends, of which none is the latest.
fn earlier(one: Option<DateTime<Utc>>, other: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        _ => one.or(other),
    }
}

fn push_filters(sql: &mut QueryBuilder<Postgres>, query: &HistoryQuery) {
    sql.push(" where true");
    match query.task_name.as_slice() {
        [] => {}
        // In the order of an index, which a list of one is not for Postgres.
        [name] => {
            sql.push(" and e.task_name = ").push_bind(name.clone());
        }
        names => {
            sql.push(" and e.task_name = any(").push_bind(names.to_vec()).push(")");
        }
    }
    if !query.status.is_empty() {
        sql.push(" and ");
        push_statuses(sql, &query.status);
    }
    if query.stalled {
        sql.push(" and ").push(IS_STALLED);
    }
    if let Some(start) = query.start_date {
        sql.push(" and e.created_at >= ").push_bind(start);
    }
    if let Some(end) = query.end_date {
        sql.push(" and e.created_at <= ").push_bind(end);
    }
    if let Some(worker) = &query.worker {
        sql.push(" and e.worker = ").push_bind(worker.clone());
    }
    if let Some(queue) = &query.queue {
        sql.push(" and e.queue = ").push_bind(queue.clone());
    }
    if let Some(least) = query.min_duration_ms {
        sql.push(" and e.duration_ms >= ").push_bind(least);
    }
    if let Some(most) = query.max_duration_ms {
        sql.push(" and e.duration_ms <= ").push_bind(most);
    }
}

/// An execution that is active and counts as stalled.
pub(super) const IS_STALLED: &str =
    "(e.status = 'running' and e.id in (select a.id from task_active a where a.stalled is not null))";

/// Failures are found by a column of their own, which an index knows.
pub(super) fn push_statuses(sql: &mut QueryBuilder<Postgres>, statuses: &[TaskStatus]) {
    match statuses {
        [TaskStatus::Failed] => {
            sql.push("e.failed_at is not null");
        }
        [status] => {
            sql.push("e.status = ").push_bind(status.as_str());
        }
        statuses => {
            let words: Vec<String> = statuses.iter().map(ToString::to_string).collect();
            sql.push("e.status = any(").push_bind(words).push(")");
        }
    }
}
