//! The review of what a run proposes: which proposal is current, what was decided, and the keys that do it.

use std::collections::{HashMap, VecDeque};

use leptos::{
    prelude::*,
    task::spawn_local,
    wasm_bindgen::JsCast,
    web_sys::{Element, HtmlElement},
};
use serde::{Deserialize, Serialize};
use taskscope_wire::{InvalidQuery, Message, Page, Proposal, ProposalQuery, ProposalStatus, Review, Run};
use uuid::Uuid;

use super::{analysis_keys::follow_keys, current::Meanwhile, history_panel::focus_on};
use crate::{
    components::{
        KeysDialog, MergeDialog, PageLinks, ProposalDetail, ProposalList, ProposalRow, ReviewBar, Status, format, proposal_link,
        url,
    },
    error::AppError,
    server_fns::{get_messages, get_proposals, review_proposal},
};

/// A page of proposals, and the source messages of the one that is current first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Proposals {
    page: Page<Proposal>,
    messages: Option<Vec<Message>>,
}

pub(super) async fn fetch_proposals(
    reviewing: Reviewing,
    run: Result<Uuid, AppError>,
    page: Result<i64, InvalidQuery>,
) -> Result<Proposals, AppError> {
    reviewing.meanwhile.begin();
    let query = ProposalQuery { run_id: Some(run?), page: page?, ..ProposalQuery::default() };
    let page = get_proposals(query).await?;
    // In the browser they are fetched for whichever is current by then.
    let first = first_of(&page.items).filter(|_| cfg!(feature = "ssr"));
    let messages = match first {
        Some(first) => get_messages(first.source_message_ids.clone()).await.ok(),
        None => None,
    };
    Ok(Proposals { page, messages })
}

/// The proposal to begin with: the first that waits for a decision.
fn first_of(proposals: &[Proposal]) -> Option<&Proposal> {
    proposals.iter().find(|proposal| proposal.status == ProposalStatus::Pending).or_else(|| proposals.first())
}

/// A decision that is on its way, or waits for the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Decision {
    review: Review,
    into: Option<Uuid>,
}

/// The review of a page of proposals, as signals that outlive every load.
#[derive(Clone, Copy)]
pub(super) struct Reviewing {
    rows: RwSignal<Vec<ProposalRow>>,
    /// How many there are, how many pages, and which is shown.
    counts: RwSignal<(i64, i64, i64)>,
    current: RwSignal<Option<Uuid>>,
    messages: RwSignal<HashMap<Uuid, Vec<Message>>>,
    error: RwSignal<Option<String>>,
    said: RwSignal<String>,
    busy: StoredValue<bool>,
    waiting: StoredValue<VecDeque<Decision>>,
    /// What was decided here, to be taken back in the reverse order.
    decided: RwSignal<Vec<Uuid>>,
    merging: RwSignal<bool>,
    pub(super) helping: RwSignal<bool>,
    meanwhile: Meanwhile<Proposal>,
}

impl Reviewing {
    pub(super) fn new() -> Self {
        Self {
            rows: RwSignal::default(),
            counts: RwSignal::new((0, 0, 1)),
            current: RwSignal::new(None),
            messages: RwSignal::default(),
            error: RwSignal::new(None),
            said: RwSignal::default(),
            busy: StoredValue::new(false),
            waiting: StoredValue::default(),
            decided: RwSignal::default(),
            merging: RwSignal::new(false),
            helping: RwSignal::new(false),
            meanwhile: Meanwhile::new(),
        }
    }

    /// Shows what was fetched. Rows that stay keep their place in the document, and focus.
    pub(super) fn load(self, loaded: Result<Proposals, AppError>) {
        let Proposals { page, messages } = match loaded {
            Ok(loaded) => loaded,
            Err(wrong) => return self.error.set(Some(wrong.to_string())),
        };
        let first = first_of(&page.items).map(|first| first.id);
        if let Some((first, messages)) = first.zip(messages) {
            self.messages.update(|known| drop(known.insert(first, messages)));
        }
        self.counts.set((page.total_count, page.total_pages, page.page));
        let rows = page.items.into_iter().map(|proposal| self.shown(proposal)).collect();
        self.rows.set(rows);
        let mut newer = Vec::new();
        self.meanwhile.each(|proposal| newer.push(proposal.clone()));
        newer.into_iter().for_each(|proposal| drop(self.shown(proposal)));
        let stays = self.current.get_untracked().is_some_and(|id| self.row(id).is_some());
        if !stays {
            self.current.set(first);
        }
    }

    /// The row of a proposal, the one that there is or a new one.
    fn shown(self, proposal: Proposal) -> ProposalRow {
        let Some(row) = self.row(proposal.id) else {
            return ProposalRow { id: proposal.id, proposal: ArcRwSignal::new(proposal) };
        };
        if row.proposal.with_untracked(|known| *known != proposal) {
            row.proposal.set(proposal);
        }
        row
    }

