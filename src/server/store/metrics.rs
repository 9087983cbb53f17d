//! Counts a task type, over a window that ends now.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use taskscope_wire::{Metrics, REGISTERED_TASK_TYPES, TaskMetrics, TaskStatus};

use super::{
    Store, StoreError, position, read,
    rollup::{Block, Times, Window, blocks, names},
};

/// Task names beyond this are no help to whoever must choose one.
const MOST_NAMES: usize = 1000;
/// From so many hours on there is a whole day in any window, and its cells spare those of its hours.
const DAYS_FROM: u32 = 48;

impl Store {
    /// How every task type did in the last `time_window` hours. Registered task types are there even without executions. In windows that begin within a
    /// busy hour run and waiting times are those from the beginning of that hour on; counts are exact.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn metrics(&self, time_window: u32) -> Result<Metrics, StoreError> {
        let generated_at = Utc::now();
        let start = generated_at - TimeDelta::hours(i64::from(time_window));
        read(async {
            let mut tx = self.snapshot().await?;
            let position = position(&mut tx).await?;
            let blocks = blocks(&mut tx, &Window::between(Some(start), None), time_window >= DAYS_FROM, true).await?;
            let mut sums = Sums::new(start, TimeDelta::hours(i64::from(time_window)));
            blocks.iter().try_for_each(|block| sums.add(block))?;
            let active = sqlx::query!(
                r#"select task_name, count(*) filter (where stalled is not null and created_at >= $1) as "stalled!",
                          min(since) filter (where status = 'pending') as oldest_waiting_since
                   from task_active group by 1"#,
                start,
            )
            .fetch_all(&mut *tx)
            .await?;
            let mut metrics = sums.metrics();
            for row in active {
                if let Some(metrics) = metrics.iter_mut().find(|metrics| metrics.task_name == row.task_name) {
                    metrics.stalled = row.stalled;
                    metrics.oldest_waiting_since = row.oldest_waiting_since;
                }
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
        let names = read(async { names(&mut self.snapshot().await?).await }).await?;
        let others = names.into_iter().filter(|name| !REGISTERED_TASK_TYPES.contains(&name.as_str())).take(MOST_NAMES);
        Ok(REGISTERED_TASK_TYPES.map(str::to_owned).into_iter().chain(others).collect())
    }
}

/// What is counted of every task type.
struct Sums {
    start: DateTime<Utc>,
    window: TimeDelta,
    of: BTreeMap<String, (TaskMetrics, Times)>,
}

impl Sums {
    fn new(start: DateTime<Utc>, window: TimeDelta) -> Self {
        let empty = |name: &str| (name.to_owned(), (TaskMetrics::empty(name), Times::default()));
        Self { start, window, of: REGISTERED_TASK_TYPES.iter().map(|name| empty(name)).collect() }
    }

    fn add(&mut self, block: &Block) -> Result<(), StoreError> {
        if !self.of.contains_key(&block.task_name) {
            self.of.insert(block.task_name.clone(), (TaskMetrics::empty(block.task_name.clone()), Times::default()));
        }
        let Some((metrics, times)) = self.of.get_mut(&block.task_name) else { return Ok(()) };
        let sum = block.parts.sum();
        metrics.total_executions += sum.total;
        *count_mut(metrics, block.status) += sum.total;
        if block.status == TaskStatus::Success {
            metrics.timed += sum.timed;
            metrics.timed_duration_ms += sum.timed_ms;
        }
        times.add(block)?;
        let (window, age) = (self.window.num_milliseconds(), (block.start - self.start).num_milliseconds());
        let length = block.grain.part().num_milliseconds();
        for (place, part) in block.parts.iter() {
            // A part belongs to the step in which it begins.
            let step = (age + length * i64::from(place)) * TaskMetrics::TREND_STEPS as i64 / window;
            let step = step.clamp(0, TaskMetrics::TREND_STEPS as i64 - 1) as usize;
            if let Some(point) = metrics.trend.get_mut(step) {
                point.total += part.total;
                point.failed += if block.status == TaskStatus::Failed { part.total } else { 0 };
            }
        }
        Ok(())
    }

    fn metrics(mut self) -> Vec<TaskMetrics> {
        let registered: Vec<_> = REGISTERED_TASK_TYPES.iter().filter_map(|name| self.of.remove(*name)).collect();
        // What was taken back since is no execution.
        let others = self.of.into_values().filter(|(metrics, ..)| metrics.total_executions > 0);
        registered
            .into_iter()
            .chain(others)
            .map(|(mut metrics, times)| {
                (metrics.run, metrics.wait) = (times.run(), times.wait());
                metrics.derive();
                metrics
            })
            .collect()
    }
}

const fn count_mut(metrics: &mut TaskMetrics, status: TaskStatus) -> &mut i64 {
    match status {
        TaskStatus::Pending => &mut metrics.pending,
        TaskStatus::Running => &mut metrics.running,
        TaskStatus::Success => &mut metrics.success,
        TaskStatus::Failed => &mut metrics.failed,
    }
}
