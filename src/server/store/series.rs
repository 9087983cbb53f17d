//! How task types did over time, in steps.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use sqlx::{Postgres, Transaction};
use taskscope_wire::{HourCounts, Quantiles, Series, SeriesStep, TaskStatus, TimesStep};

use super::{Store, StoreError, position, queue::read_queue, read};

/// Executions whose times are worked out from the log, where steps shorter than an hour are asked for.
const MOST_ROWS: i64 = 50_000;
/// The longest window in which they are.
const SHORT_WINDOW: u32 = 6;
/// How long the times of counted hours are together, in seconds.
const HOUR: u32 = 3600;

impl Store {
    /// How a task type, or all together, did in the last `time_window` hours, in steps of so many seconds: one of
    /// [`taskscope_wire::series_step::ALL`].
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn series(&self, task_name: Option<&str>, time_window: u32, step_seconds: u32) -> Result<Series, StoreError> {
        let generated_at = Utc::now();
        let start = floor(generated_at - TimeDelta::hours(i64::from(time_window)), step_seconds);
        read(async {
            let mut tx = self.snapshot().await?;
            let mut series = Series {
                task_name: task_name.map(str::to_owned),
                start,
                generated_at,
                position: position(&mut tx).await?,
                step_seconds,
                steps: vec![SeriesStep::default(); steps_between(start, generated_at, step_seconds)],
                ..Series::default()
            };
            count(&mut tx, task_name, &mut series).await?;
            let is_short = time_window <= SHORT_WINDOW && series.sum().total() <= MOST_ROWS;
            series.times_step_seconds = if is_short { step_seconds } else { step_seconds.max(HOUR) };
            series.times_start = floor(start, series.times_step_seconds);
            measure(&mut tx, task_name, &mut series).await?;
            read_queue(&mut tx, task_name, &mut series).await?;
            Ok(series)
        })
        .await
    }

    /// How many executions of a task type were created in each of the last so many whole hours.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn hour_counts(&self, task_name: &str, hours: u32) -> Result<HourCounts, StoreError> {
        let end = floor(Utc::now(), HOUR);
        let start = end - TimeDelta::hours(i64::from(hours));
        read(async {
            let mut tx = self.snapshot().await?;
            // One more takes what came since.
            let steps = vec![SeriesStep::default(); hours as usize + 1];
            let mut series = Series { start, step_seconds: HOUR, steps, ..Series::default() };
            count(&mut tx, Some(task_name), &mut series).await?;
            series.steps.pop();
            Ok(HourCounts {
                start,
                total: series.steps.iter().map(SeriesStep::total).collect(),
                failed: series.steps.iter().map(|step| step.failed).collect(),
            })
        })
        .await
    }
}

/// The last multiple of a step that is not after a time.
fn floor(at: DateTime<Utc>, step_seconds: u32) -> DateTime<Utc> {
    // It fails for times that no clock gives.
    at.duration_trunc(TimeDelta::seconds(i64::from(step_seconds))).unwrap_or(at)
}

/// The steps from `start` to the one that holds `end`.
fn steps_between(start: DateTime<Utc>, end: DateTime<Utc>, step_seconds: u32) -> usize {
    usize::try_from((end - start).num_seconds() / i64::from(step_seconds)).unwrap_or(0) + 1
}

/// Fills in the counts of the steps.
async fn count(tx: &mut Transaction<'static, Postgres>, task_name: Option<&str>, series: &mut Series) -> Result<(), StoreError> {
    let groups = sqlx::query!(
        r#"select date_bin(make_interval(secs => $3), created_at, $1) as "at!", status, count(*) as "total!"
           from task_execution_logs
           where created_at >= $1 and ($2::text is null or task_name = $2)
           group by 1, 2"#,
        series.start,
        task_name,
        f64::from(series.step_seconds),
    )
    .fetch_all(&mut **tx)
    .await?;
    for group in groups {
        // The constraint on the column allows no other word.
        let Ok(status) = group.status.parse::<TaskStatus>() else { continue };
        if let Some(step) = series.step_of(group.at).and_then(|step| series.steps.get_mut(step)) {
            *step.count_mut(status) += group.total;
        }
    }
    Ok(())
}

/// Fills in the times of the steps.
async fn measure(
    tx: &mut Transaction<'static, Postgres>,
    task_name: Option<&str>,
    series: &mut Series,
) -> Result<(), StoreError> {
    measure_log(tx, task_name, series).await
}

/// Works the times out from the log.
async fn measure_log(
    tx: &mut Transaction<'static, Postgres>,
    task_name: Option<&str>,
    series: &mut Series,
) -> Result<(), StoreError> {
    let steps = steps_between(series.times_start, series.generated_at, series.times_step_seconds);
    series.times = vec![TimesStep::default(); steps];
    let length = TimeDelta::seconds(i64::from(series.times_step_seconds));
    // What was created later counts in the last step: somebody's clock is ahead.
    let last = floor(series.generated_at, series.times_step_seconds);
    let groups = sqlx::query_as!(
        Times,
        r#"with times as (
               select least(date_bin(make_interval(secs => $3), created_at, $1), $4) as step,
                   case when status = 'success' then duration_ms end as run,
                   greatest(0, floor(1000 * extract(epoch from started_at - queued_at)))::bigint as wait
               from task_execution_logs
               where created_at >= $1 and ($2::text is null or task_name = $2)
           )
           select step, count(run) as "runs!", count(wait) as "waits!",
               percentile_disc(array[0.5, 0.95, 0.99]) within group (order by run) as run,
               percentile_disc(array[0.5, 0.95, 0.99]) within group (order by wait) as wait
           from times group by grouping sets ((step), ())"#,
        series.times_start,
        task_name,
        f64::from(series.times_step_seconds),
        last,
    )
    .fetch_all(&mut **tx)
    .await?;
    for group in groups {
        let times = TimesStep { run: quantiles(group.runs, group.run), wait: quantiles(group.waits, group.wait) };
        match group.step {
            None => series.all_times = times,
            Some(at) => {
                let step = usize::try_from((at - series.times_start).num_seconds() / length.num_seconds()).unwrap_or(0);
                series.times.get_mut(step).into_iter().for_each(|known| *known = times);
            }
        }
    }
    Ok(())
}

/// The times of a step; without one, of all steps.
struct Times {
    step: Option<DateTime<Utc>>,
    runs: i64,
    run: Option<Vec<i64>>,
    waits: i64,
    wait: Option<Vec<i64>>,
}

fn quantiles(count: i64, ranks: Option<Vec<i64>>) -> Option<Quantiles> {
    let [p50, p95, p99] = ranks?.try_into().ok()?;
    (count > 0).then_some(Quantiles { count, p50_ms: p50 as f64, p95_ms: p95 as f64, p99_ms: p99 as f64 })
}
