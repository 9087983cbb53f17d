//! How deep queues are and were: looked at while the server runs, since the log doesn't say afterwards.

use chrono::{DateTime, DurationRound, TimeDelta, Timelike, Utc};
use sqlx::{Postgres, Transaction};
use taskscope_wire::Series;

use super::{Store, StoreError};

/// The name under which all task types together stand. No task type is named so: it says, too, that somebody looked.
const ALL: &str = "";

impl Store {
    /// Notes how many executions wait, and how long the oldest of them has waited. What was noted in the same minute stays where it was
    /// more, so that any number of servers may look.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn sample_queues(&self, at: DateTime<Utc>) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into queue_samples as kept (hour, task_name, depth, oldest_ms)
             select $1, coalesce(task_name, $3),
                 array_fill(null::integer, array[$2 - 1]) || count(*)::integer || array_fill(null::integer, array[60 - $2]),
                 array_fill(null::bigint, array[$2 - 1])
                     || greatest(0, floor(1000 * extract(epoch from $4 - coalesce(min(since), $4))))::bigint
                     || array_fill(null::bigint, array[60 - $2])
             from task_active where status = 'pending'
             group by grouping sets ((task_name), ())
             on conflict (hour, task_name) do update set
                 depth[$2] = greatest(kept.depth[$2], excluded.depth[$2]),
                 oldest_ms[$2] = greatest(kept.oldest_ms[$2], excluded.oldest_ms[$2])",
            hour_of(at),
            at.minute() as i32 + 1,
            ALL,
            at,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Deletes what was noted in hours that ended before this time.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn forget_queue_samples(&self, cutoff: DateTime<Utc>) -> Result<(), StoreError> {
        sqlx::query!("delete from queue_samples where hour < $1", cutoff - TimeDelta::hours(1)).execute(&self.pool).await?;
        Ok(())
    }
}

/// Fills in what waits now and what waited at each step.
pub(super) async fn read_queue(
    tx: &mut Transaction<'static, Postgres>,
    task_name: Option<&str>,
    series: &mut Series,
) -> Result<(), StoreError> {
    let now = sqlx::query!(
        r#"select count(*) as "waiting!", min(since) as oldest from task_active
           where status = 'pending' and ($1::text is null or task_name = $1)"#,
        task_name,
    )
    .fetch_one(&mut **tx)
    .await?;
    let samples = sqlx::query_as!(
        Sample,
        r#"select hour, task_name <> $3 as "own!", depth as "depth: Vec<Option<i32>>", oldest_ms as "oldest_ms: Vec<Option<i64>>"
           from queue_samples where hour >= $1 and task_name in ($2, $3) order by hour"#,
        hour_of(series.start),
        task_name.unwrap_or(ALL),
        ALL,
    )
    .fetch_all(&mut **tx)
    .await?;
    series.waiting = now.waiting;
    series.oldest_waiting_since = now.oldest;
    let is_all = task_name.is_none();
    samples.iter().for_each(|sample| note(series, sample, is_all));
    if let Some(last) = series.steps.last_mut() {
        last.queue_depth = last.queue_depth.max(Some(now.waiting));
        let oldest = now.oldest.map_or(0, |since| (series.generated_at - since).num_milliseconds().max(0));
        last.oldest_waiting_ms = last.oldest_waiting_ms.max(Some(oldest));
    }
    Ok(())
}

/// What was noted in an hour.
struct Sample {
    hour: DateTime<Utc>,
    /// Whether it is of one task type.
    own: bool,
    depth: Vec<Option<i32>>,
    oldest_ms: Vec<Option<i64>>,
}

fn note(series: &mut Series, sample: &Sample, is_all: bool) {
    // A minute in which somebody looked and saw none of a task type has no entry of its own.
    let counts = sample.own || is_all;
    for (minute, (depth, oldest_ms)) in sample.depth.iter().zip(&sample.oldest_ms).enumerate() {
        let at = sample.hour + TimeDelta::minutes(minute as i64);
        let (Some(depth), Some(oldest_ms)) = (*depth, *oldest_ms) else { continue };
        let Some(step) = series.step_of(at).and_then(|step| series.steps.get_mut(step)) else { continue };
        step.queue_depth = step.queue_depth.max(Some(if counts { i64::from(depth) } else { 0 }));
        step.oldest_waiting_ms = step.oldest_waiting_ms.max(Some(if counts { oldest_ms } else { 0 }));
    }
}

fn hour_of(at: DateTime<Utc>) -> DateTime<Utc> {
    // It fails for times that no clock gives.
    at.duration_trunc(TimeDelta::hours(1)).unwrap_or(at)
}
