//! What was learned from messages.
#![expect(missing_docs, reason = "the macro makes public fields of the arguments, which the function documents")]

use leptos::{prelude::*, server_fn::codec::Json};
use taskscope_wire::{Atom, AtomQuery, AtomStatus, Message, Page, Topic, TopicQuery};
use uuid::Uuid;

use super::Caller;
use crate::error::AppError;

/// A page of topics, the one that changed last first.
///
/// # Errors
/// The query asks for what is not allowed, or the database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "topics", input = Json, client = Caller)]
pub async fn get_topics(query: TopicQuery) -> Result<Page<Topic>, AppError> {
    use crate::server::workload::Workload;
    Ok(taskscope_workload::knowledge::topics(expect_context::<Workload>().pool(), &query).await?)
}

/// One topic.
///
/// # Errors
/// There is no such topic, or the database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "topic", input = Json, client = Caller)]
pub async fn get_topic(id: Uuid) -> Result<Topic, AppError> {
    use crate::server::workload::Workload;
    Ok(taskscope_workload::knowledge::topic(expect_context::<Workload>().pool(), id).await?)
}

/// A page of atoms, the newest first; those of one topic with the messages that they came from.
///
/// # Errors
/// The query asks for what is not allowed, or the database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "atoms", input = Json, client = Caller)]
pub async fn get_atoms(query: AtomQuery) -> Result<Page<Atom>, AppError> {
    use crate::server::workload::Workload;
    Ok(taskscope_workload::knowledge::atoms(expect_context::<Workload>().pool(), &query).await?)
}

/// Approves or rejects an atom, or takes that back.
///
/// # Errors
/// There is no such atom, or the database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "review_atom", input = Json, client = Caller)]
pub async fn review_atom(id: Uuid, status: AtomStatus) -> Result<Atom, AppError> {
    use crate::server::workload::Workload;
    Ok(taskscope_workload::knowledge::review_atom(expect_context::<Workload>().pool(), id, status).await?)
}

/// The messages with these numbers, oldest first, at most fifty.
///
/// # Errors
/// The database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "messages", input = Json, client = Caller)]
pub async fn get_messages(ids: Vec<i64>) -> Result<Vec<Message>, AppError> {
    use crate::server::workload::Workload;
    Ok(taskscope_workload::knowledge::messages(expect_context::<Workload>().pool(), &ids).await?)
}
