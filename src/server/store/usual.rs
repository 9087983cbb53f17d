//! How long task types usually take, from the rollups.

use std::collections::BTreeMap;

use chrono::{DurationRound, TimeDelta, Utc};

use super::{
    Store, StoreError, read,
    rollup::{Times, Window, blocks},
    workers::UsualTime,
};

/// How far back run times tell how long a task type takes. From the beginning of that day on, so that whole days are read.
const LOOK_BACK: TimeDelta = TimeDelta::days(7);
/// Fewer successful executions than this tell nothing about a 99th percentile.
const SMALLEST_SAMPLE: i64 = 20;

impl Store {
    /// The task types of which something runs for longer than this, and how long they usually take.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn usual_times(&self, floor_ms: f64) -> Result<Vec<UsualTime>, StoreError> {
        read(async {
            let mut tx = self.snapshot().await?;
            let slow = sqlx::query_scalar!(
                "select distinct task_name from task_active
                 where status = 'running' and since < now() - interval '1 millisecond' * $1",
                floor_ms,
            );
            let slow = slow.fetch_all(&mut *tx).await?;
            if slow.is_empty() {
                return Ok(Vec::new());
            }
            let from = (Utc::now() - LOOK_BACK).duration_trunc(TimeDelta::days(1)).ok();
            let mut times: BTreeMap<String, Times> = slow.iter().map(|name| (name.clone(), Times::default())).collect();
            let window = Window { task_names: Some(slow), ..Window::between(from, None) };
            for block in blocks(&mut tx, &window, true, true).await? {
                times.get_mut(&block.task_name).map_or(Ok(()), |times| times.add(&block))?;
            }
            let usual = times.into_iter().map(|(task_name, times)| {
                let known = times.run().filter(|run| run.count >= SMALLEST_SAMPLE);
                UsualTime { task_name, p99_ms: known.map(|run| run.p99_ms) }
            });
            Ok(usual.collect())
        })
        .await
    }
}
