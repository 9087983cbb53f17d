//! What a search can be about.

use leptos::{prelude::*, server_fn::codec::Json};
use taskscope_wire::search::Known;

use super::Caller;
use crate::error::AppError;

/// Task types, workers, queues and params that are known, to complete a search with.
///
/// # Errors
/// The database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "search_words", input = Json, client = Caller)]
pub async fn get_search_words() -> Result<Known, AppError> {
    use crate::server::store::Store;
    Ok(expect_context::<Store>().search_words().await?)
}
