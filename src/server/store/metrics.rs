//! Counts a task type, over a window that ends now.

use std::collections::BTreeMap;

use chrono::{TimeDelta, Utc};
use taskscope_wire::{Metrics, REGISTERED_TASK_TYPES, TaskMetrics, TaskStatus};

use super::{Store, StoreError, position, read};

/// Task names beyond this are no help to whoever must choose one.
const MOST_NAMES: i64 = 1000;

impl Store {
    /// How every task type did in the last `time_window` hours. Registered task types are there even without executions.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn metrics(&self, time_window: u32) -> Result<Metrics, StoreError> {
        let generated_at = Utc::now();
        let start = generated_at - TimeDelta::hours(i64::from(time_window));
        read(async {
            let mut tx = self.snapshot().await?;
            let position = position(&mut tx).await?;
            let step_seconds = f64::from(time_window) * 3600.0 / TaskMetrics::TREND_STEPS as f64;
            let groups = sqlx::query_as!(
                Group,
                r#"select task_name, status,
                       least(floor(date_part('epoch', created_at - $1) / $2), $3)::integer as "step!",
                       count(*) as "total!", count(duration_ms) as "timed!",
                       coalesce(sum(duration_ms), 0)::bigint as "timed_duration_ms!"
                   from task_execution_logs
                   where created_at >= $1
                   group by 1, 2, 3"#,
                start,
                step_seconds,
                (TaskMetrics::TREND_STEPS - 1) as f64,
            )
            .fetch_all(&mut *tx)
            .await?;
            let stalled = sqlx::query!(
                r#"select task_name, count(*) as "count!" from task_active
                   where stalled is not null and created_at >= $1 group by 1"#,
                start,
            )
            .fetch_all(&mut *tx)
            .await?;
            let mut metrics = collect(groups);
            for row in stalled {
                metrics.iter_mut().filter(|metrics| metrics.task_name == row.task_name).for_each(|m| m.stalled = row.count);
            }
            Ok(Metrics { time_window_hours: time_window, generated_at, position, metrics })
        })
        .await
    }

    /// The registered task types, then the others that have executions, by name.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn task_names(&self) -> Result<Vec<String>, StoreError> {
        // From name to name through the index, instead of over all rows.
        let query = sqlx::query_scalar!(
            r#"with recursive names (name) as (
                   select min(task_name) from task_execution_logs
                   union all
                   select (select min(task_name) from task_execution_logs where task_name > name) from names where name is not null
               )
               select name as "name!" from names where name is not null limit $1"#,
            MOST_NAMES,
        );
        let mut others = read(async { Ok(query.fetch_all(&self.pool).await?) }).await?;
        others.retain(|name| !REGISTERED_TASK_TYPES.contains(&name.as_str()));
        others.sort_unstable();
        Ok(REGISTERED_TASK_TYPES.map(str::to_owned).into_iter().chain(others).collect())
    }
}

struct Group {
    task_name: String,
    status: String,
    step: i32,
    total: i64,
    timed: i64,
    timed_duration_ms: i64,
}

fn collect(groups: Vec<Group>) -> Vec<TaskMetrics> {
    let mut others: BTreeMap<String, TaskMetrics> = BTreeMap::new();
    let mut registered: Vec<TaskMetrics> = REGISTERED_TASK_TYPES.map(TaskMetrics::empty).into();
    for group in groups {
        let known = registered.iter_mut().find(|metrics| metrics.task_name == group.task_name);
        let metrics = match known {
            Some(metrics) => metrics,
            None => others.entry(group.task_name.clone()).or_insert_with(|| TaskMetrics::empty(group.task_name.clone())),
        };
        add(metrics, &group);
    }
    registered.into_iter().chain(others.into_values()).map(derived).collect()
}

fn add(metrics: &mut TaskMetrics, group: &Group) {
    metrics.total_executions += group.total;
    let step = usize::try_from(group.step).ok().and_then(|step| metrics.trend.get_mut(step));
    let mut point = taskscope_wire::TrendPoint { total: group.total, failed: 0 };
    match group.status.parse() {
        Ok(TaskStatus::Pending) => metrics.pending += group.total,
        Ok(TaskStatus::Running) => metrics.running += group.total,
        Ok(TaskStatus::Success) => {
            metrics.success += group.total;
            metrics.timed += group.timed;
            metrics.timed_duration_ms += group.timed_duration_ms;
        }
        Ok(TaskStatus::Failed) => {
            metrics.failed += group.total;
            point.failed = group.total;
        }
        // The constraint on the column allows no other word.
        Err(_) => {}
    }
    if let Some(step) = step {
        step.total += point.total;
        step.failed += point.failed;
    }
}

fn derived(mut metrics: TaskMetrics) -> TaskMetrics {
    metrics.derive();
    metrics
}
