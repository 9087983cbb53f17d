//! Analysis runs: an agent proposes the tasks that follow from messages, and people review them.

use sqlx::PgPool;
use taskscope_wire::{
    Assignment, MergeRequest, NewRun, Page, Project, Proposal, ProposalQuery, Review, Run, RunLogLine, RunQuery, RunStarted,
};
use uuid::Uuid;

use crate::{Queue, ServiceError};

/// The assignment that comes with the program: the keyword rules propose tasks.
pub const BUILT_IN_ASSIGNMENT: Uuid = Uuid::from_u128(0x0000_0000_0000_4000_8000_0000_0000_0004);

/// Makes a run, which waits to be started.
///
/// # Errors
/// A field is wrong, or Postgres doesn't answer.
pub async fn create_run(_pool: &PgPool, _new: &NewRun) -> Result<Run, ServiceError> {
    Err(ServiceError::NotFound("analysis yet".to_owned()))
}

/// Puts a run into the queue. A run whose assignment is not there is failed.
///
/// # Errors
/// There is no such run, it was started already, its assignment is not there, or Postgres doesn't answer.
pub async fn start_run(_queue: &Queue, _id: Uuid) -> Result<RunStarted, ServiceError> {
    Err(ServiceError::NotFound("analysis yet".to_owned()))
}

/// Stops a run that is not over.
///
/// # Errors
/// There is no such run, it is over, or Postgres doesn't answer.
pub async fn cancel_run(_pool: &PgPool, _id: Uuid) -> Result<Run, ServiceError> {
    Err(ServiceError::NotFound("analysis yet".to_owned()))
}

/// Makes the review of a run final.
///
/// # Errors
/// There is no such run, proposals are not reviewed, or Postgres doesn't answer.
pub async fn close_run(_pool: &PgPool, _id: Uuid) -> Result<Run, ServiceError> {
    Err(ServiceError::NotFound("analysis yet".to_owned()))
}

/// A page of runs, newest first.
///
/// # Errors
/// The query asks for what is not allowed, or Postgres doesn't answer.
pub async fn runs(_pool: &PgPool, _query: &RunQuery) -> Result<Page<Run>, ServiceError> {
    Err(ServiceError::NotFound("analysis yet".to_owned()))
}

/// One run.
///
/// # Errors
/// There is no such run, or Postgres doesn't answer.
pub async fn run(_pool: &PgPool, _id: Uuid) -> Result<Run, ServiceError> {
    Err(ServiceError::NotFound("analysis yet".to_owned()))
}

/// The lines of a run's log after this one (0: from the first), oldest first, at most a thousand.
///
/// # Errors
/// There is no such run, or Postgres doesn't answer.
pub async fn run_log(_pool: &PgPool, _id: Uuid, _after: i64) -> Result<Vec<RunLogLine>, ServiceError> {
    Err(ServiceError::NotFound("analysis yet".to_owned()))
}

/// A page of proposals, in the order in which they were made.
///
/// # Errors
/// The query asks for what is not allowed, or Postgres doesn't answer.
pub async fn proposals(_pool: &PgPool, _query: &ProposalQuery) -> Result<Page<Proposal>, ServiceError> {
    Err(ServiceError::NotFound("analysis yet".to_owned()))
}

/// One proposal.
///
/// # Errors
/// There is no such proposal, or Postgres doesn't answer.
pub async fn proposal(_pool: &PgPool, _id: Uuid) -> Result<Proposal, ServiceError> {
    Err(ServiceError::NotFound("analysis yet".to_owned()))
}

/// Reviews a proposal, or takes a review back, until its run is closed.
///
/// # Errors
/// There is no such proposal, its run is closed, the target of a merge is wrong, or Postgres doesn't answer.
pub async fn review(_pool: &PgPool, _id: Uuid, _review: Review, _merge: &MergeRequest) -> Result<Proposal, ServiceError> {
    Err(ServiceError::NotFound("analysis yet".to_owned()))
}

/// Which agents do which tasks.
///
/// # Errors
/// Postgres doesn't answer.
pub async fn assignments(_pool: &PgPool, _active_only: bool) -> Result<Vec<Assignment>, ServiceError> {
    Err(ServiceError::NotFound("analysis yet".to_owned()))
}

/// The projects, by name.
///
/// # Errors
/// Postgres doesn't answer.
pub async fn projects(_pool: &PgPool) -> Result<Vec<Project>, ServiceError> {
    Err(ServiceError::NotFound("analysis yet".to_owned()))
}
