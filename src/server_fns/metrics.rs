//! Task types, and counts of each.
#![expect(missing_docs, reason = "the macro makes public fields of the arguments, which the function documents")]

use leptos::{prelude::*, server_fn::codec::Json};
use taskscope_wire::Metrics;

use super::Caller;
use crate::error::AppError;

/// How every task type did in the last `time_window` hours (1 to 720).
///
/// # Errors
/// The window is out of bounds, or the database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "metrics", input = Json, client = Caller)]
pub async fn get_metrics(time_window: u32) -> Result<Metrics, AppError> {
    use crate::server::store::Store;
    Ok(expect_context::<Store>().metrics(time_window).await?)
}

/// The task types: those that are registered, then the others that have reported, by name.
///
/// # Errors
/// The database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "task_names", input = Json, client = Caller)]
pub async fn get_task_names() -> Result<Vec<String>, AppError> {
    use crate::server::store::Store;
    Ok(expect_context::<Store>().task_names().await?)
}
