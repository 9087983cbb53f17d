use std::fmt::Write as _;

use leptos::prelude::*;
use taskscope_wire::TrendPoint;

const HEIGHT: f64 = 28.0;
/// The lowest bar of a step in which anything happened.
const LEAST: f64 = 2.0;
/// A step's bar and the gap behind it.
const STEP: usize = 4;
const BAR: usize = 3;

/// Executions over time as bars, the failed part of each marked.
#[component]
pub fn Trend(
    /// The steps, oldest first.
    #[prop(into)]
    points: Signal<Vec<TrendPoint>>,
    /// How long all steps together last, such as `24 hours`.
    #[prop(into)]
    span: Signal<String>,
) -> impl IntoView {
    let points = Memo::new(move |_| points.get());
    let width = points.with_untracked(|points| points.len().max(1) * STEP - (STEP - BAR));
    view! {
        <svg
            class="trend"
            viewBox=format!("0 0 {width} {HEIGHT}")
            preserveAspectRatio="none"
            role="img"
            aria-label=move || points.with(|points| describe(points, &span.read()))
        >
            <path class="trend-base" d=format!("M0 {HEIGHT}H{width}")></path>
            <path class="trend-total" d=move || points.with(|points| bars(points, |point| point.total))></path>
            <path class="trend-failed" data-status="failed" d=move || points.with(|points| bars(points, |point| point.failed))></path>
        </svg>
    }
}

fn describe(points: &[TrendPoint], span: &str) -> String {
    let total: i64 = points.iter().map(|point| point.total).sum();
    let failed: i64 = points.iter().map(|point| point.failed).sum();
    format!("Last {span}: {total} executions, {failed} failed")
}

/// The bars of one kind, each a rectangle that stands on the base line.
fn bars(points: &[TrendPoint], count: fn(&TrendPoint) -> i64) -> String {
    let most = points.iter().map(|point| point.total).max().unwrap_or_default().max(1) as f64;
    let mut path = String::new();
    for (at, point) in points.iter().enumerate().filter(|(_, point)| count(point) > 0) {
        let height = (count(point) as f64 / most * HEIGHT).max(LEAST);
        let _ = write!(path, "M{} {HEIGHT}v-{height:.1}h{BAR}v{height:.1}z", at * STEP);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stand_on_the_base_line() {
        let points = [TrendPoint { total: 4, failed: 1 }, TrendPoint::default(), TrendPoint { total: 2, failed: 0 }];
        assert_eq!(bars(&points, |point| point.total), "M0 28v-28.0h3v28.0zM8 28v-14.0h3v14.0z");
        assert_eq!(bars(&points, |point| point.failed), "M0 28v-7.0h3v7.0z");
        assert_eq!(describe(&points, "24 hours"), "Last 24 hours: 6 executions, 1 failed");
    }
}
