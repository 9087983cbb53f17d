use std::collections::HashMap;

use sqlx::{PgPool, Postgres, QueryBuilder, Row, postgres::PgRow};
use taskscope_wire::{Atom, AtomQuery, AtomStatus, AtomVersion, Message, Page, check_page};
use uuid::Uuid;

use super::push_search;
use crate::{ServiceError, bounds};

const SELECT: &str =
    "select a.id, a.topic_id, t.name as topic_name, a.kind, a.title, a.content, a.confidence, a.status, a.auto_approved,
    a.version, a.created_at, a.updated_at, (select count(*) from atom_messages m where m.atom_id = a.id) as message_count";

/// A page of atoms, the newest first; those of one topic with the messages that they came from.
///
/// # Errors
/// The query asks for what is not allowed, or Postgres doesn't answer.
pub async fn atoms(pool: &PgPool, query: &AtomQuery) -> Result<Page<Atom>, ServiceError> {
    check_page(query.page, query.page_size).map_err(ServiceError::Invalid)?;
    bounds::search("q", query.q.as_deref())?;
    let total_count: i64 = filtered("select count(*)", query).build_query_scalar().fetch_one(pool).await?;
    let mut page = filtered(SELECT, query);
    page.push(" order by a.created_at desc, a.id desc limit ").push_bind(query.page_size);
    page.push(" offset ").push_bind((query.page - 1) * query.page_size);
    let mut items = page.build().try_map(|row| from_row(&row)).fetch_all(pool).await?;
    if query.topic_id.is_some() {
        add_messages(pool, &mut items).await?;
    }
    Ok(Page::new(total_count, query.page, query.page_size, items))
}

/// One atom, with the messages that it came from.
///
/// # Errors
/// There is no such atom, or Postgres doesn't answer.
pub async fn atom(pool: &PgPool, id: Uuid) -> Result<Atom, ServiceError> {
    let mut sql = QueryBuilder::new(SELECT);
    sql.push(" from atoms a join topics t on t.id = a.topic_id where a.id = ").push_bind(id);
    let mut found = sql.build().try_map(|row| from_row(&row)).fetch_all(pool).await?;
    add_messages(pool, &mut found).await?;
    found.pop().ok_or_else(|| not_found(id))
}

/// How an atom was over time, the newest version first.
///
/// # Errors
/// There is no such atom, or Postgres doesn't answer.
pub async fn atom_versions(pool: &PgPool, id: Uuid) -> Result<Vec<AtomVersion>, ServiceError> {
    let versions = sqlx::query_as!(
        AtomVersion,
        "select version, title, content, confidence, created_at from atom_versions where atom_id = $1 order by version desc",
        id
    );
    let versions = versions.fetch_all(pool).await?;
    // An atom has a version from its first moment.
    if versions.is_empty() { Err(not_found(id)) } else { Ok(versions) }
}

/// Approves or rejects an atom, or takes that back. The clock decides nothing about it after that.
///
/// # Errors
/// There is no such atom, or Postgres doesn't answer.
pub async fn review_atom(pool: &PgPool, id: Uuid, status: AtomStatus) -> Result<Atom, ServiceError> {
    let reviewed = sqlx::query!(
        "update atoms set status = $2, auto_approved = false, reviewed_at = now(), updated_at = now() where id = $1",
        id,
        status.to_string(),
    );
    reviewed.execute(pool).await?;
    atom(pool, id).await
}

fn filtered(select: &str, query: &AtomQuery) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new(select);
    sql.push(" from atoms a join topics t on t.id = a.topic_id where true");
    if let Some(topic_id) = query.topic_id {
        sql.push(" and a.topic_id = ").push_bind(topic_id);
    }
    if let Some(status) = query.status {
        sql.push(" and a.status = ").push_bind(status.to_string());
    }
    if let Some(kind) = query.kind {
        sql.push(" and a.kind = ").push_bind(kind.to_string());
    }
    push_search(&mut sql, ["a.title", "a.content"], query.q.as_deref());
    sql
}

async fn add_messages(pool: &PgPool, atoms: &mut [Atom]) -> Result<(), sqlx::Error> {
    let ids: Vec<_> = atoms.iter().map(|atom| atom.id).collect();
    let rows = sqlx::query!(
        "select a.atom_id, m.id, m.external_id, m.channel, m.author, m.content, m.sent_at, m.edited_at, m.score, m.sample
         from atom_messages a join messages m on m.id = a.message_id where a.atom_id = any($1) order by m.sent_at, m.id",
        &ids
    );
    let mut messages: HashMap<Uuid, Vec<Message>> = HashMap::new();
    for row in rows.fetch_all(pool).await? {
        messages.entry(row.atom_id).or_default().push(Message {
            id: row.id,
            external_id: row.external_id,
            channel: row.channel,
            author: row.author,
            content: row.content,
            sent_at: row.sent_at,
            edited_at: row.edited_at,
            score: row.score,
            sample: row.sample,
        });
    }
    for atom in atoms {
        atom.messages = messages.remove(&atom.id).unwrap_or_default();
    }
    Ok(())
}

fn from_row(row: &PgRow) -> Result<Atom, sqlx::Error> {
    Ok(Atom {
        id: row.try_get("id")?,
        topic_id: row.try_get("topic_id")?,
        topic_name: row.try_get("topic_name")?,
        kind: word(row, "kind")?,
        title: row.try_get("title")?,
        content: row.try_get("content")?,
        confidence: row.try_get("confidence")?,
        status: word(row, "status")?,
        auto_approved: row.try_get("auto_approved")?,
        version: row.try_get("version")?,
        messages: Vec::new(),
        message_count: row.try_get("message_count")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

fn word<T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    row: &PgRow,
    column: &str,
) -> Result<T, sqlx::Error> {
    row.try_get::<&str, _>(column)?.parse().map_err(|error: T::Err| sqlx::Error::Decode(error.into()))
}

fn not_found(id: Uuid) -> ServiceError {
    ServiceError::NotFound(format!("atom {id}"))
}
