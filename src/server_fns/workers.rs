//! Workers and queues, and the events that couldn't be stored.

use leptos::{prelude::*, server_fn::codec::Json};
use taskscope_wire::{Replayed, Workers};

use super::Caller;
use crate::error::AppError;

/// The workers that send heartbeats, what each runs now, and what waits in which queue.
///
/// # Errors
/// The database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "workers", input = Json, client = Caller)]
pub async fn get_workers() -> Result<Workers, AppError> {
    use crate::server::store::Store;
    Ok(expect_context::<Store>().workers().await?)
}

/// Sends the events that were accepted and couldn't be stored again, as if they came now. What refused them may refuse them again.
///
/// # Errors
/// Who asks may only look, the database doesn't answer, or too much waits already.
#[server(prefix = "/api/fn", endpoint = "replay_dead_letters", input = Json, client = Caller)]
pub async fn replay_dead_letters() -> Result<Replayed, AppError> {
    crate::server::page_replay().await
}
