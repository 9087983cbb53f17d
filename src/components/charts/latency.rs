use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use leptos::prelude::*;
use taskscope_wire::{Quantiles, Series, TimesStep};

use super::{
    frame::{Frame, Table},
    scale, shape,
};
use crate::components::format;

/// Which time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measured {
    /// How long successful executions ran.
    Run,
    /// From queued to started.
    Wait,
}

impl Measured {
    const fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Wait => "wait",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Run => "Run time",
            Self::Wait => "Waiting time",
        }
    }

    const fn nothing(self) -> &'static str {
        match self {
            Self::Run => "No successful execution in this window says how long it ran",
            Self::Wait => "No execution in this window says how long it waited",
        }
    }

    const fn of(self, step: &TimesStep) -> Option<Quantiles> {
        match self {
            Self::Run => step.run,
            Self::Wait => step.wait,
        }
    }
}

/// A percentile: its word and its value in milliseconds.
type Percentile = (&'static str, fn(&Quantiles) -> f64);

/// What is drawn as lines.
const LINES: [Percentile; 3] = [("p50", |times| times.p50_ms), ("p95", |times| times.p95_ms), ("p99", |times| times.p99_ms)];

/// How long executions took: the middle, the slowest twentieth and the slowest hundredth as a band.
#[component]
pub fn LatencyChart(
    /// The series.
    #[prop(into)]
    series: Signal<Arc<Series>>,
    /// Which time is drawn.
    measured: Measured,
) -> impl IntoView {
    let steps = Memo::new(move |_| series.with(|series| series.times.iter().map(|step| measured.of(step)).collect::<Vec<_>>()));
    let most = Memo::new(move |_| steps.with(|steps| steps.iter().flatten().map(|times| times.p99_ms).reduce(f64::max)));
    let axis = Memo::new(move |_| scale::durations(most.get().unwrap_or_default()));
    let top = move || axis.with(|axis| axis.top);
    let band = move |lower: fn(&Quantiles) -> f64, upper: fn(&Quantiles) -> f64| {
        let bounds = |times: &Option<Quantiles>| times.as_ref().map(|times| (lower(times), upper(times)));
        steps.with(|steps| shape::band(steps.iter().map(bounds), top()))
    };
    let lines = LINES.map(|(word, value)| {
        let d = move || steps.with(|steps| shape::line(steps.iter().map(|times| times.as_ref().map(value)), top()));
        view! { <path class="chart-line" data-line=word d=d></path> }
    });
    let table = Table {
        head: &["Step (UTC)", "Measured", "p50", "p95", "p99"],
        version: Memo::new(move |_| series.with(|series| series.generated_at)),
        rows: Callback::new(move |()| series.with(|series| values(series, measured))),
    };
    view! {
        <Frame
            name=measured.name()
            title=measured.title()
            summary=Signal::derive(move || series.with(|series| describe(series, measured)))
            empty=Signal::derive(move || most.get().is_none().then_some(measured.nothing()))
            marks=Signal::derive(move || axis.with(|axis| axis.marks.clone()))
            times=Memo::new(move |_| {
                series.with(|series| scale::times(series.times_start, series.times_step_seconds, series.times.len()))
            })
            columns=Memo::new(move |_| steps.with(Vec::len))
            read=Callback::new(move |step| series.with(|series| read(series, measured, step)))
            table
            legend=view! { <Legend/> }.into_any()
        >
            <path class="chart-band" data-band="99" d=move || band(|times| times.p95_ms, |times| times.p99_ms)></path>
            <path class="chart-band" data-band="95" d=move || band(|times| times.p50_ms, |times| times.p95_ms)></path>
            {lines.into_iter().collect_view()}
        </Frame>
    }
}

#[component]
fn Legend() -> impl IntoView {
    let entry = |(word, _): Percentile| {
        view! {
            <li>
                <svg class="chart-swatch" viewBox="0 0 18 12" aria-hidden="true">
                    <path class="chart-line" data-line=word d="M0 6H18"></path>
                </svg>
                {word}
            </li>
        }
    };
    view! { <ul class="chart-legend">{LINES.into_iter().map(entry).collect_view()}</ul> }
}

fn in_words(times: &Quantiles) -> String {
    let lines = LINES.map(|(word, value)| format!("{word} {}", format::percentile(value(times))));
    format!("{}, of {}", lines.join(", "), format::grouped(times.count))
}

fn describe(series: &Series, measured: Measured) -> String {
    let all = measured.of(&series.all_times).map_or_else(|| "nothing was measured".to_owned(), |times| in_words(&times));
    format!("{} over time since {} UTC: {all}. The last step still fills.", measured.title(), format::minute(series.times_start))
}

fn start_of(series: &Series, step: usize) -> DateTime<Utc> {
    series.times_start + TimeDelta::seconds(i64::from(series.times_step_seconds) * step as i64)
}

fn step_of(series: &Series, step: usize) -> String {
    let steps = series.times.len();
    scale::with_state(scale::step_in_words(start_of(series, step), series.times_step_seconds, steps), step, steps)
}

fn read(series: &Series, measured: Measured, step: usize) -> String {
    let Some(times) = series.times.get(step) else { return String::new() };
    let words = measured.of(times).map_or_else(|| "nothing measured".to_owned(), |times| in_words(&times));
    format!("{} · {words}", step_of(series, step))
}

fn values(series: &Series, measured: Measured) -> Vec<Vec<String>> {
    let row = |(step, times): (usize, &TimesStep)| {
        let times = measured.of(times);
        let lines = LINES
            .map(|(_, value)| times.as_ref().map_or_else(|| format::NONE.to_owned(), |times| format::percentile(value(times))));
        let count = format::grouped(times.map_or(0, |times| times.count));
        [step_of(series, step), count].into_iter().chain(lines).collect()
    };
    series.times.iter().enumerate().rev().map(row).collect()
}
