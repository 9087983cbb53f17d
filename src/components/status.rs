use leptos::prelude::*;
use taskscope_wire::{StallReason, TaskStatus};

use super::format;

/// The outline of a status's icon in a box of 16: four shapes that differ without colour.
const fn outline(status: TaskStatus) -> &'static str {
    match status {
        TaskStatus::Pending => "M8 1.75a6.25 6.25 0 1 0 0 12.5a6.25 6.25 0 1 0 0-12.5M8 4.5V8l2.5 1.5",
        TaskStatus::Running => "M4.75 2.75v10.5L13.25 8z",
        TaskStatus::Success => "M2.5 8.75l3.5 3.5 7.5-8.5",
        TaskStatus::Failed => "M5.2 1.75h5.6l3.45 3.45v5.6l-3.45 3.45H5.2L1.75 10.8V5.2zM5.75 5.75l4.5 4.5M10.25 5.75l-4.5 4.5",
    }
}

/// An icon drawn with one line; it says nothing that the words beside it don't.
#[component]
pub fn Icon(
    /// The line, in a box of 16.
    #[prop(into)]
    d: Signal<&'static str>,
) -> impl IntoView {
    view! {
        <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
            <path d=move || d.get()></path>
        </svg>
    }
}

/// The icon of a status.
#[component]
pub fn StatusIcon(
    /// The status.
    #[prop(into)]
    status: Signal<TaskStatus>,
) -> impl IntoView {
    view! { <Icon d=Signal::derive(move || outline(status.get()))/> }
}

/// A status as icon and word.
#[component]
pub fn StatusBadge(
    /// The status.
    #[prop(into)]
    status: Signal<TaskStatus>,
) -> impl IntoView {
    view! {
        <span class="status-badge" data-status=move || status.get().as_str()>
            <StatusIcon status/>
            <span>{move || status.get().label()}</span>
        </span>
    }
}

/// A clock that has run out: the execution doesn't get on.
const STALLED: &str = "M8 1.75a6.25 6.25 0 1 0 0 12.5a6.25 6.25 0 1 0 0-12.5M8 4.5v4.25M8 10.75v.75";

/// Says that a running execution stalls, and on hover why.
#[component]
pub fn StalledTag(
    /// Why.
    reason: StallReason,
) -> impl IntoView {
    view! {
        <span class="tag tag-stalled" data-stalled=reason.as_str() title=format!("Stalled: {}", reason.label())>
            <Icon d=STALLED/>
            "stalled"
            <span class="visually-hidden">{format!(": {}", reason.label())}</span>
        </span>
    }
}

/// How many executions stall, where any do, with the way to them.
#[component]
pub fn StalledCount(
    /// How many.
    #[prop(into)]
    count: Signal<i64>,
    /// Where they are listed.
    href: String,
) -> impl IntoView {
    view! {
        <a class="tag tag-stalled" href=href hidden=move || count.get() == 0 data-count="stalled" data-value=move || count.get().to_string()>
            <Icon d=STALLED/>
            {move || format!("{} stalled", format::count(count.get()))}
        </a>
    }
}

#[cfg(test)]
#[cfg(feature = "ssr")]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_icon_and_word() {
        let owner = Owner::new();
        owner.set();
        let shapes: std::collections::HashSet<_> = TaskStatus::ALL.into_iter().map(outline).collect();
        assert_eq!(shapes.len(), 4);
        let html = view! { <StatusBadge status=TaskStatus::Running/> }.to_html();
        assert!(html.contains(r#"data-status="running""#) && html.contains("<svg") && html.contains("Active"), "{html}");
    }
}
