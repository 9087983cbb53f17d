//! What is decided in a review: about which proposal, and what follows from the answer.

use leptos::{prelude::*, task::spawn_local};
use taskscope_wire::{Proposal, ProposalStatus, Review};
use uuid::Uuid;

use super::{
    analysis_queue::{Decision, Queue},
    analysis_reviewing::Reviewing,
};
use crate::{
    components::{ProposalRow, Status},
    error::AppError,
    server_fns::review_proposal,
};

impl Reviewing {
    /// Drops what was meant for another page, and for another run also what was decided there.
    pub(super) fn turn_to(self, run: Option<Uuid>) {
        self.queue.update_value(Queue::clear);
        self.error.set(None);
        self.merging.set(None);
        if self.run.get_value() != run {
            self.run.set_value(run);
            self.decided.update(Vec::clear);
            self.said.update(String::clear);
        }
    }

    /// Decides about the current proposal, or takes the last decision back. What comes while an answer is on its way waits for it.
    pub(super) fn decide(self, review: Review) {
        if let Some(id) = self.subject(review) {
            self.queue(Decision { id, review, into: None });
        }
    }

    /// Merges a proposal into the one that was chosen for it.
    pub(super) fn merge(self, id: Uuid, into: Uuid) {
        self.queue(Decision { id, review: Review::Merge, into: Some(into) });
    }

    /// What the proposal for which it is asked can be merged into.
    pub(super) fn targets(self) -> Vec<(Uuid, String)> {
        let Some(merging) = self.merging.get() else { return Vec::new() };
        let target = |row: &ProposalRow| {
            row.proposal.with(|proposal| {
                let stands = !matches!(proposal.status, ProposalStatus::Merged | ProposalStatus::Rejected);
                (row.id != merging && stands).then(|| (row.id, proposal.proposed_title.clone()))
            })
        };
        self.rows.with(|rows| rows.iter().filter_map(target).collect())
    }

    fn queue(self, decision: Decision) {
        self.moved.set_value(false);
        self.error.set(None);
        self.queue.update_value(|queue| queue.push(decision));
        self.send_next();
    }

    /// The proposal that a decision is about; none where nothing can be decided, which is said.
    fn subject(self, review: Review) -> Option<Uuid> {
        if review == Review::Undo {
            let id = self.undoable();
            if id.is_none() {
                self.said.set("There is nothing to undo.".to_owned());
            }
            return id;
        }
        let proposal = untrack(move || self.proposal())?;
        match self.queue.with_value(|queue| queue.decides(proposal.id)) {
            Some(true) if self.moved.get_value() => {
                self.said.set("What was decided about it is on its way.".to_owned());
                None
            }
            // It comes faster than the answers, each of which leads on to the next proposal.
            Some(true) => self.next(proposal.id, |row| self.will_wait(row)),
            None if proposal.status != ProposalStatus::Pending => {
                self.say_decided(&proposal);
                None
            }
            _ => Some(proposal.id),
        }
    }

    fn say_decided(self, proposal: &Proposal) {
        let word = proposal.status.label().to_lowercase();
        self.said.set(format!("It is {word} already. Undo that first."));
    }

    /// The proposal whose decision is taken back next: the current one if it is decided, or the one decided last.
    fn undoable(self) -> Option<Uuid> {
        let current = untrack(move || self.proposal()).filter(|proposal| proposal.status != ProposalStatus::Pending);
        self.queue.with_value(|queue| {
            let current = current.map(|proposal| proposal.id).filter(|id| queue.decides(*id).is_none());
            let stands = |id: &&Uuid| queue.decides(**id) != Some(false);
            let last = || self.decided.with_untracked(|decided| decided.iter().rfind(stands).copied());
            current.or_else(|| queue.last_decided()).or_else(last)
        })
    }

