use std::sync::Arc;

use leptos::prelude::*;
use taskscope_wire::{Series, SeriesStep, TaskStatus};

use super::{
    NOTHING,
    frame::{Frame, Table},
    scale, shape,
};
use crate::components::format;

/// The layers from the lowest: what failed stands on the base line, where few can be told from none.
const LAYERS: [TaskStatus; 4] = [TaskStatus::Failed, TaskStatus::Success, TaskStatus::Running, TaskStatus::Pending];

/// Executions by the step that they were created in, stacked by status.
#[component]
pub fn ThroughputChart(
    /// The series.
    #[prop(into)]
    series: Signal<Arc<Series>>,
    /// Whether it is the small one of the Overview.
    #[prop(optional)]
    small: bool,
) -> impl IntoView {
    let most = move || series.with(|series| series.steps.iter().map(SeriesStep::total).max());
    let axis = Memo::new(move |_| scale::counts(most().unwrap_or_default()));
    let outlines = Memo::new(move |_| {
        let top = axis.with(|axis| axis.top);
        series.with(|series| shape::stacked(series.steps.iter().map(|step| LAYERS.map(|status| step.count(status))), top))
    });
    let layers = LAYERS.into_iter().enumerate().map(move |(layer, status)| {
        let d = move || outlines.with(|outlines| outlines[layer].clone());
        view! { <path class="chart-layer" data-status=status.as_str() fill=fill(status) d=d></path> }
    });
    let table = Table {
        head: &["Step (UTC)", "Executions", "Failed", "Success", "Active", "Queued"],
        version: Memo::new(move |_| series.with(|series| series.generated_at)),
        rows: Callback::new(move |()| series.with(|series| values(series))),
    };
    view! {
        <Frame
            name="throughput"
            title="Executions"
            summary=Signal::derive(move || series.with(|series| describe(series)))
            empty=Signal::derive(move || (most().unwrap_or_default() == 0).then_some(NOTHING))
            marks=Signal::derive(move || axis.with(|axis| axis.marks.clone()))
            times=Memo::new(move |_| series.with(|series| scale::steps_of(series)))
            columns=Memo::new(move |_| series.with(|series| series.steps.len()))
            read=Callback::new(move |step| series.with(|series| read(series, step)))
            table
            legend=view! { <Legend/> }.into_any()
            small
        >
            {layers.collect_view()}
        </Frame>
    }
}

/// How a layer is filled. Each differs from the others without its colour too.
fn fill(status: TaskStatus) -> String {
    format!("url(#fill-{})", status.as_str())
}

/// The stripes of a layer, level, so that they stay even when the drawing is stretched.
const fn stripes(status: TaskStatus) -> &'static str {
    match status {
        TaskStatus::Failed => "M0 0h1v4.4h-1z",
        TaskStatus::Success => "M0 0h1v6h-1z",
        TaskStatus::Running => "M0 0h1v1.6h-1zM0 3h1v1.6h-1z",
        TaskStatus::Pending => "M0 0h1v0.8h-1z",
    }
}

#[component]
fn Patterns() -> impl IntoView {
    let pattern = |status: TaskStatus| {
        let id = format!("fill-{}", status.as_str());
        view! {
            <pattern id=id width="1" height="6" patternUnits="userSpaceOnUse" data-status=status.as_str()>
                <path class="chart-ground" d="M0 0h1v6h-1z"></path>
                <path class="chart-stripes" d=stripes(status)></path>
            </pattern>
        }
    };
    view! { <svg class="chart-defs" aria-hidden="true">{LAYERS.map(pattern).into_iter().collect_view()}</svg> }
}

#[component]
fn Legend() -> impl IntoView {
    let entry = |status: TaskStatus| {
        view! {
            <li data-status=status.as_str()>
                <svg class="chart-swatch" viewBox="0 0 1 8" preserveAspectRatio="none" aria-hidden="true">
                    <path class="chart-layer" fill=fill(status) d="M0 0h1v8h-1z"></path>
                </svg>
                {status.label()}
            </li>
        }
    };
    view! {
        <Patterns/>
        <ul class="chart-legend">
            {LAYERS.into_iter().map(entry).collect_view()}
            <li>
                <svg class="chart-swatch" viewBox="0 0 1 8" preserveAspectRatio="none" aria-hidden="true">
                    <path class="chart-filling" d="M0 0h1v8h-1z"></path>
                </svg>
                "Still filling"
            </li>
        </ul>
    }
}

fn describe(series: &Series) -> String {
    let sum = series.sum();
    let rate = sum.success_rate().map_or_else(|| format::NONE.to_owned(), format::percent);
    format!(
        "Executions over time since {} UTC: {} in all, {} failed, {rate} successful. The last step still fills.",
        format::minute(series.start),
        format::grouped(sum.total()),
        format::grouped(sum.failed),
    )
}

fn read(series: &Series, step: usize) -> String {
    let Some(counts) = series.steps.get(step) else { return String::new() };
    let parts: Vec<_> = LAYERS
        .into_iter()
        .filter(|status| counts.count(*status) > 0)
        .map(|status| format!("{} {}", format::grouped(counts.count(status)), status.label().to_ascii_lowercase()))
        .collect();
    let parts = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
    format!("{} · {} executions{parts}", scale::step_of(series, step), format::grouped(counts.total()))
}

fn values(series: &Series) -> Vec<Vec<String>> {
    let row = |(step, counts): (usize, &SeriesStep)| {
        let counted = LAYERS.map(|status| format::grouped(counts.count(status)));
        [scale::step_of(series, step), format::grouped(counts.total())].into_iter().chain(counted).collect()
    };
    series.steps.iter().enumerate().rev().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_differ_without_their_colours() {
        assert_eq!(std::collections::HashSet::from(LAYERS.map(stripes)).len(), LAYERS.len());
    }
}
