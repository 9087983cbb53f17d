//! What the log holds, to choose from while a search is typed.

use taskscope_wire::search::{Expr, Known, Search, Term};

use super::{Store, StoreError};

impl Store {
    /// Task types, workers and queues that are known, and the paths of params in the newest executions.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn search_words(&self) -> Result<Known, StoreError> {
        let workers = sqlx::query_scalar!(
            r#"select worker as "worker!" from workers
               union select worker from task_active where worker is not null
               order by 1 limit 500"#
        );
        let queues = sqlx::query_scalar!(
            r#"select queue as "queue!" from task_active where queue is not null
               union select unnest(queues) from workers
               order by 1 limit 500"#
        );
        Ok(Known {
            task_names: self.task_names().await?,
            workers: workers.fetch_all(&self.pool).await?,
            queues: queues.fetch_all(&self.pool).await?,
            param_keys: self.param_keys().await?,
        })
    }

    /// TaskIQ's params have what a task was called with one level down.
    async fn param_keys(&self) -> Result<Vec<String>, StoreError> {
        let keys = sqlx::query_scalar!(
            r#"with newest as (
                   select params from task_execution_logs
                   where jsonb_typeof(params) = 'object'
                   order by created_at desc, id desc limit 200
               ), outer_keys as (
                   select key, value from newest cross join jsonb_each(params)
               )
               select key as "key!" from outer_keys
               union
               select o.key || '.' || i.key from outer_keys o
               cross join jsonb_object_keys(case when jsonb_typeof(o.value) = 'object' then o.value else '{}' end) i (key)
               order by 1 limit 500"#
        );
        let keys = keys.fetch_all(&self.pool).await?;
        Ok(keys.into_iter().filter(|key| is_path(key)).collect())
    }
}

/// Whether keys can be written as a path: one with a space in it can't.
fn is_path(keys: &str) -> bool {
    let search = Search::parse(&format!("params.{keys}:1"));
    search.is_ok_and(|search| matches!(search.expr(), Expr::Term(Term::Param { path, .. }) if path.join(".") == keys))
}
