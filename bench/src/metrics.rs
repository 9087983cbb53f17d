//! The Overview and what it shows.

use anyhow::{Context, bail};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use taskscope_wire::{Metrics, Quantiles};

use crate::{
    data::{DataSet, KINDS},
    figure::{Figure, Samples, size_word},
    program::Program,
};

const ROUNDS: usize = 40;
const METRICS: &str = "/api/v1/monitoring/metrics";
/// The bars: how much less than the SQL percentiles may take, and how wrong they may be.
const PERCENTILES: f64 = 1.0 / 50.0;
const ERROR: f64 = 0.01;

pub(crate) async fn measure(set: &DataSet) -> anyhow::Result<Vec<Figure>> {
    let size = size_word(set.rows);
    let series = format!("/api/v1/monitoring/series?time_window=168&task_name={}", KINDS[0].name);
    let cases = [
        (format!("`GET /monitoring`, whole HTML with real numbers, {size}"), "/monitoring", Some(50.0)),
        (format!("`GET /monitoring/history`, whole HTML, {size}"), "/monitoring/history", None),
        (format!("metrics of 24 h, {size}"), METRICS, Some(10.0)),
        (format!("series of a task type, 7 days, {size}"), &series, None),
    ];
    let mut figures = Vec::new();
    for (what, path, bar) in cases {
        figures.push(one(&set.program, &what, path, bar).await);
    }
    Ok(figures)
}

async fn one(program: &Program, what: &str, path: &str, bar: Option<f64>) -> Figure {
    let samples = async {
        program.get(path).await?;
        Samples::of(ROUNDS, async |_| program.get(path).await.map(drop)).await
    };
    match (samples.await, bar) {
        (Ok(samples), Some(bar)) => Figure::new(what, samples.text()).bar(format!("p95 ≤ {bar} ms"), samples.p95() <= bar),
        (Ok(samples), None) => Figure::new(what, samples.text()),
        (Err(error), _) => Figure::failed(what, &error),
    }
}

/// How all task types did in a week.
pub(crate) async fn percentiles(set: &DataSet) -> anyhow::Result<Figure> {
    let path = format!("{METRICS}?time_window=168");
    let metrics: Metrics = set.program.ask(&path).await?;
    let ours = Samples::of(ROUNDS, async |_| set.program.get(&path).await.map(drop)).await?;
    let Errors { largest: error, types, window } = errors(set, &metrics).await?;
    let theirs = Samples::of(3, async |_| {
        sqlx::query(
            "select task_name, percentile_cont(array[0.5, 0.95, 0.99]) within group (order by duration_ms)
             from task_execution_logs where created_at >= $1 and status = 'success' group by 1",
        )
        .bind(metrics.generated_at - TimeDelta::hours(168))
        .fetch_all(&set.program.pool)
        .await?;
        Ok(())
    })
    .await?;
    let ratio = ours.p50() / theirs.p50();
    let what = format!(
        "counts and p50/p95/p99 of {types} task types, 7 days {window}; largest error against `percentile_disc`: {:.2} %",
        error * 100.0
    );
    let met = ratio <= PERCENTILES && error <= ERROR;
    Ok(Figure::new(what, ours.text())
        .against(format!("`percentile_cont`: {}", theirs.text()), ratio)
        .bar("≤ 1/50, error ≤ 1 %", met))
}

/// How far percentiles are off.
struct Errors {
    largest: f64,
    /// Of how many task types.
    types: usize,
    /// Which executions they are of.
    window: &'static str,
}

/// Where run times are of whole hours, as the metrics document of busy logs, they are compared with those of the same hours.
async fn errors(set: &DataSet, metrics: &Metrics) -> anyhow::Result<Errors> {
    let start = metrics.generated_at - TimeDelta::hours(168);
    let windows =
        [(start, "to the microsecond"), (start.duration_trunc(TimeDelta::hours(1))?, "from the beginning of an hour on")];
    for (start, window) in windows {
        if let Some((largest, types)) = largest_error(set, metrics, start).await? {
            return Ok(Errors { largest, types, window });
        }
    }
    bail!(
        "the metrics count other numbers of timed executions than Postgres, in the window and from the beginning of its first hour on"
    )
}

/// The largest relative error of a percentile, and of how many task types they are; none where the metrics are not of as many executions.
async fn largest_error(set: &DataSet, metrics: &Metrics, start: DateTime<Utc>) -> anyhow::Result<Option<(f64, usize)>> {
    let exact: Vec<(String, i64, Vec<i64>)> = sqlx::query_as(
        "select task_name, count(*), percentile_disc(array[0.5, 0.95, 0.99]) within group (order by duration_ms)
         from task_execution_logs
         where created_at >= $1 and created_at <= $2 and status = 'success' and duration_ms is not null group by 1",
    )
    .bind(start)
    .bind(metrics.generated_at)
    .fetch_all(&set.program.pool)
    .await?;
    let mut largest = 0.0_f64;
    for (name, count, exact) in &exact {
        let task = metrics.metrics.iter().find(|task| task.task_name == *name);
        let run: Quantiles = task.and_then(|task| task.run).with_context(|| format!("metrics have no run times of {name}"))?;
        if run.count != *count {
            return Ok(None);
        }
        for (ours, exact) in [run.p50_ms, run.p95_ms, run.p99_ms].into_iter().zip(exact) {
            largest = largest.max((ours - *exact as f64).abs() / (*exact as f64).max(1.0));
        }
    }
    Ok(Some((largest, exact.len())))
}
