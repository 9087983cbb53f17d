use leptos::{html, prelude::*};
use taskscope_wire::{Page, Proposal, ProposalStatus, Review, Role, Run};
use uuid::Uuid;

use super::{Problem, analysis_keys::follow_keys, analysis_reviewing::Reviewing};
use crate::components::{KeysDialog, MergeDialog, PageLinks, ProposalDetail, ProposalList, ReviewBar, format, may, url};

/// The proposals of a run and what is decided about them.
#[component]
pub fn ReviewSection(
    /// The review.
    reviewing: Reviewing,
    /// The run.
    run: Memo<Run>,
    /// Loads the proposals again.
    retry: Callback<()>,
) -> impl IntoView {
    // Only a change draws it again, not every attempt.
    let failed = Memo::new(move |_| reviewing.failed.get());
    let is_empty = Memo::new(move |_| reviewing.rows.with(Vec::is_empty));
    let over = Memo::new(move |_| run.with(|run| run.status.is_over()));
    let closed = Memo::new(move |_| run.with(|run| run.status.is_over() && !run.status.is_open_for_review()));
    let allowed = may(Role::Operator);
    let open = Memo::new(move |_| allowed && over.get() && !closed.get());
    let place = Memo::new(move |_| reviewing.counts.get());
    let text = move || run.with(|run| summary(run.proposals_total, run.proposals_pending));
    view! {
        <section class="section review" aria-labelledby="review-title" data-testid="review">
            <div class="review-head">
                <h2 id="review-title">"Proposals"</h2>
                <p class="review-summary number" data-testid="review-summary">{text}</p>
                <p class="review-said" role="status" data-testid="review-said">{reviewing.said}</p>
            </div>
            {move || failed.get().map(|error| view! { <Problem error retry clear=(url::ANALYSIS, "Show all runs")/> })}
            <Show
                when=move || !is_empty.get()
                fallback=move || {
                    view! { <Show when=move || failed.with(Option::is_none)><Nothing run/></Show> }
                }
            >
                <Desk reviewing open over closed/>
            </Show>
            {move || {
                let (_, pages, page) = place.get();
                view! { <PageLinks page total_pages=pages href=move |page| url::proposals(run.with_untracked(|run| run.id), page)/> }
            }}
        </section>
    }
}

fn summary(total: i64, pending: i64) -> String {
    match (total, pending) {
        (0, _) => String::new(),
        (total, 0) => format!("{}, all reviewed", format::grouped(total)),
        (total, pending) => format!("{}, {} to review", format::grouped(total), format::grouped(pending)),
    }
}

#[component]
fn Nothing(run: Memo<Run>) -> impl IntoView {
    let text = move || match run.with(|run| (run.status.is_over(), run.proposals_total)) {
        (_, 1..) => "There are no proposals on this page.",
        (false, _) => "What the run proposes appears here, batch by batch.",
        (true, _) => "The run proposed nothing.",
    };
    view! { <p class="empty" data-testid="no-proposals">{text}</p> }
}

/// The list of proposals, and beside it the current one with what can be decided.
#[component]
fn Desk(reviewing: Reviewing, open: Memo<bool>, over: Memo<bool>, closed: Memo<bool>) -> impl IntoView {
    let Reviewing { rows, current, messages, error, decided, merging, helping, .. } = reviewing;
    let proposal = Memo::new(move |_| reviewing.proposal());
    let title = Memo::new(move |_| proposal.with(|proposal| proposal.as_ref().map(|proposal| proposal.proposed_title.clone())));
    let pending = Memo::new(move |_| {
        proposal.with(|proposal| proposal.as_ref().is_some_and(|proposal| proposal.status == ProposalStatus::Pending))
    });
    let undoable = Memo::new(move |_| !pending.get() || decided.with(|decided| !decided.is_empty()));
    let known = Memo::new(move |_| messages.with(|known| current.get().and_then(|id| known.get(&id).cloned())));
    let first = Signal::derive(move || (reviewing.counts.get().2 - 1) * Page::<Proposal>::LARGEST + 1);
    let panel = NodeRef::<html::Div>::new();
    // Each proposal is read from its beginning.
    Effect::new(move |before: Option<Option<Uuid>>| {
        let id = current.get();
        if let Some(panel) = panel.get().filter(|_| before.is_some_and(|before| before != id)) {
            panel.set_scroll_top(0);
        }
        id
    });
    reviewing.follow_messages();
    follow_keys(reviewing, open);
    let decide = Callback::new(move |review: Review| reviewing.decide(review));
    let merge = Callback::new(move |(id, into): (Uuid, Uuid)| reviewing.merge(id, into));
    let retry = Callback::new(move |()| reviewing.retry_messages());
    view! {
        <div class="review-desk">
            <ProposalList rows first current select=move |id| reviewing.go_to(id)/>
            <div class="review-current panel" node_ref=panel>
                <div class="review-current-head">
                    <h3 data-testid="current-title">{title}</h3>
                    <Show
                        when=move || open.get()
                        fallback=move || {
                            let text = move || match (closed.get(), over.get()) {
                                (true, _) => Some("The review is closed: its decisions are final."),
                                (false, true) => None,
                                (false, false) => Some("They can be reviewed when the run is over."),
                            };
                            view! { <p class="review-final" data-testid="review-final">{text}</p> }
                        }
                    >
                        <ReviewBar pending undoable decide help=move |()| helping.set(true)/>
                    </Show>
                    <p class="task-form-error" role="alert" data-testid="review-error">{error}</p>
                </div>
                {move || proposal.get().map(|proposal| view! { <ProposalDetail proposal messages=known retry/> })}
            </div>
        </div>
        <MergeDialog merging error targets=Signal::derive(move || reviewing.targets()) merge/>
        <KeysDialog open=helping/>
    }
}
