//! What was learned from messages: topics, and the atoms of knowledge in them.
//!
//! **Promises.** The same extraction twice makes no doubles: a topic is known by its name, an atom by its topic, kind and title. An atom that
//! says something else than before is a new version, and waits for review again if it was approved. What a batch of messages gave and that
//! they were looked through is written in one transaction.

mod answer;
mod atoms;
mod batch;
pub(crate) mod embeddings;
pub(crate) mod extraction;
mod store;
pub(crate) mod summary;
mod topics;

use sqlx::{PgPool, Postgres, QueryBuilder};
use taskscope_wire::Message;

pub use self::{
    atoms::{atom, atom_versions, atoms, review_atom},
    topics::{topic, topics},
};
use crate::ServiceError;

/// The most messages that are read by their numbers at once.
const MOST_MESSAGES: usize = 50;

/// The messages with these numbers, oldest first; at most fifty of them.
///
/// # Errors
/// Postgres doesn't answer.
pub async fn messages(pool: &PgPool, ids: &[i64]) -> Result<Vec<Message>, ServiceError> {
    let ids = &ids[..ids.len().min(MOST_MESSAGES)];
    let rows = sqlx::query_as!(
        Message,
        "select id, external_id, channel, author, content, sent_at, edited_at, score, sample from messages
         where id = any($1) order by sent_at, id",
        ids
    );
    Ok(rows.fetch_all(pool).await?)
}

/// Adds that one of two columns has a text in it, whatever its case.
fn push_search(sql: &mut QueryBuilder<Postgres>, columns: [&'static str; 2], text: Option<&str>) {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return };
    let pattern = format!("%{}%", text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_"));
    let [one, other] = columns;
    sql.push(" and (").push(one).push(" ilike ").push_bind(pattern.clone());
    sql.push(" or ").push(other).push(" ilike ").push_bind(pattern).push(")");
}
