//! Charts of a series: plain SVG in the colours and shapes of the style sheet, the same on the server and in the browser.
//!
//! Every chart says in a sentence what it shows, has a reading of one step that hovering, touch and arrow keys move, and its values as a table.
//! The last step is drawn as one that still fills. Labels are outside the stretched drawing, so that they stay sharp at any width.

mod frame;
mod heat_map;
mod latency;
mod queue;
mod scale;
mod shape;
mod success;
mod throughput;

#[cfg(all(test, feature = "ssr"))]
mod tests;

pub use heat_map::HeatMap;
pub use latency::{LatencyChart, Measured};
pub use queue::{AgeChart, DepthChart};
pub use success::SuccessChart;
pub use throughput::ThroughputChart;

use leptos::prelude::*;

/// What stands where there is nothing to draw.
const NOTHING: &str = "No executions in this window";

/// Stands for a chart while it loads, in its size.
#[component]
pub fn ChartSkeleton(
    /// Whether it is the small one of the Overview.
    #[prop(optional)]
    small: bool,
) -> impl IntoView {
    view! { <div class="skeleton skeleton-chart" data-small=small.then_some("") role="status" aria-label="Loading"></div> }
}
