//! The state of a review: which proposal is current, what was decided, and what waits to be.

use std::collections::{HashMap, VecDeque};

use leptos::{
    prelude::*,
    task::spawn_local,
    wasm_bindgen::JsCast,
    web_sys::{Element, HtmlElement},
};
use serde::{Deserialize, Serialize};
use taskscope_wire::{InvalidQuery, Message, Page, Proposal, ProposalQuery, ProposalStatus, Review};
use uuid::Uuid;

use super::{current::Meanwhile, history_panel::focus_on};
use crate::{
    components::{ProposalRow, Status, proposal_link},
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
    pub(super) rows: RwSignal<Vec<ProposalRow>>,
    /// How many there are, how many pages, and which is shown.
    pub(super) counts: RwSignal<(i64, i64, i64)>,
    pub(super) current: RwSignal<Option<Uuid>>,
    pub(super) messages: RwSignal<HashMap<Uuid, Vec<Message>>>,
    pub(super) error: RwSignal<Option<String>>,
    pub(super) said: RwSignal<String>,
    busy: StoredValue<bool>,
    waiting: StoredValue<VecDeque<Decision>>,
    /// What was decided here, to be taken back in the reverse order.
    pub(super) decided: RwSignal<Vec<Uuid>>,
    pub(super) merging: RwSignal<bool>,
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
    pub(super) fn proposal(self) -> Option<Proposal> {
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

    pub(super) fn go_to(self, id: Uuid) {
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
        match self.subject(decision) {
            Some(id) => self.send(id, decision),
            // What was to follow was meant for another proposal than the one that is current now.
            None => self.waiting.update_value(VecDeque::clear),
        }
    }

    /// The proposal that a decision is about; none where nothing can be decided, which is said, or where it is asked first.
    fn subject(self, Decision { review, into }: Decision) -> Option<Uuid> {
        let proposal = untrack(move || self.proposal())?;
        match review {
            Review::Undo => {
                let id = self.undoable();
                if id.is_none() {
                    self.said.set("There is nothing to undo.".to_owned());
                }
                id
            }
            _ if proposal.status != ProposalStatus::Pending => {
                let word = proposal.status.label().to_lowercase();
                self.said.set(format!("It is {word} already. Undo that first."));
                None
            }
            Review::Merge if into.is_none() && proposal.duplicate_of.is_none() => {
                self.merging.set(true);
                None
            }
            _ => Some(proposal.id),
        }
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
            None if review == Review::Undo => format!("{said}. It is on another page."),
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

    pub(super) fn targets(self) -> Vec<(Uuid, String)> {
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
    pub(super) fn fetch_messages(self) {
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
