//! Counts that cost the same whatever the log holds: cells of task type and status by hour and by day.
//!
//! **Promises.** In any snapshot, cells plus deltas are exactly what the log holds, but for marked hours, which are read from the log.
//! [`BatchTx::count`](super::BatchTx::count) adds what a batch changes in the batch's own transaction; triggers mark hours that others write;
//! [`Store::keep_rollups`](super::Store::keep_rollups) merges and counts anew, and may be late or fail without making anything wrong.
//!
//! **Refuses** nothing. **Fails** with the query that reads it.

mod cell;
mod check;
mod delta;
mod histogram;
mod plan;
mod read;
mod seek;
mod times;
mod upkeep;

pub(in crate::server) use self::{
    cell::{Fact, wait},
    read::{Block, Window, blocks, names},
    seek::{Counted, Place},
    times::Times,
};
pub use self::{
    check::Difference,
    delta::{BatchCounts, Loaded},
};
