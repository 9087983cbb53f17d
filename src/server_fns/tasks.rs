//! The task types of Taskscope's own worker.
#![expect(missing_docs, reason = "the macro makes public fields of the arguments, which the function documents")]

use leptos::{prelude::*, server_fn::codec::Json};
use taskscope_wire::{Import, Json as Params, TaskType, Triggered};

use super::Caller;
use crate::error::AppError;

/// The task types that the own worker runs, with what they take.
///
/// # Errors
/// The server is not reached.
#[server(prefix = "/api/fn", endpoint = "task_types", input = Json, client = Caller)]
pub async fn get_task_types() -> Result<Vec<TaskType>, AppError> {
    use crate::server::workload::Workload;
    Ok(expect_context::<Workload>().task_types().to_vec())
}

/// Puts a task into its queue.
///
/// # Errors
/// There is no such task type, a param is wrong, or the database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "trigger", input = Json, client = Caller)]
pub async fn trigger_task(name: String, params: Params) -> Result<Triggered, AppError> {
    use crate::server::workload::Workload;
    Ok(expect_context::<Workload>().trigger(&name, Some(params)).await?)
}

/// How far the newest imports of messages have come, newest first.
///
/// # Errors
/// The database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "imports", input = Json, client = Caller)]
pub async fn get_imports() -> Result<Vec<Import>, AppError> {
    use crate::server::workload::Workload;
    Ok(expect_context::<Workload>().imports().await?)
}
