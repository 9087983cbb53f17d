//! Workers and queues.

use leptos::{prelude::*, server_fn::codec::Json};
use taskscope_wire::Workers;

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
