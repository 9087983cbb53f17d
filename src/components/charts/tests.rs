//! Every chart in every state, as the server renders it.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use leptos::prelude::*;
use taskscope_wire::{HourCounts, Quantiles, Series, SeriesStep, TimesStep};

use super::*;

/// 10:30 on a Saturday.
fn start() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_795_257_000)
}

fn times(count: i64, p50_ms: f64) -> TimesStep {
    let run = Some(Quantiles { count, p50_ms, p95_ms: p50_ms * 2.0, p99_ms: p50_ms * 4.0 });
    TimesStep { run, wait: run.map(|run| Quantiles { p50_ms: 3.0, p95_ms: 5.0, p99_ms: 9.0, ..run }) }
}

/// Four steps of a quarter of an hour: a busy one, an empty one, one that nobody looked at, and the last.
fn busy() -> Series {
    let step = |success, failed, running, pending, queue_depth| SeriesStep {
        pending,
        running,
        success,
        failed,
        queue_depth,
        oldest_waiting_ms: queue_depth.map(|depth| depth * 30_000),
    };
    Series {
        task_name: Some("t".to_owned()),
        start: start(),
        generated_at: start() + TimeDelta::minutes(50),
        step_seconds: 900,
        steps: vec![step(1_234, 6, 0, 0, Some(4)), step(0, 0, 0, 0, Some(0)), step(3, 1, 0, 0, None), step(1, 0, 2, 1, Some(1))],
        times_start: start(),
        times_step_seconds: 900,
        times: vec![times(1_234, 100.0), TimesStep::default(), times(3, 50.0), times(1, 75.0)],
        all_times: times(1_238, 90.0),
        ..Series::default()
    }
}

/// The same steps, in which nothing happened.
fn idle() -> Series {
    let (steps, times) = (vec![SeriesStep::default(); 4], vec![TimesStep::default(); 4]);
    Series { steps, times, all_times: TimesStep::default(), ..busy() }
}

fn render<V: IntoView + 'static>(draw: impl FnOnce() -> V) -> String {
    let owner = Owner::new();
    owner.set();
    draw().into_view().to_html()
}

fn all(series: &Series) -> [String; 6] {
    let series = || Signal::stored(Arc::new(series.clone()));
    [
        render(|| view! { <ThroughputChart series=series()/> }),
        render(|| view! { <SuccessChart series=series()/> }),
        render(|| view! { <LatencyChart series=series() measured=Measured::Run/> }),
        render(|| view! { <LatencyChart series=series() measured=Measured::Wait/> }),
        render(|| view! { <DepthChart series=series()/> }),
        render(|| view! { <AgeChart series=series()/> }),
    ]
}

#[test]
fn every_chart_says_what_it_shows_and_that_its_last_step_still_fills() {
    let sentences = [
        "Executions over time since 2026-11-21 10:30 UTC: 1,248 in all, 7 failed, 99.2% successful. The last step still fills.",
        "Success rate over time since 2026-11-21 10:30 UTC: 99.2% of all. The last step still fills.",
        "Run time over time since 2026-11-21 10:30 UTC: p50 90ms, p95 180ms, p99 360ms, of 1,238. The last step still fills.",
        "Waiting time over time since 2026-11-21 10:30 UTC: p50 3ms, p95 5ms, p99 9ms, of 1,238. The last step still fills.",
        "Queue depth over time since 2026-11-21 10:30 UTC; at most: 4 waiting. The last step still fills.",
        "Age of the oldest waiting over time since 2026-11-21 10:30 UTC; at most: the oldest waited 2m 00s. The last step still fills.",
    ];
    let readings = [
        "11:15 – 11:30 (still filling) · 4 executions: 1 success, 2 active, 1 queued",
        "11:15 – 11:30 (still filling) · 25% of 4",
        "11:15 – 11:30 (still filling) · p50 75ms, p95 150ms, p99 300ms, of 1",
        "11:15 – 11:30 (still filling) · p50 3ms, p95 5ms, p99 9ms, of 1",
        "11:15 – 11:30 (still filling) · 1 waiting",
        "11:15 – 11:30 (still filling) · the oldest waited 30s",
    ];
    for ((html, sentence), reading) in all(&busy()).iter().zip(sentences).zip(readings) {
        assert!(html.contains(&format!(r#"role="img" aria-label="{sentence}""#)), "{sentence} in {html}");
        assert!(html.contains(r#"<path d="M3 0.00h1v100.00h-1z" class="chart-filling""#), "{html}");
        assert!(html.contains(&format!(r#"aria-valuetext="{reading}""#)), "{reading} in {html}");
        assert!(html.contains(&format!(r#"class="chart-reading">{reading}"#)), "{reading} in {html}");
        assert!(!html.contains("style="), "the content security policy lets no style through: {html}");
    }
}

#[test]
fn a_chart_without_values_says_why() {
    let sentences = [
        NOTHING,
        NOTHING,
        "No successful execution in this window says how long it ran",
        "No execution in this window says how long it waited",
        "Queues were not looked at in this window yet",
        "Queues were not looked at in this window yet",
    ];
    for (html, sentence) in all(&idle()).iter().zip(sentences) {
        assert!(html.contains(&format!(r#"<p class="chart-empty">{sentence}"#)), "{sentence} in {html}");
        assert!(html.contains(r#"<div hidden class="chart-frame""#), "{html}");
    }
    let looked = vec![SeriesStep { queue_depth: Some(0), oldest_waiting_ms: Some(0), ..SeriesStep::default() }; 4];
    let [.., depth, age] = all(&Series { steps: looked, ..idle() });
    assert!(depth.contains("Nothing waited in this window") && age.contains("Nothing waited in this window"));
    // Before anything is loaded.
    for html in all(&Series::default()) {
        assert!(html.contains(r#"class="chart-empty""#), "{html}");
    }
}

#[test]
fn every_layer_has_its_own_fill_in_the_chart_and_its_legend() {
    let [html, ..] = all(&busy());
    for status in ["failed", "success", "running", "pending"] {
        assert!(html.contains(&format!(r#"id="fill-{status}""#)), "{status} in {html}");
        assert_eq!(html.matches(&format!(r#"fill="url(#fill-{status})""#)).count(), 2, "{html}");
    }
}

#[test]
fn the_week_is_a_table_of_hours() {
    let mut hours = HourCounts { start: start() - TimeDelta::minutes(30), total: vec![0; 168], failed: vec![0; 168] };
    let empty = hours.clone();
    (hours.total[0], hours.failed[0]) = (50, 3);
    let html = render(move || view! { <HeatMap hours=Signal::stored(Arc::new(hours))/> });
    let sentence = "Executions by hour and day of the week, last 7 days, in UTC. Most: Sat 10:00 – 11:00, 50 executions.";
    assert!(html.contains(sentence) && html.contains("≤ 10<") && html.contains("≤ 50<"), "{html}");
    assert!(!html.contains("chart-filling"), "its hours are whole: {html}");
    let html = render(move || view! { <HeatMap hours=Signal::stored(Arc::new(empty))/> });
    assert!(html.contains(&format!(r#"<p class="chart-empty">{NOTHING}"#)), "{html}");
}

#[test]
fn a_skeleton_is_as_large_as_its_chart() {
    assert!(render(|| view! { <ChartSkeleton small=true/> }).contains("data-small"));
    assert!(!render(|| view! { <ChartSkeleton/> }).contains("data-small"));
}
