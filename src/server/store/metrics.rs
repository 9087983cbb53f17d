//! Counts a task type, over a window that ends now.

use std::collections::BTreeMap;

use chrono::{TimeDelta, Utc};
use taskscope_wire::{Metrics, REGISTERED_TASK_TYPES, TaskMetrics, TaskStatus};

use super::{Store, StoreError, position, read};

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
                       least(floor(extract(epoch from created_at - $1)::float8 / $2), $3)::integer as "step!",
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
            Ok(Metrics { time_window_hours: time_window, generated_at, position, metrics: collect(groups) })
        })
        .await
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
