//! The filters of the history as SQL.

use sqlx::{Postgres, QueryBuilder};
use taskscope_wire::{HistoryQuery, TaskStatus};

/// Adds the where clause: filters joined by AND, values of one filter by OR.
pub(super) fn push_filters(sql: &mut QueryBuilder<Postgres>, query: &HistoryQuery) {
    sql.push(" where true");
    if !query.task_name.is_empty() {
        sql.push(" and e.task_name = any(").push_bind(query.task_name.clone()).push(")");
    }
    if query.status == [TaskStatus::Failed] {
        sql.push(" and e.failed_at is not null");
    } else if !query.status.is_empty() {
        let words: Vec<String> = query.status.iter().map(ToString::to_string).collect();
        sql.push(" and e.status = any(").push_bind(words).push(")");
    }
    if query.stalled {
        sql.push(" and e.status = 'running' and e.id in (select a.id from task_active a where a.stalled is not null)");
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
    if let Some(words) = &query.q {
        let pattern = format!("%{}%", escape_like(words));
        sql.push(" and (e.error_message ilike ").push_bind(pattern.clone());
        sql.push(" or e.task_id ilike ").push_bind(pattern.clone());
        sql.push(" or e.params::text ilike ").push_bind(pattern).push(")");
    }
}

/// Makes `%`, `_` and `\` stand for themselves in a LIKE pattern.
fn escape_like(words: &str) -> String {
    words.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_")
}
