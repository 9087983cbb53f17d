//! How task types did over time, in steps.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use sqlx::{Postgres, Transaction};
use taskscope_wire::{HourCounts, Quantiles, Series, SeriesStep, TimesStep};

use super::{
    Store, StoreError, position,
    queue::read_queue,
    rollup::{Block, Times, Window, blocks},
};

/// Executions whose times are worked out from the log, where steps shorter than an hour are asked for.
const MOST_ROWS: i64 = 50_000;
/// The longest window in which they are.
const SHORT_WINDOW: u32 = 6;
/// Seconds of an hour.
const HOUR: u32 = 3600;
/// Seconds of a day.
const DAY: u32 = 86_400;

impl Store {
    /// How a task type, or all together, did in the last `time_window` hours, in steps of so many seconds: one of
    /// [`taskscope_wire::series_step::ALL`].
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn series(&self, task_name: Option<&str>, time_window: u32, step_seconds: u32) -> Result<Series, StoreError> {
        let generated_at = Utc::now();
        let start = floor(generated_at - TimeDelta::hours(i64::from(time_window)), step_seconds);
        self.read_past(|mut tx| async move {
            let mut series = Series {
                task_name: task_name.map(str::to_owned),
                start,
                generated_at,
                position: position(&mut tx).await?,
                step_seconds,
                steps: vec![SeriesStep::default(); steps_between(start, generated_at, step_seconds)],
                ..Series::default()
            };
            count(&mut tx, &mut series).await?;
            // Times of counted hours are together by the hour. What finer steps need is in the log.
            if time_window <= SHORT_WINDOW && step_seconds < HOUR && series.sum().total() <= MOST_ROWS {
                measure_log(&mut tx, &mut series).await?;
            }
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
        self.read_past(|mut tx| async move {
            // One more takes what came since.
            let steps = vec![SeriesStep::default(); hours as usize + 1];
            let task_name = Some(task_name.to_owned());
            let mut series = Series { task_name, start, step_seconds: HOUR, steps, ..Series::default() };
            let window = window_of(&series, start);
            for block in blocks(&mut tx, &window, true, false).await? {
                add_counts(&mut series, &block);
            }
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

/// Executions of the series' task type that were created since a time.
fn window_of(series: &Series, from: DateTime<Utc>) -> Window {
    Window { task_names: series.task_name.clone().map(|name| vec![name]), ..Window::between(Some(from), None) }
}

/// Fills in the counts of the steps, and the times by the hour or by longer steps.
async fn count(tx: &mut Transaction<'static, Postgres>, series: &mut Series) -> Result<(), StoreError> {
    series.times_step_seconds = series.step_seconds.max(HOUR);
    series.times_start = floor(series.start, series.times_step_seconds);
    let steps = steps_between(series.times_start, series.generated_at, series.times_step_seconds);
    let mut times = vec![Times::default(); steps];
    let mut all = Times::default();
    let days = series.step_seconds == DAY;
    for block in blocks(tx, &window_of(series, series.times_start), days, true).await? {
        add_counts(series, &block);
        all.add(&block)?;
        let step = (block.start - series.times_start).num_seconds() / i64::from(series.times_step_seconds);
        // What was created later counts in the last step: somebody's clock is ahead.
        let step = usize::try_from(step).unwrap_or(0).min(steps - 1);
        times[step].add(&block)?;
    }
    series.times = times.iter().map(quantiles_of).collect();
    series.all_times = quantiles_of(&all);
    Ok(())
}

fn add_counts(series: &mut Series, block: &Block) {
    for (place, part) in block.parts.iter() {
        let at = block.start + block.grain.part() * i32::from(place);
        if let Some(step) = series.step_of(at).and_then(|step| series.steps.get_mut(step)) {
            *step.count_mut(block.status) += part.total;
        }
    }
}

/// The percentiles of a step.
fn quantiles_of(times: &Times) -> TimesStep {
    TimesStep { run: times.run(), wait: times.wait() }
}

/// Works the times out from the log, in the steps of the counts.
async fn measure_log(tx: &mut Transaction<'static, Postgres>, series: &mut Series) -> Result<(), StoreError> {
    (series.times_start, series.times_step_seconds) = (series.start, series.step_seconds);
    series.times = vec![TimesStep::default(); series.steps.len()];
    let length = TimeDelta::seconds(i64::from(series.step_seconds));
    let last = floor(series.generated_at, series.step_seconds);
    let groups = sqlx::query_as!(
        Measured,
        r#"with times as (
               select least(date_bin(make_interval(secs => $3), created_at, $1), $4) as step,
                   case when status = 'success' then duration_ms end as run,
                   case when started_at >= queued_at then floor(1000 * extract(epoch from started_at - queued_at))::bigint
                       when started_at < queued_at then 0 end as wait
               from task_execution_logs
               where created_at >= $1 and ($2::text is null or task_name = $2)
           )
           select step, count(run) as "runs!", count(wait) as "waits!",
               percentile_disc(array[0.5, 0.95, 0.99]) within group (order by run) as run,
               percentile_disc(array[0.5, 0.95, 0.99]) within group (order by wait) as wait
           from times group by grouping sets ((step), ())"#,
        series.start,
        series.task_name.as_deref(),
        f64::from(series.step_seconds),
        last,
    )
    .fetch_all(&mut **tx)
    .await?;
    for group in groups {
        let times = TimesStep { run: quantiles(group.runs, group.run), wait: quantiles(group.waits, group.wait) };
        match group.step {
            None => series.all_times = times,
            Some(at) => {
                let step = usize::try_from((at - series.start).num_seconds() / length.num_seconds()).unwrap_or(0);
                series.times.get_mut(step).into_iter().for_each(|known| *known = times);
            }
        }
    }
    Ok(())
}

/// The times of a step; without one, of all steps.
struct Measured {
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
