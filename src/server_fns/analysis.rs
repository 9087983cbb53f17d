//! Analysis runs and their proposals.
#![expect(missing_docs, reason = "the macro makes public fields of the arguments, which the function documents")]

use leptos::{prelude::*, server_fn::codec::Json};
use taskscope_wire::{Assignment, NewRun, Page, Project, Proposal, ProposalQuery, Review, Run, RunLogLine, RunQuery, RunStarted};
use uuid::Uuid;

use super::Caller;
use crate::error::AppError;

/// A page of analysis runs, newest first.
///
/// # Errors
/// The query asks for what is not allowed, or the database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "runs", input = Json, client = Caller)]
pub async fn get_runs(query: RunQuery) -> Result<Page<Run>, AppError> {
    use crate::server::workload::Workload;
    Ok(taskscope_workload::analysis::runs(expect_context::<Workload>().pool(), &query).await?)
}

/// One analysis run.
///
/// # Errors
/// There is no such run, or the database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "run", input = Json, client = Caller)]
pub async fn get_run(id: Uuid) -> Result<Run, AppError> {
    use crate::server::workload::Workload;
    Ok(taskscope_workload::analysis::run(expect_context::<Workload>().pool(), id).await?)
}

/// The lines of a run's log after line `after` (0: from the first), at most a thousand.
///
/// # Errors
/// There is no such run, or the database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "run_log", input = Json, client = Caller)]
pub async fn get_run_log(id: Uuid, after: i64) -> Result<Vec<RunLogLine>, AppError> {
    use crate::server::workload::Workload;
    Ok(taskscope_workload::analysis::run_log(expect_context::<Workload>().pool(), id, after).await?)
}

/// Makes a run, which waits to be started.
///
/// # Errors
/// A field is wrong, or the database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "create_run", input = Json, client = Caller)]
pub async fn create_run(new: NewRun) -> Result<Run, AppError> {
    use crate::server::workload::Workload;
    Ok(taskscope_workload::analysis::create_run(expect_context::<Workload>().pool(), &new).await?)
}

/// Puts a run into the queue.
///
/// # Errors
/// There is no such run, it was started already, its assignment is not there, or the database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "start_run", input = Json, client = Caller)]
pub async fn start_run(id: Uuid) -> Result<RunStarted, AppError> {
    use crate::server::workload::Workload;
    let workload = expect_context::<Workload>();
    Ok(taskscope_workload::analysis::start_run(workload.queue().await?, id).await?)
}

/// Stops a run that is not over.
///
/// # Errors
/// There is no such run, it is over, or the database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "cancel_run", input = Json, client = Caller)]
pub async fn cancel_run(id: Uuid) -> Result<Run, AppError> {
    use crate::server::workload::Workload;
    Ok(taskscope_workload::analysis::cancel_run(expect_context::<Workload>().pool(), id).await?)
}

/// Makes the review of a run final.
///
/// # Errors
/// There is no such run, proposals are not reviewed, or the database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "close_run", input = Json, client = Caller)]
pub async fn close_run(id: Uuid) -> Result<Run, AppError> {
    use crate::server::workload::Workload;
    Ok(taskscope_workload::analysis::close_run(expect_context::<Workload>().pool(), id).await?)
}

/// A page of proposals, in the order in which they were made.
///
/// # Errors
/// The query asks for what is not allowed, or the database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "proposals", input = Json, client = Caller)]
pub async fn get_proposals(query: ProposalQuery) -> Result<Page<Proposal>, AppError> {
    use crate::server::workload::Workload;
    Ok(taskscope_workload::analysis::proposals(expect_context::<Workload>().pool(), &query).await?)
}

/// One proposal.
///
/// # Errors
/// There is no such proposal, or the database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "proposal", input = Json, client = Caller)]
pub async fn get_proposal(id: Uuid) -> Result<Proposal, AppError> {
    use crate::server::workload::Workload;
    Ok(taskscope_workload::analysis::proposal(expect_context::<Workload>().pool(), id).await?)
}

/// Reviews a proposal, or takes a review back, until its run is closed; `into` is what it is merged into.
///
/// # Errors
/// There is no such proposal, its run is closed, the target of a merge is wrong, or the database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "review_proposal", input = Json, client = Caller)]
pub async fn review_proposal(id: Uuid, review: Review, into: Option<Uuid>) -> Result<Proposal, AppError> {
    use crate::server::workload::Workload;
    let merge = taskscope_wire::MergeRequest { into };
    Ok(taskscope_workload::analysis::review(expect_context::<Workload>().pool(), id, review, &merge).await?)
}

/// Which active agents do which tasks.
///
/// # Errors
/// The database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "assignments", input = Json, client = Caller)]
pub async fn get_assignments() -> Result<Vec<Assignment>, AppError> {
    use crate::server::workload::Workload;
    Ok(taskscope_workload::analysis::assignments(expect_context::<Workload>().pool(), true).await?)
}

/// The projects, by name.
///
/// # Errors
/// The database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "projects", input = Json, client = Caller)]
pub async fn get_projects() -> Result<Vec<Project>, AppError> {
    use crate::server::workload::Workload;
    Ok(taskscope_workload::analysis::projects(expect_context::<Workload>().pool()).await?)
}
