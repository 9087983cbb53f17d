//! The live feed as it starts.

use leptos::{prelude::*, server_fn::codec::Json};
use taskscope_wire::MissedEvents;

use super::Caller;
use crate::error::AppError;

/// The newest events, oldest first, and the place in the live stream after them.
///
/// # Errors
/// The database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "events", input = Json, client = Caller)]
pub async fn latest_events() -> Result<MissedEvents, AppError> {
    use crate::server::store::Store;
    Ok(expect_context::<Store>().latest_events().await?)
}
