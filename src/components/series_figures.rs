use std::sync::Arc;

use chrono::{DateTime, Utc};
use leptos::prelude::*;
use taskscope_wire::{Quantiles, Series};

use super::{clock, format};

/// The figures of a whole series: how many, how well, how long, and what waits now.
#[component]
pub fn SeriesFigures(
    /// The series.
    #[prop(into)]
    series: Signal<Arc<Series>>,
) -> impl IntoView {
    let waits = Memo::new(move |_| series.with(|series| series.waiting > 0));
    let now = clock::seconds(waits.into());
    let sum = Memo::new(move |_| series.with(|series| series.sum()));
    let time = move |value: fn(&Quantiles) -> f64, wait: bool| {
        let times = series.with(|series| if wait { series.all_times.wait } else { series.all_times.run });
        times.as_ref().map_or_else(|| format::NONE.to_owned(), |times| format::percentile(value(times)))
    };
    let figure = |name: &'static str, label: &'static str, value: Signal<String>| {
        view! {
            <div>
                <dt>{label}</dt>
                <dd class="number" data-figure=name>{move || value.get()}</dd>
            </div>
        }
    };
    let times = move |name: &'static str, label: &'static str, value: fn(&Quantiles) -> f64, wait: bool| {
        figure(name, label, Signal::derive(move || time(value, wait)))
    };
    let rate = move || sum.with(|sum| sum.success_rate().map_or_else(|| format::NONE.to_owned(), format::percent));
    view! {
        <dl class="figures panel" data-testid="series-figures">
            {figure("total", "Executions", Signal::derive(move || format::count(sum.with(|sum| sum.total()))))}
            {figure("failed", "Failed", Signal::derive(move || format::count(sum.with(|sum| sum.failed))))}
            {figure("success_rate", "Success rate", Signal::derive(rate))}
            {times("run_p50", "Run time, p50", |times| times.p50_ms, false)}
            {times("run_p95", "Run time, p95", |times| times.p95_ms, false)}
            {times("run_p99", "Run time, p99", |times| times.p99_ms, false)}
            {times("wait_p50", "Waited, p50", |times| times.p50_ms, true)}
            {times("wait_p95", "Waited, p95", |times| times.p95_ms, true)}
            {times("wait_p99", "Waited, p99", |times| times.p99_ms, true)}
            {figure("waiting", "Waiting now", Signal::derive(move || format::count(series.with(|series| series.waiting))))}
            {figure("oldest", "Oldest waits", Signal::derive(move || series.with(|series| oldest(series, now.get()))))}
        </dl>
    }
}

fn oldest(series: &Series, now: Option<DateTime<Utc>>) -> String {
    let since = series.oldest_waiting_since.filter(|_| series.waiting > 0);
    since.map_or_else(|| format::NONE.to_owned(), |since| format::span(now.unwrap_or(series.generated_at) - since))
}

#[cfg(test)]
#[cfg(feature = "ssr")]
mod tests {
    use chrono::TimeDelta;
    use taskscope_wire::{SeriesStep, TimesStep};

    use super::*;

    #[test]
    fn what_is_not_known_is_a_dash() {
        let owner = Owner::new();
        owner.set();
        let times = Quantiles { count: 3, p50_ms: 120.0, p95_ms: 300.0, p99_ms: 301.0 };
        let series = Series {
            steps: vec![SeriesStep { success: 3, failed: 1, ..SeriesStep::default() }; 2],
            all_times: TimesStep { run: Some(times), wait: None },
            waiting: 2,
            oldest_waiting_since: Some(DateTime::UNIX_EPOCH - TimeDelta::seconds(90)),
            ..Series::default()
        };
        let html = view! { <SeriesFigures series=Signal::stored(Arc::new(series))/> }.to_html();
        let figures = [
            ("total", "8"),
            ("failed", "2"),
            ("success_rate", "75%"),
            ("run_p99", "301ms"),
            ("wait_p50", "–"),
            ("oldest", "1m 30s"),
        ];
        for (name, value) in figures {
            assert!(html.contains(&format!(r#"data-figure="{name}" class="number">{value}<"#)), "{name} in {html}");
        }
    }
}
