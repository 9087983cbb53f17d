use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use leptos::prelude::*;
use taskscope_wire::{TaskMetrics, TaskStatus};

use super::{StalledCount, StatusIcon, Trend, format, url};

/// How one task type does: its counts by status, its mean run time, its success rate and its trend.
#[component]
pub fn HealthCard(
    /// The task type.
    task_name: Arc<str>,
    /// Its counts.
    #[prop(into)]
    metrics: Signal<TaskMetrics>,
    /// How long the window is, such as `24 hours`.
    #[prop(into)]
    span: Signal<String>,
    /// What the age of what waits is reckoned to.
    #[prop(into)]
    now: Signal<DateTime<Utc>>,
) -> impl IntoView {
    let statuses = TaskStatus::ALL.map(|status| {
        view! { <StatusCount status metrics href=url::history_of(&task_name, Some(status))/> }
    });
    let metric = move |name, label, value: fn(&TaskMetrics, DateTime<Utc>) -> Option<f64>, write| {
        let value = Memo::new(move |_| metrics.with(|metrics| value(metrics, now.get())));
        view! {
            <div>
                <dt>{label}</dt>
                <dd><Metric name value write/></dd>
            </div>
        }
    };
    view! {
        <article class="health-card" data-testid="health-card" data-task-name=task_name.to_string() data-state=state_of(metrics)>
            <h3 class="health-card-name">
                <a href=url::task_type(&task_name)>{task_name.to_string()}</a>
                <StalledCount
                    count=Memo::new(move |_| metrics.with(|metrics| metrics.stalled))
                    href=url::stalled(Some(&task_name))
                />
            </h3>
            <Trend points=Signal::derive(move || metrics.with(|metrics| metrics.trend.clone())) span/>
            <div class="health-card-counts">{statuses}</div>
            <dl class="health-card-metrics">
                <div>
                    <dt>"Total"</dt>
                    <dd><Count name="total" value=Memo::new(move |_| metrics.with(|metrics| metrics.total_executions))/></dd>
                </div>
                {metric("avg_duration_ms", "Avg duration", |metrics, _| metrics.avg_duration_ms, format::duration)}
                {metric("success_rate", "Success rate", |metrics, _| metrics.success_rate, format::percent)}
                {metric("oldest_waiting_ms", "Oldest waits", oldest_ms, in_seconds)}
                {metric("run_p95_ms", "p95 duration", |metrics, _| metrics.run.map(|run| run.p95_ms), format::percentile)}
                {metric("wait_p95_ms", "p95 waited", |metrics, _| metrics.wait.map(|wait| wait.p95_ms), format::percentile)}
            </dl>
        </article>
    }
}

/// How long the oldest of those that wait has.
fn oldest_ms(metrics: &TaskMetrics, now: DateTime<Utc>) -> Option<f64> {
    let since = metrics.oldest_waiting_since.filter(|_| metrics.pending > 0)?;
    Some((now - since).num_milliseconds().max(0) as f64)
}

fn in_seconds(ms: f64) -> String {
    format::span(TimeDelta::milliseconds(ms as i64))
}

/// What a card wants of its reader: nothing where nothing happened.
fn state_of(metrics: Signal<TaskMetrics>) -> Memo<&'static str> {
    Memo::new(move |_| {
        metrics.with(|metrics| match metrics {
            metrics if metrics.failed > 0 => "failing",
            metrics if metrics.running + metrics.pending > 0 => "active",
            metrics if metrics.total_executions > 0 => "healthy",
            _ => "idle",
        })
    })
}

#[component]
fn StatusCount(status: TaskStatus, metrics: Signal<TaskMetrics>, href: String) -> impl IntoView {
    let value = Memo::new(move |_| metrics.with(|metrics| metrics.count(status)));
    view! {
        <a class="health-card-count" href=href data-status=status.as_str() data-zero=move || (value.get() == 0).then_some("")>
            <span class="health-card-label">
                <StatusIcon status/>
                <span>{status.label()}</span>
            </span>
            <Count name=status.as_str() value/>
        </a>
    }
}

#[component]
fn Count(name: &'static str, value: Memo<i64>) -> impl IntoView {
    view! {
        <span class="number" data-count=name data-value=move || value.get().to_string()>
            {move || format::count(value.get())}
        </span>
    }
}

#[component]
fn Metric(name: &'static str, value: Memo<Option<f64>>, write: fn(f64) -> String) -> impl IntoView {
    view! {
        <span class="number" data-metric=name data-value=move || value.get().map(|value| value.to_string())>
            {move || value.get().map_or_else(|| format::NONE.to_owned(), write)}
        </span>
    }
}

#[cfg(test)]
#[cfg(feature = "ssr")]
mod tests {
    use super::*;

    fn card(metrics: TaskMetrics) -> String {
        let owner = Owner::new();
        owner.set();
        let task_name = metrics.task_name.as_str().into();
        let now = Signal::stored(DateTime::UNIX_EPOCH + TimeDelta::hours(1));
        view! { <HealthCard task_name metrics=Signal::stored(metrics) span="24 hours" now/> }.to_html()
    }

    #[test]
    fn scenario_5_reads_as_the_quickstart_says() {
        let mut metrics = TaskMetrics::empty("test_task");
        for ms in [100, 200, 300] {
            metrics.add(TaskStatus::Success, Some(ms), 1);
        }
        metrics.add(TaskStatus::Failed, Some(150), 1);
        let html = card(metrics);
        for part in [
            r#"data-task-name="test_task""#,
            r#"data-state="failing""#,
            r#"data-count="total" data-value="4" class="number">4<"#,
            r#"data-count="success" data-value="3" class="number">3<"#,
            r#"data-count="failed" data-value="1" class="number">1<"#,
            r#"data-metric="avg_duration_ms" data-value="200" class="number">200ms<"#,
            r#"data-metric="success_rate" data-value="75" class="number">75%<"#,
            r#"href="/monitoring/history?task_name=test_task&amp;status=failed""#,
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
    }

    #[test]
    fn an_idle_card_has_dashes() {
        let html = card(TaskMetrics::empty("t"));
        assert!(
            html.contains(r#"data-state="idle""#) && html.contains(r#"data-metric="success_rate" class="number">–<"#),
            "{html}"
        );
    }
}
