//! Which of the waiting events are stored next.
//!
//! Usually the oldest. Where a backlog waits, as after an outage, what came before and what comes from now on take turns, so that a screen
//! shows what happens now while the backlog is stored. The fold doesn't mind the order. What is durable are the batches that are not
//! forgotten yet, so that a crash at any moment costs nothing but turns.

use super::spool::Ids;

/// Waiting events from which on they are a backlog.
const BACKLOG: u64 = 8000;

/// What is stored of the spool, and whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Turns {
    /// All batches up to this one are stored.
    old: i64,
    /// While a backlog waits, what came after it.
    new: Option<New>,
}

/// What comes while a backlog waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct New {
    /// Those of them that are stored.
    stored: Ids,
    /// Whether it is its turn.
    next: bool,
    /// Whether there was anything at its last turn.
    busy: bool,
}

impl Turns {
    /// Whether so many waiting events have become a backlog.
    pub(super) fn find_backlog(&self, waiting: u64) -> bool {
        self.new.is_none() && waiting > BACKLOG
    }

    /// From now on what comes after this batch takes turns with what is up to it.
    pub(super) fn split(&mut self, at: i64) {
        let at = at.max(self.old);
        self.new = Some(New { stored: Ids { after: at, up_to: at }, next: true, busy: false });
    }

    /// What is read next.
    pub(super) fn next(&self) -> Ids {
        match self.new {
            Some(new) if new.next => Ids { after: new.stored.up_to, up_to: i64::MAX },
            _ => self.oldest(),
        }
    }

    /// The oldest that wait.
    pub(super) fn oldest(&self) -> Ids {
        Ids { after: self.old, up_to: self.new.map_or(i64::MAX, |new| new.stored.after) }
    }

    /// Whether something comes that would wait for a large batch of the backlog.
    pub(super) fn is_busy(&self) -> bool {
        self.new.is_some_and(|new| new.busy)
    }

    /// What was read is stored up to this batch; if that is where it began, there was nothing. Says whether there may be more.
    pub(super) fn store(&mut self, up_to: i64) -> bool {
        let read = self.next();
        let some = up_to > read.after;
        match &mut self.new {
            None => {
                self.old = up_to;
                some
            }
            Some(new) if new.next => {
                new.stored.up_to = up_to;
                (new.next, new.busy) = (false, some);
                true
            }
            Some(new) => {
                self.old = up_to;
                new.next = true;
                if up_to >= read.up_to || !some {
                    // The backlog is stored.
                    self.old = new.stored.up_to;
                    self.new = None;
                }
                true
            }
        }
    }

    /// Whether a batch is stored.
    pub(super) fn hold(&self, id: i64) -> bool {
        id <= self.old || self.new.is_some_and(|new| new.stored.hold(id))
    }

    /// What the spool may forget.
    pub(super) fn stored(&self) -> impl Iterator<Item = Ids> {
        let old = Ids { after: 0, up_to: self.old };
        std::iter::once(old).chain(self.new.map(|new| new.stored)).filter(|ids| ids.after < ids.up_to)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Stores a batch of a spool that holds these ones; the batch.
    fn turn(turns: &mut Turns, spool: &BTreeSet<i64>) -> Option<i64> {
        let ids = turns.next();
        let batch = spool.iter().copied().find(|id| ids.hold(*id));
        turns.store(batch.unwrap_or(ids.after));
        batch
    }

    #[test]
    fn without_a_backlog_the_oldest_is_next() {
        let (mut turns, spool) = (Turns::default(), (1..=3).collect());
        assert!(!turns.find_backlog(BACKLOG));
        let order: Vec<_> = (0..4).map(|_| turn(&mut turns, &spool)).collect();
        assert_eq!(order, [Some(1), Some(2), Some(3), None]);
    }

    #[test]
    fn a_backlog_and_what_comes_take_turns_and_nothing_is_left_out_or_stored_twice() {
        let (mut turns, mut spool) = (Turns::default(), (1..=5).collect::<BTreeSet<i64>>());
        assert!(turns.find_backlog(BACKLOG + 1));
        turns.split(5);
        assert!(!turns.find_backlog(BACKLOG + 1), "it is known");
        let (mut order, mut forgotten) = (Vec::new(), BTreeSet::new());
        for round in 0..20 {
            if round % 3 == 0 && round < 12 {
                spool.insert(6 + round / 3);
            }
            order.extend(turn(&mut turns, &spool));
            // Nothing may be forgotten before it is stored: that is all that a crash could lose.
            forgotten = turns.stored().flat_map(|ids| spool.iter().copied().filter(move |id| ids.hold(*id))).collect();
            assert_eq!(forgotten, order.iter().copied().collect::<BTreeSet<i64>>());
            assert!(spool.iter().all(|id| turns.hold(*id) == forgotten.contains(id)));
        }
        assert_eq!(order, [6, 1, 2, 7, 3, 8, 4, 5, 9], "what is new waits for one batch of the backlog at the most");
        assert_eq!((forgotten, turns.new), (spool, None));
    }
}
