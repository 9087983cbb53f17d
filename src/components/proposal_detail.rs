use leptos::prelude::*;
use taskscope_wire::{Message, Proposal, ProposalStatus, Recommendation};

use super::{MessageList, PriorityTag, ProposalBadge, Timestamp, format, proposal_list::words, url};
use crate::error::AppError;

/// The most source messages that an answer has.
const MOST: usize = 50;

/// What a run proposes, why, and from which messages.
#[component]
pub fn ProposalDetail(
    /// The proposal.
    proposal: Proposal,
    /// The messages that it was made from, or why they can't be had; none while they load.
    #[prop(into)]
    messages: Signal<Option<Result<Vec<Message>, AppError>>>,
    /// Loads them again.
    #[prop(into)]
    retry: Callback<()>,
) -> impl IntoView {
    let all = proposal.source_message_ids.len();
    let text = |name: &'static str, text: String| {
        (!text.trim().is_empty()).then(|| view! { <h3>{name}</h3> <p class="proposal-text">{text}</p> })
    };
    view! {
        <div class="proposal-detail" data-testid="proposal-detail" data-id=proposal.id.to_string() data-status=proposal.status.to_string()>
            <p class="proposal-facts">
                <ProposalBadge status=proposal.status/>
                <PriorityTag priority=proposal.proposed_priority/>
                {proposal.reviewed_at.map(|at| view! { <Timestamp at/> })}
            </p>
            <Same proposal=proposal.clone()/>
            <Facts proposal=proposal.clone()/>
            {text("Description", proposal.proposed_description)}
            {text("Reasoning", proposal.reasoning)}
            <h3>"Recommendation"</h3>
            <p class="proposal-text">{recommended(proposal.llm_recommendation)}</p>
            <h3>{format!("Source messages ({})", format::grouped(proposal.message_count))}</h3>
            {move || match messages.get() {
                None => view! { <p class="proposal-loading">"Loading…"</p> }.into_any(),
                Some(Err(error)) => {
                    view! {
                        <p class="task-form-error" role="alert" data-testid="messages-error">{error.to_string()}</p>
                        <p class="js-only">
                            <button type="button" class="button button-small" on:click=move |_| retry.run(())>"Try again"</button>
                        </p>
                    }
                    .into_any()
                }
                Some(Ok(messages)) if messages.is_empty() => view! { <p>"They are not stored any more."</p> }.into_any(),
                Some(Ok(messages)) => {
                    let first = (all > MOST).then(|| view! { <p class="proposal-loading">{format!("The first {MOST}:")}</p> });
                    view! { {first} <MessageList messages/> }.into_any()
                }
            }}
        </div>
    }
}

const fn recommended(recommendation: Recommendation) -> &'static str {
    match recommendation {
        Recommendation::NewTask => "Make a new task of it.",
        Recommendation::UpdateExisting => "Add it to a task that is there.",
        Recommendation::Merge => "Merge it with another proposal.",
        Recommendation::Reject => "Reject it.",
    }
}

#[component]
fn Facts(proposal: Proposal) -> impl IntoView {
    let tags = proposal.proposed_tags;
    let tags = (!tags.is_empty()).then(|| view! { <div><dt>"Tags"</dt><dd>{tags.join(", ")}</dd></div> });
    let project = proposal.project_name.map(|name| view! { <div><dt>"Project"</dt><dd>{name}</dd></div> });
    view! {
        <dl class="facts">
            <div><dt>"Category"</dt><dd>{words(proposal.proposed_category.into())}</dd></div>
            <div><dt>"Confidence"</dt><dd>{format::share(proposal.confidence)}</dd></div>
            {project}
            {tags}
            <div><dt>"Batch"</dt><dd>{format::grouped(proposal.batch)}</dd></div>
        </dl>
    }
}

/// The proposal that says the same, or that this one is part of.
#[component]
fn Same(proposal: Proposal) -> impl IntoView {
    let duplicate = proposal.duplicate_of.map(|id| {
        let title = proposal.duplicate_title.unwrap_or_else(|| "another proposal".to_owned());
        let alike = proposal.similarity.map(|alike| format!(" ({} alike)", format::share(alike))).unwrap_or_default();
        view! { <p class="proposal-same" data-testid="duplicate">"Says the same as " <a href=url::proposal(id)>{title}</a> {alike}</p> }
    });
    let merged =
        proposal.merged_into.filter(|id| proposal.status == ProposalStatus::Merged && Some(*id) != proposal.duplicate_of);
    let merged = merged.map(|id| {
        view! { <p class="proposal-same" data-testid="merged">"Merged into " <a href=url::proposal(id)>"another proposal"</a></p> }
    });
    view! {
        {duplicate}
        {merged}
    }
}
