use std::collections::VecDeque;

use taskscope_wire::Review;
use uuid::Uuid;

/// What is decided about a proposal: the one that it was meant for, whatever is current when it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) id: Uuid,
    pub(super) review: Review,
    pub(super) into: Option<Uuid>,
}

/// Decisions in the order in which they were made, of which one at a time is on its way.
#[derive(Debug, Default)]
pub(super) struct Queue {
    sent: Option<Decision>,
    waiting: VecDeque<Decision>,
}

impl Queue {
    pub(super) fn push(&mut self, decision: Decision) {
        self.waiting.push_back(decision);
    }

    /// The decision to send next, which is on its way from then on; none while another one is.
    pub(super) fn send(&mut self) -> Option<Decision> {
        if self.sent.is_some() {
            return None;
        }
        self.sent = self.waiting.pop_front();
        self.sent
    }

    /// The answer is there, or there is nothing to wait for.
    pub(super) const fn answered(&mut self) {
        self.sent = None;
    }

    /// Drops what was not sent.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// Whether the proposal will be decided when all is answered; none where nothing here is about it.
    pub(super) fn decides(&self, id: Uuid) -> Option<bool> {
        self.newest_first().find(|decision| decision.id == id).map(|decision| decision.review != Review::Undo)
    }

    /// The proposal that is decided last here and not taken back again.
    pub(super) fn last_decided(&self) -> Option<Uuid> {
        let stands = |decision: &&Decision| decision.review != Review::Undo && self.decides(decision.id) == Some(true);
        self.newest_first().find(stands).map(|decision| decision.id)
    }

    fn newest_first(&self) -> impl Iterator<Item = &Decision> {
        self.waiting.iter().rev().chain(&self.sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(decisions: &[(u128, Review)]) -> Queue {
        let mut queue = Queue::default();
        for (id, review) in decisions {
            queue.push(Decision { id: Uuid::from_u128(*id), review: *review, into: None });
        }
        queue
    }

    #[test]
    fn one_is_on_its_way_at_a_time_in_their_order() {
        let mut queue = queue(&[(1, Review::Approve), (2, Review::Reject), (3, Review::Reject)]);
        let send = |queue: &mut Queue| queue.send().map(|decision| decision.id.as_u128());
        assert_eq!(send(&mut queue), Some(1));
        assert_eq!(send(&mut queue), None, "the first has no answer yet");
        queue.answered();
        assert_eq!(send(&mut queue), Some(2));
        queue.clear();
        assert_eq!(queue.decides(Uuid::from_u128(2)), Some(true), "what was sent can't be dropped");
        queue.answered();
        assert_eq!(send(&mut queue), None);
    }

    #[test]
    fn the_newest_decision_about_a_proposal_counts() {
        let mut queue = queue(&[(1, Review::Approve), (2, Review::Reject), (2, Review::Undo)]);
        queue.send();
        let decides = [1, 2, 3].map(|id| queue.decides(Uuid::from_u128(id)));
        assert_eq!(decides, [Some(true), Some(false), None]);
        assert_eq!(queue.last_decided(), Some(Uuid::from_u128(1)));
        queue.push(Decision { id: Uuid::from_u128(2), review: Review::Merge, into: None });
        assert_eq!(queue.last_decided(), Some(Uuid::from_u128(2)));
    }
}
