use std::sync::Arc;

use leptos::prelude::*;
use taskscope_wire::{Series, SeriesStep};

use super::{
    frame::{Frame, Table},
    scale::{self, Scale},
    shape,
};
use crate::components::format;

/// What stands where nobody looked.
const NOT_LOOKED: &str = "Queues were not looked at in this window yet";
/// What stands where somebody looked and nothing waited.
const NONE_WAITED: &str = "Nothing waited in this window";

/// How many executions waited.
#[component]
pub fn DepthChart(
    /// The series.
    #[prop(into)]
    series: Signal<Arc<Series>>,
) -> impl IntoView {
    view! { <QueueChart series what=DEPTH/> }
}

/// How long the oldest of them had waited.
#[component]
pub fn AgeChart(
    /// The series.
    #[prop(into)]
    series: Signal<Arc<Series>>,
) -> impl IntoView {
    view! { <QueueChart series what=AGE/> }
}

/// One of the two.
#[derive(Clone, Copy)]
struct What {
    name: &'static str,
    title: &'static str,
    value: fn(&SeriesStep) -> Option<i64>,
    scale: fn(i64) -> Scale,
    write: fn(i64) -> String,
    head: &'static [&'static str],
}

const DEPTH: What = What {
    name: "depth",
    title: "Queue depth",
    value: |step| step.queue_depth,
    scale: scale::counts,
    write: |depth| format!("{} waiting", format::grouped(depth)),
    head: &["Step (UTC)", "Most that waited at once"],
};

const AGE: What = What {
    name: "age",
    title: "Age of the oldest waiting",
    value: |step| step.oldest_waiting_ms,
    scale: |ms| scale::durations(ms as f64),
    write: |ms| format!("the oldest waited {}", format::duration(ms as f64)),
    head: &["Step (UTC)", "Longest that one had waited"],
};

#[component]
fn QueueChart(series: Signal<Arc<Series>>, what: What) -> impl IntoView {
    let steps = Memo::new(move |_| series.with(|series| series.steps.iter().map(what.value).collect::<Vec<_>>()));
    let most = Memo::new(move |_| steps.with(|steps| steps.iter().copied().flatten().max()));
    let axis = Memo::new(move |_| (what.scale)(most.get().unwrap_or_default()));
    let top = move || axis.with(|axis| axis.top);
    let area = move || steps.with(|steps| shape::band(steps.iter().map(|value| value.map(|value| (0.0, value as f64))), top()));
    let line = move || steps.with(|steps| shape::line(steps.iter().map(|value| value.map(|value| value as f64)), top()));
    let table = Table {
        head: what.head,
        version: Memo::new(move |_| series.with(|series| series.generated_at)),
        rows: Callback::new(move |()| series.with(|series| values(series, what))),
    };
    let empty = move || match most.get() {
        None => Some(NOT_LOOKED),
        Some(0) => Some(NONE_WAITED),
        Some(_) => None,
    };
    view! {
        <Frame
            name=what.name
            title=what.title
            summary=Signal::derive(move || series.with(|series| describe(series, what, most.get())))
            empty=Signal::derive(empty)
            marks=Signal::derive(move || axis.with(|axis| axis.marks.clone()))
            times=Memo::new(move |_| series.with(|series| scale::steps_of(series)))
            columns=Memo::new(move |_| steps.with(Vec::len))
            read=Callback::new(move |step| series.with(|series| read(series, what, step)))
            table
            legend=().into_any()
        >
            <path class="chart-area" data-status="pending" d=area></path>
            <path class="chart-line" data-status="pending" data-line="value" d=line></path>
        </Frame>
    }
}

fn describe(series: &Series, what: What, most: Option<i64>) -> String {
    let most = most.map_or_else(|| "not known".to_owned(), what.write);
    format!("{} over time since {} UTC; at most: {most}. The last step still fills.", what.title, format::minute(series.start))
}

fn read(series: &Series, what: What, step: usize) -> String {
    let value = series.steps.get(step).and_then(what.value);
    format!("{} · {}", scale::step_of(series, step), value.map_or_else(|| "nobody looked".to_owned(), what.write))
}

fn values(series: &Series, what: What) -> Vec<Vec<String>> {
    let row = |(step, counts): (usize, &SeriesStep)| {
        vec![scale::step_of(series, step), (what.value)(counts).map_or_else(|| format::NONE.to_owned(), what.write)]
    };
    series.steps.iter().enumerate().rev().map(row).collect()
}