    fn row(self, id: Uuid) -> Option<ProposalRow> {
        self.rows.with_untracked(|rows| rows.iter().find(|row| row.id == id).cloned())
    }

    /// The current proposal, tracked.
    fn proposal(self) -> Option<Proposal> {
        let id = self.current.get()?;
        self.rows.with(|rows| rows.iter().find(|row| row.id == id).map(|row| row.proposal.get()))
    }

    /// Moves to the proposal that is so many places after the current one, and focus with it.
    pub(super) fn step(self, places: isize) {
        let ids: Vec<_> = self.rows.with_untracked(|rows| rows.iter().map(|row| row.id).collect());
        let current = self.current.get_untracked();
        let place = ids.iter().position(|id| Some(*id) == current).unwrap_or_default();
        if let Some(id) = place.checked_add_signed(places).and_then(|place| ids.get(place)) {
            self.go_to(*id);
        }
    }

    fn go_to(self, id: Uuid) {
        self.current.set(Some(id));
        // The link can have focus after this change was drawn.
        request_animation_frame(move || {
            focus_on(&proposal_link(id));
        });
    }

    /// Decides about the current proposal, or takes the last decision back. What comes while an answer is on its way waits for it.
    pub(super) fn decide(self, review: Review, into: Option<Uuid>) {
        let decision = Decision { review, into };
        if self.busy.get_value() {
            self.waiting.update_value(|waiting| waiting.push_back(decision));
            return;
        }
        self.error.set(None);
        let Some(proposal) = untrack(move || self.proposal()) else { return };
        let id = match review {
            Review::Undo => match self.undoable() {
                Some(id) => id,
                None => return self.said.set("There is nothing to undo.".to_owned()),
            },
            _ if proposal.status != ProposalStatus::Pending => {
                let word = proposal.status.label().to_lowercase();
                return self.said.set(format!("It is {word} already. Undo that first."));
            }
            Review::Merge if into.is_none() && proposal.duplicate_of.is_none() => return self.merging.set(true),
            _ => proposal.id,
        };
        self.send(id, decision);
    }

    /// The proposal whose decision is taken back next: the one decided last, or the current one.
    fn undoable(self) -> Option<Uuid> {
        let last = self.decided.with_untracked(|decided| decided.last().copied());
        let current = || untrack(move || self.proposal()).filter(|proposal| proposal.status != ProposalStatus::Pending);
        last.or_else(|| current().map(|proposal| proposal.id))
    }

    fn send(self, id: Uuid, decision: Decision) {
        self.busy.set_value(true);
        spawn_local(async move {
            let answer = review_proposal(id, decision.review, decision.into).await;
            // The page may be gone by now.
            if self.busy.try_set_value(false).is_some() {
                return;
            }
            match answer {
                Ok(proposal) => self.take(decision.review, proposal),
                Err(refused) => {
                    self.waiting.update_value(VecDeque::clear);
                    self.decided.update(|decided| decided.retain(|known| *known != id));
                    self.error.set(Some(refused.to_string()));
                }
            }
            if let Some(Decision { review, into }) = self.waiting.try_update_value(VecDeque::pop_front).flatten() {
                self.decide(review, into);
            }
        });
    }

    /// Shows what was decided, and goes to what is to be decided next.
    fn take(self, review: Review, proposal: Proposal) {
        let id = proposal.id;
        self.meanwhile.note(proposal.clone());
        let said = format!("{}: {}", proposal.status.label(), proposal.proposed_title);
        drop(self.shown(proposal));
        self.decided.update(|decided| {
            decided.retain(|known| *known != id);
            if review != Review::Undo {
                decided.push(id);
            }
        });
        let next = if review == Review::Undo { self.row(id).map(|row| row.id) } else { self.next_pending(id) };
        self.said.set(match next {
            None => format!("{said}. Nothing is left to decide on this page."),
            Some(_) => said,
        });
        if let Some(next) = next {
            self.show(next);
        }
    }

    /// Makes a proposal current. Focus follows only where it was in the list: who pressed a button stays on it.
    fn show(self, id: Uuid) {
        let in_list =
            document().active_element().is_some_and(|element| element.closest(".proposal-list").ok().flatten().is_some());
        if in_list {
            return self.go_to(id);
        }
        self.current.set(Some(id));
        request_animation_frame(move || {
            document().get_element_by_id(&proposal_link(id)).and_then(|link| scroll_within(&link));
        });
    }

    /// The next proposal after this one, or else the first, that waits for a decision.
    fn next_pending(self, after: Uuid) -> Option<Uuid> {
        self.rows.with_untracked(|rows| {
            let place = rows.iter().position(|row| row.id == after).unwrap_or_default();
            let (before, behind) = rows.split_at(place);
            let pending = |row: &&ProposalRow| row.proposal.with_untracked(|proposal| proposal.status == ProposalStatus::Pending);
            behind.iter().chain(before).find(pending).map(|row| row.id)
        })
    }

