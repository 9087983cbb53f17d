use leptos::prelude::*;
use taskscope_wire::{AtomStatus, ProposalStatus, RunStatus};

use super::Icon;

const CLOCK: &str = "M8 1.75a6.25 6.25 0 1 0 0 12.5a6.25 6.25 0 1 0 0-12.5M8 4.5V8l2.5 1.5";
const PLAY: &str = "M4.75 2.75v10.5L13.25 8z";
const TICK: &str = "M2.5 8.75l3.5 3.5 7.5-8.5";
const CROSS: &str = "M3.5 3.5l9 9M12.5 3.5l-9 9";

/// A word that a status is: its name in `data-status`, what people read, and the outline of its icon in a box of 16.
pub trait Status: Copy + PartialEq + Send + Sync + 'static {
    /// The name, as in the API.
    fn name(self) -> &'static str;
    /// The word.
    fn label(self) -> &'static str;
    /// The icon, which differs from the others without colour.
    fn outline(self) -> &'static str;
}

impl Status for RunStatus {
    fn name(self) -> &'static str {
        self.into()
    }

    fn label(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Completed => "Completed",
            Self::Reviewed => "Reviewed",
            Self::Closed => "Closed",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
        }
    }

    fn outline(self) -> &'static str {
        match self {
            Self::Pending => CLOCK,
            Self::Running => PLAY,
            Self::Completed => TICK,
            Self::Reviewed => "M1.25 8.75l3.25 3.5 6-8.5M7.5 11.5l.75.75 6.25-8.5",
            Self::Closed => "M3.5 7.25h9v6.5h-9zM5.25 7.25V5a2.75 2.75 0 0 1 5.5 0v2.25",
            Self::Failed => "M5.2 1.75h5.6l3.45 3.45v5.6l-3.45 3.45H5.2L1.75 10.8V5.2zM5.75 5.75l4.5 4.5M10.25 5.75l-4.5 4.5",
            Self::Cancelled => "M8 1.75a6.25 6.25 0 1 0 0 12.5a6.25 6.25 0 1 0 0-12.5M3.75 12.25l8.5-8.5",
        }
    }
}

impl Status for ProposalStatus {
    fn name(self) -> &'static str {
        self.into()
    }

    fn label(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Approved => "Approved",
            Self::Rejected => "Rejected",
            Self::Merged => "Merged",
        }
    }

    fn outline(self) -> &'static str {
        match self {
            Self::Pending => CLOCK,
            Self::Approved => TICK,
            Self::Rejected => CROSS,
            Self::Merged => "M3 2.5v2.25c0 3.25 5 3.25 5 6.5v2.5M13 2.5v2.25c0 3.25-5 3.25-5 6.5M5.75 11.5L8 13.75l2.25-2.25",
        }
    }
}

impl Status for AtomStatus {
    fn name(self) -> &'static str {
        self.into()
    }

    fn label(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Approved => "Approved",
            Self::Rejected => "Rejected",
        }
    }

    fn outline(self) -> &'static str {
        match self {
            Self::Pending => CLOCK,
            Self::Approved => TICK,
            Self::Rejected => CROSS,
        }
    }
}

/// The status of a run, as icon and word.
#[component]
pub fn RunBadge(
    /// The status.
    #[prop(into)]
    status: Signal<RunStatus>,
) -> impl IntoView {
    badge(status)
}

/// The status of a proposal, as icon and word.
#[component]
pub fn ProposalBadge(
    /// The status.
    #[prop(into)]
    status: Signal<ProposalStatus>,
) -> impl IntoView {
    badge(status)
}

/// The status of an atom, as icon and word.
#[component]
pub fn AtomBadge(
    /// The status.
    #[prop(into)]
    status: Signal<AtomStatus>,
) -> impl IntoView {
    badge(status)
}

fn badge<S: Status>(status: Signal<S>) -> impl IntoView {
    view! {
        <span class="status-badge" data-status=move || status.get().name()>
            <Icon d=Signal::derive(move || status.get().outline())/>
            <span>{move || status.get().label()}</span>
        </span>
    }
}

#[cfg(test)]
#[cfg(feature = "ssr")]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn statuses_differ_without_colour() {
        use RunStatus::{Cancelled, Closed, Completed, Failed, Pending, Reviewed, Running};
        let runs = [Pending, Running, Completed, Reviewed, Closed, Failed, Cancelled];
        assert_eq!(runs.map(Status::outline).into_iter().collect::<HashSet<_>>().len(), runs.len());
        let proposals = [ProposalStatus::Pending, ProposalStatus::Approved, ProposalStatus::Rejected, ProposalStatus::Merged];
        assert_eq!(proposals.map(Status::outline).into_iter().collect::<HashSet<_>>().len(), proposals.len());
    }

    #[test]
    fn a_badge_is_icon_and_word() {
        let owner = Owner::new();
        owner.set();
        let html = view! { <RunBadge status=RunStatus::Cancelled/> }.to_html();
        assert!(html.contains(r#"data-status="cancelled""#) && html.contains("<svg") && html.contains("Cancelled"), "{html}");
    }
}
