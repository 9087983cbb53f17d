use leptos::{ev::MouseEvent, prelude::*};
use taskscope_wire::{Priority, Proposal};
use uuid::Uuid;

use super::{ProposalBadge, format, url};

/// A proposal in the list, with its own signal, so that a decision redraws one row only.
#[derive(Debug, Clone)]
pub struct ProposalRow {
    /// The proposal's id.
    pub id: Uuid,
    /// The proposal.
    pub proposal: ArcRwSignal<Proposal>,
}

/// The proposals of a run, one of which is current.
#[component]
pub fn ProposalList(
    /// The proposals, in the order in which they were made.
    #[prop(into)]
    rows: Signal<Vec<ProposalRow>>,
    /// The number of the first one.
    #[prop(into)]
    first: Signal<i64>,
    /// The one whose details are shown.
    #[prop(into)]
    current: Signal<Option<Uuid>>,
    /// Makes another one current.
    #[prop(into)]
    select: Callback<Uuid>,
) -> impl IntoView {
    // One stop of the Tab key for all of them, where scripts move between them.
    let moved = RwSignal::new(false);
    Effect::new(move |_| moved.set(true));
    view! {
        <ol
            class="proposal-list panel"
            data-testid="proposals"
            aria-label="Proposals"
            aria-keyshortcuts="J K ArrowDown ArrowUp"
            start=move || first.get().to_string()
        >
            <For each=move || rows.get() key=|row| row.id let:row>
                <Row id=row.id proposal=row.proposal current select moved/>
            </For>
        </ol>
    }
}

#[component]
fn Row(
    id: Uuid,
    #[prop(into)] proposal: Signal<Proposal>,
    current: Signal<Option<Uuid>>,
    select: Callback<Uuid>,
    moved: RwSignal<bool>,
) -> impl IntoView {
    let is_current = Memo::new(move |_| current.get() == Some(id));
    let status = Memo::new(move |_| proposal.with(|proposal| proposal.status));
    let title = Memo::new(move |_| proposal.with(|proposal| proposal.proposed_title.clone()));
    let click = move |event: MouseEvent| {
        if !event.ctrl_key() && !event.meta_key() && !event.shift_key() {
            event.prevent_default();
            select.run(id);
        }
    };
    view! {
        <li
            class="proposal-row"
            data-testid="proposal-row"
            data-id=id.to_string()
            data-status=move || status.get().to_string()
            data-current=move || is_current.get().then_some("")
        >
            <a
                id=proposal_link(id)
                href=url::proposal(id)
                aria-current=move || is_current.get().then_some("true")
                tabindex=move || (moved.get() && !is_current.get()).then_some("-1")
                on:click=click
            >
                {title}
            </a>
            <p class="proposal-facts">
                <ProposalBadge status/>
                {move || proposal.with(|proposal| view! { <PriorityTag priority=proposal.proposed_priority/> })}
                <span>{move || proposal.with(facts)}</span>
                {move || {
                    proposal.with(|proposal| proposal.duplicate_of.is_some()).then(|| view! { <span class="tag">"duplicate?"</span> })
                }}
            </p>
        </li>
    }
}

/// The id of the link of a proposal in the list, to which focus moves.
#[must_use]
pub fn proposal_link(id: Uuid) -> String {
    format!("proposal-{id}")
}

fn facts(proposal: &Proposal) -> String {
    let kind = words(proposal.proposed_category.into());
    let project = proposal.project_name.as_ref().map(|name| format!(" · {name}")).unwrap_or_default();
    format!("{kind} · {} sure{project}", format::share(proposal.confidence))
}

/// A name of the API as words: `technical debt`.
pub(super) fn words(name: &str) -> String {
    name.replace('_', " ")
}

/// How urgent a proposal is.
#[component]
pub fn PriorityTag(
    /// How urgent.
    priority: Priority,
) -> impl IntoView {
    let name: &'static str = priority.into();
    view! { <span class="tag tag-priority" data-priority=name>{name}</span> }
}
