//! Executions: pages of them, and single ones.
#![expect(missing_docs, reason = "the macro makes public fields of the arguments, which the function documents")]

use leptos::{prelude::*, server_fn::codec::Json};
use taskscope_wire::{Execution, HistoryPage, HistoryQuery};

use super::Caller;
use crate::error::AppError;

/// A page of history, newest first, without params, labels, results and tracebacks.
///
/// # Errors
/// The search is none, or the database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "history", input = Json, client = Caller)]
pub async fn get_history(query: HistoryQuery) -> Result<HistoryPage, AppError> {
    use crate::server::store::Store;
    query.search().map_err(|invalid| AppError::from(invalid).with_status())?;
    let mut page = expect_context::<Store>().history(&query).await?;
    page.items = page.items.into_iter().map(Execution::brief).collect();
    Ok(page)
}

/// One execution, whole, with all attempts of its task.
///
/// # Errors
/// There is no such execution, or the database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "execution", input = Json, client = Caller)]
pub async fn get_execution(id: i64) -> Result<Execution, AppError> {
    use crate::server::store::Store;
    let execution = expect_context::<Store>().execution(id).await?;
    execution.ok_or_else(|| AppError::NotFound(format!("execution {id}")).with_status())
}