    /// Sends the decision that is next, unless one is on its way. One about a proposal that is no longer shown is dropped.
    fn send_next(self) {
        while let Some(decision) = self.queue.try_update_value(Queue::send).flatten() {
            if self.can_send(decision) {
                return self.send(decision);
            }
            self.queue.update_value(Queue::answered);
        }
    }

    /// Whether a decision can still be made as it was meant. Where it is asked first, or somebody else was faster, what was to
    /// follow is dropped: it was meant for what would have come then.
    fn can_send(self, Decision { id, review, into }: Decision) -> bool {
        if review == Review::Undo {
            return true;
        }
        let Some(proposal) = self.row(id).map(|row| row.proposal.get_untracked()) else { return false };
        if proposal.status != ProposalStatus::Pending {
            self.queue.update_value(Queue::clear);
            self.say_decided(&proposal);
            return false;
        }
        let asks = review == Review::Merge && into.is_none() && proposal.duplicate_of.is_none();
        if asks {
            self.ask(id);
        }
        !asks
    }

    /// Asks what a proposal is merged into.
    fn ask(self, id: Uuid) {
        self.queue.update_value(Queue::clear);
        if self.current.get_untracked() != Some(id) {
            self.show(id);
        }
        self.merging.set(Some(id));
    }

    fn send(self, decision: Decision) {
        let run = self.run.get_value();
        // An undo leads to what it takes back and a decision to the next proposal, unless the reader has moved on meanwhile.
        let from = if decision.review == Review::Undo { self.current.get_untracked() } else { Some(decision.id) };
        spawn_local(async move {
            let answer = review_proposal(decision.id, decision.review, decision.into).await;
            // The page may be gone by now, or show another run.
            if self.queue.try_update_value(Queue::answered).is_none() {
                return;
            }
            match answer {
                _ if self.run.get_value() != run => {}
                Ok(proposal) => self.take(decision.review, from, proposal),
                Err(refused) => self.refuse(decision, &refused),
            }
            self.send_next();
        });
    }

    /// Shows what was decided, and goes to what is to be decided next.
    fn take(self, review: Review, from: Option<Uuid>, proposal: Proposal) {
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
        let pending = |row: &ProposalRow| row.proposal.with_untracked(|proposal| proposal.status == ProposalStatus::Pending);
        let next = if review == Review::Undo { self.row(id).map(|row| row.id) } else { self.next(id, pending) };
        self.said.set(match next {
            None if review == Review::Undo => format!("{said}. It is on another page."),
            None => format!("{said}. Nothing is left to decide on this page."),
            Some(_) => said,
        });
        if let Some(next) = next.filter(|_| self.current.get_untracked() == from) {
            self.show(next);
        }
    }

    fn refuse(self, Decision { id, review, into }: Decision, refused: &AppError) {
        self.queue.update_value(Queue::clear);
        // Whatever else went wrong can go well next time.
        if matches!(refused, AppError::Refused(_) | AppError::NotFound(_)) {
            self.decided.update(|decided| decided.retain(|known| *known != id));
        }
        self.error.set(Some(refused.to_string()));
        // The one that says the same can't be merged into, but another one may.
        if review == Review::Merge && into.is_none() && matches!(refused, AppError::Refused(_)) && self.row(id).is_some() {
            self.ask(id);
        }
    }

    /// The next proposal after this one, or else the first, for which this holds.
    fn next(self, after: Uuid, holds: impl Fn(&ProposalRow) -> bool) -> Option<Uuid> {
        self.rows.with_untracked(|rows| {
            let place = rows.iter().position(|row| row.id == after).unwrap_or_default();
            let (before, behind) = rows.split_at(place);
            behind.iter().chain(before).find(|row| holds(row)).map(|row| row.id)
        })
    }

    /// Whether a proposal still waits for a decision when all that is on its way is answered.
    fn will_wait(self, row: &ProposalRow) -> bool {
        let decided = self.queue.with_value(|queue| queue.decides(row.id));
        !decided.unwrap_or_else(|| row.proposal.with_untracked(|proposal| proposal.status != ProposalStatus::Pending))
    }
}
