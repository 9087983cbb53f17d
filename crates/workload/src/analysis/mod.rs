//! Analysis runs: an agent proposes the tasks that follow from messages, and people review them.
//!
//! **Promises.** What happens to a run is told in the transaction in which it happens, so that events are never ahead of the tables or
//! lost. A run that is interrupted goes on with its first batch that is not done: a batch's proposals, the run's counters and their event
//! are one transaction, so no proposal is lost or saved twice. Whoever changes a run locks its row first. An attempt whose place another
//! one has taken writes nothing more.

pub mod agents;
mod assignments;
mod batches;
mod checks;
mod classify;
mod close;
mod draft;
mod duplicates;
mod executor;
mod journal;
pub(crate) mod keywords;
mod prefilter;
pub mod projects;
mod proposals;
mod review;
mod run_row;
mod runs;
mod setup;
mod start;
pub mod task_configs;

pub use assignments::{AssignmentChange, NewAssignment, assign, assignment, assignments, change_assignment, delete_assignment};
pub use close::close_run;
pub(crate) use executor::{Outcome, execute, give_up};
pub use projects::list as projects;
pub use proposals::{proposal, proposals};
pub use review::review;
pub use runs::{cancel_run, create_run, run, run_log, runs};
pub use start::start_run;

use uuid::Uuid;

/// The assignment that comes with the program: the keyword rules propose tasks.
pub const BUILT_IN_ASSIGNMENT: Uuid = Uuid::from_u128(0x4000_8000_0000_0000_0004);