    fn targets(self) -> Vec<(Uuid, String)> {
        let current = self.current.get();
        let target = |row: &ProposalRow| {
            row.proposal.with(|proposal| {
                let possible = Some(row.id) != current && proposal.status != ProposalStatus::Merged;
                possible.then(|| (row.id, proposal.proposed_title.clone()))
            })
        };
        self.rows.with(|rows| rows.iter().filter_map(target).collect())
    }

    /// Fetches the source messages of whichever proposal is current.
    fn fetch_messages(self) {
        Effect::new(move |_| {
            let Some(proposal) = self.proposal() else { return };
            if self.messages.with_untracked(|known| known.contains_key(&proposal.id)) {
                return;
            }
            spawn_local(async move {
                if let Ok(messages) = get_messages(proposal.source_message_ids).await {
                    self.messages.try_update(|known| known.insert(proposal.id, messages));
                }
            });
        });
    }
}

/// Brings a row of the list into sight without moving the page.
fn scroll_within(link: &Element) -> Option<()> {
    let list = link.closest(".proposal-list").ok()??;
    let row = link.closest("li").ok()??.dyn_into::<HtmlElement>().ok()?;
    let (top, bottom) = (row.offset_top(), row.offset_top() + row.offset_height());
    if top < list.scroll_top() {
        list.set_scroll_top(top);
    } else if bottom > list.scroll_top() + list.client_height() {
        list.set_scroll_top(bottom - list.client_height());
    }
    Some(())
}

/// The proposals of a run and what is decided about them.
#[component]
pub fn ReviewSection(
    /// The review.
    reviewing: Reviewing,
    /// The run.
    run: Memo<Run>,
) -> impl IntoView {
    let is_empty = Memo::new(move |_| reviewing.rows.with(Vec::is_empty));
    let open = Memo::new(move |_| run.with(|run| run.status.is_over() && run.status.is_open_for_review()));
    let over = Memo::new(move |_| run.with(|run| run.status.is_over()));
    let text = move || run.with(|run| summary(run.proposals_total, run.proposals_pending));
    view! {
        <section class="section review" aria-labelledby="review-title" data-testid="review">
            <div class="review-head">
                <h2 id="review-title">"Proposals"</h2>
                <p class="review-summary number" data-testid="review-summary">{text}</p>
                <p class="review-said" role="status" data-testid="review-said">{reviewing.said}</p>
            </div>
            <Show when=move || !is_empty.get() fallback=move || view! { <Nothing run/> }>
                <Desk reviewing open over/>
            </Show>
            {move || {
                let (_, pages, page) = reviewing.counts.get();
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
fn Desk(reviewing: Reviewing, open: Memo<bool>, over: Memo<bool>) -> impl IntoView {
    let Reviewing { rows, current, messages, error, decided, merging, helping, .. } = reviewing;
    let proposal = Memo::new(move |_| reviewing.proposal());
    let title = Memo::new(move |_| proposal.with(|proposal| proposal.as_ref().map(|proposal| proposal.proposed_title.clone())));
    let pending = Memo::new(move |_| {
        proposal.with(|proposal| proposal.as_ref().is_some_and(|proposal| proposal.status == ProposalStatus::Pending))
    });
    let undoable = Memo::new(move |_| !pending.get() || decided.with(|decided| !decided.is_empty()));
    let known = Signal::derive(move || messages.with(|known| current.get().and_then(|id| known.get(&id).cloned())));
    let first = Signal::derive(move || (reviewing.counts.get().2 - 1) * Page::<Proposal>::LARGEST + 1);
    reviewing.fetch_messages();
    follow_keys(reviewing, open);
    let decide = Callback::new(move |review: Review| reviewing.decide(review, None));
    let merge = Callback::new(move |target: Uuid| reviewing.decide(Review::Merge, Some(target)));
    view! {
        <div class="review-desk">
            <ProposalList rows first current select=move |id| reviewing.go_to(id)/>
            <div class="review-current panel">
                <div class="review-current-head">
                    <h3 data-testid="current-title">{title}</h3>
                    <Show
                        when=move || open.get()
                        fallback=move || {
                            let text = move || match over.get() {
                                true => "The review is closed: its decisions are final.",
                                false => "They can be reviewed when the run is over.",
                            };
                            view! { <p class="review-final" data-testid="review-final">{text}</p> }
                        }
                    >
                        <ReviewBar pending undoable decide help=move |()| helping.set(true)/>
                    </Show>
                    <p class="task-form-error" role="alert" data-testid="review-error">{error}</p>
                </div>
                {move || proposal.get().map(|proposal| view! { <ProposalDetail proposal messages=known/> })}
            </div>
        </div>
        <MergeDialog open=merging targets=Signal::derive(move || reviewing.targets()) merge/>
        <KeysDialog open=helping/>
    }
}
