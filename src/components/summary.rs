use leptos::prelude::*;
use taskscope_wire::{TaskMetrics, TaskStatus};

use super::{StalledCount, StatusIcon, format, url};

/// The sums over all task types.
#[component]
pub fn Summary(
    /// The sums.
    #[prop(into)]
    totals: Signal<TaskMetrics>,
) -> impl IntoView {
    let count = move |status| Memo::new(move |_| totals.with(|totals| totals.count(status)));
    let rate = Memo::new(move |_| totals.with(|totals| totals.success_rate));
    let stalled = Memo::new(move |_| totals.with(|totals| totals.stalled));
    let statuses = [TaskStatus::Running, TaskStatus::Pending, TaskStatus::Failed].map(|status| {
        let value = count(status);
        view! {
            <div class="summary-item" data-status=status.as_str() data-zero=move || (value.get() == 0).then_some("")>
                <dt><StatusIcon status/><span>{status.label()}</span></dt>
                <dd>
                    <span class="number" data-summary=status.as_str()>{move || format::count(value.get())}</span>
                    {(status == TaskStatus::Running).then(|| view! { <StalledCount count=stalled href=url::stalled(None)/> })}
                </dd>
            </div>
        }
    });
    view! {
        <dl class="summary" data-testid="summary">
            <div class="summary-item">
                <dt>"Executions"</dt>
                <dd class="number" data-summary="total">
                    {move || format::count(totals.with(|totals| totals.total_executions))}
                </dd>
            </div>
            {statuses}
            <div class="summary-item">
                <dt>"Success rate"</dt>
                <dd class="number" data-summary="success_rate">
                    {move || rate.get().map_or_else(|| format::NONE.to_owned(), format::percent)}
                </dd>
            </div>
        </dl>
    }
}
