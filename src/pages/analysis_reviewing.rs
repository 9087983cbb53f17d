//! The state of a review: which proposals there are, which is current, and what was decided.

use std::collections::HashMap;

use leptos::{
    prelude::*,
    task::spawn_local,
    wasm_bindgen::JsCast,
    web_sys::{Element, HtmlElement},
};
use serde::{Deserialize, Serialize};
use taskscope_wire::{InvalidQuery, Message, Page, Proposal, ProposalQuery, ProposalStatus};
use uuid::Uuid;

use super::{analysis_queue::Queue, current::Meanwhile, history_panel::focus_on};
use crate::{
    components::{ProposalRow, proposal_link},
    error::AppError,
    server_fns::{get_messages, get_proposals},
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

/// The source messages of a proposal, or why they can't be had.
pub(super) type Sources = Result<Vec<Message>, AppError>;

/// The review of a page of proposals, as signals that outlive every load.
#[derive(Clone, Copy)]
pub(super) struct Reviewing {
    pub(super) rows: RwSignal<Vec<ProposalRow>>,
    /// How many there are, how many pages, and which is shown.
    pub(super) counts: RwSignal<(i64, i64, i64)>,
    pub(super) current: RwSignal<Option<Uuid>>,
    pub(super) messages: RwSignal<HashMap<Uuid, Sources>>,
    /// Why the proposals could not be loaded.
    pub(super) failed: RwSignal<Option<AppError>>,
    /// Why the last decision was not taken.
    pub(super) error: RwSignal<Option<String>>,
    pub(super) said: RwSignal<String>,
    pub(super) run: StoredValue<Option<Uuid>>,
    pub(super) queue: StoredValue<Queue>,
    /// Whether the reader has moved since the last decision: then the next one is about what is current, else about what the
    /// answers lead to.
    pub(super) moved: StoredValue<bool>,
    /// What was decided here, to be taken back in the reverse order.
    pub(super) decided: RwSignal<Vec<Uuid>>,
    /// The proposal for which it is asked what to merge it into.
    pub(super) merging: RwSignal<Option<Uuid>>,
    pub(super) helping: RwSignal<bool>,
    pub(super) meanwhile: Meanwhile<Proposal>,
}

impl Reviewing {
    pub(super) fn new() -> Self {
        Self {
            rows: RwSignal::default(),
            counts: RwSignal::new((0, 0, 1)),
            current: RwSignal::new(None),
            messages: RwSignal::default(),
            failed: RwSignal::new(None),
            error: RwSignal::new(None),
            said: RwSignal::default(),
            run: StoredValue::new(None),
            queue: StoredValue::default(),
            moved: StoredValue::new(false),
            decided: RwSignal::default(),
            merging: RwSignal::new(None),
            helping: RwSignal::new(false),
            meanwhile: Meanwhile::new(),
        }
    }

    /// Shows what was fetched. Rows that stay keep their place in the document, and focus.
    pub(super) fn load(self, loaded: Result<Proposals, AppError>) {
        let Proposals { page, messages } = match loaded {
            Ok(loaded) => loaded,
            Err(wrong) => return self.failed.set(Some(wrong)),
        };
        self.failed.set(None);
        let first = first_of(&page.items).map(|first| first.id);
        if let Some((first, messages)) = first.zip(messages) {
            self.messages.update(|known| drop(known.insert(first, Ok(messages))));
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
    pub(super) fn shown(self, proposal: Proposal) -> ProposalRow {
        let Some(row) = self.row(proposal.id) else {
            return ProposalRow { id: proposal.id, proposal: ArcRwSignal::new(proposal) };
        };
        if row.proposal.with_untracked(|known| *known != proposal) {
            row.proposal.set(proposal);
        }
        row
    }

    pub(super) fn row(self, id: Uuid) -> Option<ProposalRow> {
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

    /// Makes a proposal current because the reader wants it.
    pub(super) fn go_to(self, id: Uuid) {
        self.moved.set_value(true);
        self.focus(id);
    }

    fn focus(self, id: Uuid) {
        self.current.set(Some(id));
        // The link can have focus after this change was drawn.
        request_animation_frame(move || {
            focus_on(&proposal_link(id));
        });
    }

    /// Makes a proposal current. Focus follows only where it was in the list: who pressed a button stays on it.
    pub(super) fn show(self, id: Uuid) {
        let in_list =
            document().active_element().is_some_and(|element| element.closest(".proposal-list").ok().flatten().is_some());
        if in_list {
            return self.focus(id);
        }
        self.current.set(Some(id));
        request_animation_frame(move || {
            document().get_element_by_id(&proposal_link(id)).and_then(|link| scroll_within(&link));
        });
    }

    /// Fetches the source messages of whichever proposal is current.
    pub(super) fn follow_messages(self) {
        // A proposal that was only decided has the same ones.
        let sources = Memo::new(move |_| self.proposal().map(|proposal| (proposal.id, proposal.source_message_ids)));
        Effect::new(move |_| {
            let Some((id, sources)) = sources.get() else { return };
            if !self.messages.with_untracked(|known| matches!(known.get(&id), Some(Ok(_)))) {
                self.fetch_messages(id, sources);
            }
        });
    }

    /// Fetches the source messages of the current proposal again.
    pub(super) fn retry_messages(self) {
        if let Some(proposal) = untrack(move || self.proposal()) {
            self.messages.update(|known| drop(known.remove(&proposal.id)));
            self.fetch_messages(proposal.id, proposal.source_message_ids);
        }
    }

    fn fetch_messages(self, id: Uuid, sources: Vec<i64>) {
        spawn_local(async move {
            let messages = get_messages(sources).await;
            self.messages.try_update(|known| known.insert(id, messages));
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
