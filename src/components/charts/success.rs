use std::sync::Arc;

use leptos::prelude::*;
use taskscope_wire::{Series, SeriesStep};

use super::{
    NOTHING,
    frame::{Frame, Table},
    scale, shape,
};
use crate::components::format;

/// Which part of the executions of a step succeeded.
#[component]
pub fn SuccessChart(
    /// The series.
    #[prop(into)]
    series: Signal<Arc<Series>>,
) -> impl IntoView {
    let steps = Memo::new(move |_| series.with(|series| series.steps.iter().map(SeriesStep::success_rate).collect::<Vec<_>>()));
    let axis = scale::percents();
    let (top, marks) = (axis.top, axis.marks);
    let line = move || steps.with(|steps| shape::line(steps.iter().copied(), top));
    let area = move || steps.with(|steps| shape::band(steps.iter().map(|rate| rate.map(|rate| (0.0, rate))), top));
    let table = Table {
        head: &["Step (UTC)", "Success rate", "Executions"],
        version: Memo::new(move |_| series.with(|series| series.generated_at)),
        rows: Callback::new(move |()| series.with(|series| values(series))),
    };
    view! {
        <Frame
            name="success"
            title="Success rate"
            summary=Signal::derive(move || series.with(|series| describe(series)))
            empty=Signal::derive(move || steps.with(|steps| steps.iter().all(Option::is_none)).then_some(NOTHING))
            marks=Signal::stored(marks)
            times=Memo::new(move |_| series.with(|series| scale::steps_of(series)))
            columns=Memo::new(move |_| steps.with(Vec::len))
            read=Callback::new(move |step| series.with(|series| read(series, step)))
            table
            legend=().into_any()
        >
            <path class="chart-area" data-status="success" d=area></path>
            <path class="chart-line" data-status="success" data-line="value" d=line></path>
        </Frame>
    }
}

fn in_words(rate: Option<f64>) -> String {
    rate.map_or_else(|| format::NONE.to_owned(), format::percent)
}

fn describe(series: &Series) -> String {
    let rate = in_words(series.sum().success_rate());
    format!("Success rate over time since {} UTC: {rate} of all. The last step still fills.", format::minute(series.start))
}

fn read(series: &Series, step: usize) -> String {
    let Some(counts) = series.steps.get(step) else { return String::new() };
    let words = match counts.success_rate() {
        Some(rate) => format!("{} of {}", format::percent(rate), format::grouped(counts.total())),
        None => "no executions".to_owned(),
    };
    format!("{} · {words}", scale::step_of(series, step))
}

fn values(series: &Series) -> Vec<Vec<String>> {
    let row = |(step, counts): (usize, &SeriesStep)| {
        vec![scale::step_of(series, step), in_words(counts.success_rate()), format::grouped(counts.total())]
    };
    series.steps.iter().enumerate().rev().map(row).collect()
}
