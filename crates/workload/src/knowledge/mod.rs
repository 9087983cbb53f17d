//! What was learned from messages: topics, and the atoms of knowledge in them.

use sqlx::PgPool;
use taskscope_wire::{Atom, AtomQuery, AtomStatus, AtomVersion, Message, Page, Topic, TopicQuery};
use uuid::Uuid;

use crate::ServiceError;

/// A page of topics, the one that changed last first.
///
/// # Errors
/// The query asks for what is not allowed, or Postgres doesn't answer.
pub async fn topics(_pool: &PgPool, _query: &TopicQuery) -> Result<Page<Topic>, ServiceError> {
    Err(ServiceError::NotFound("knowledge yet".to_owned()))
}

/// One topic.
///
/// # Errors
/// There is no such topic, or Postgres doesn't answer.
pub async fn topic(_pool: &PgPool, _id: Uuid) -> Result<Topic, ServiceError> {
    Err(ServiceError::NotFound("knowledge yet".to_owned()))
}

/// A page of atoms, the newest first; those of one topic with the messages that they came from.
///
/// # Errors
/// The query asks for what is not allowed, or Postgres doesn't answer.
pub async fn atoms(_pool: &PgPool, _query: &AtomQuery) -> Result<Page<Atom>, ServiceError> {
    Err(ServiceError::NotFound("knowledge yet".to_owned()))
}

/// One atom, with the messages that it came from.
///
/// # Errors
/// There is no such atom, or Postgres doesn't answer.
pub async fn atom(_pool: &PgPool, _id: Uuid) -> Result<Atom, ServiceError> {
    Err(ServiceError::NotFound("knowledge yet".to_owned()))
}

/// How an atom was over time, the newest version first.
///
/// # Errors
/// There is no such atom, or Postgres doesn't answer.
pub async fn atom_versions(_pool: &PgPool, _id: Uuid) -> Result<Vec<AtomVersion>, ServiceError> {
    Err(ServiceError::NotFound("knowledge yet".to_owned()))
}

/// Approves or rejects an atom, or takes that back.
///
/// # Errors
/// There is no such atom, or Postgres doesn't answer.
pub async fn review_atom(_pool: &PgPool, _id: Uuid, _status: AtomStatus) -> Result<Atom, ServiceError> {
    Err(ServiceError::NotFound("knowledge yet".to_owned()))
}

/// The messages with these numbers, oldest first; at most fifty of them.
///
/// # Errors
/// Postgres doesn't answer.
pub async fn messages(_pool: &PgPool, _ids: &[i64]) -> Result<Vec<Message>, ServiceError> {
    Err(ServiceError::NotFound("knowledge yet".to_owned()))
}
