use sqlx::{PgPool, Postgres, QueryBuilder, Row, postgres::PgRow};
use taskscope_wire::{Page, Topic, TopicQuery, check_page};
use uuid::Uuid;

use super::push_search;
use crate::{ServiceError, bounds};

const SELECT: &str = "select t.id, t.name, t.description, t.summary, t.summarized_at, t.created_at, t.updated_at,
    (select count(*) from atoms a where a.topic_id = t.id) as atoms,
    (select count(*) from atoms a where a.topic_id = t.id and a.status = 'approved') as atoms_approved,
    (select count(*) from topic_messages m where m.topic_id = t.id) as messages";

/// A page of topics, the one that changed last first.
///
/// # Errors
/// The query asks for what is not allowed, or Postgres doesn't answer.
pub async fn topics(pool: &PgPool, query: &TopicQuery) -> Result<Page<Topic>, ServiceError> {
    check_page(query.page, query.page_size).map_err(ServiceError::Invalid)?;
    bounds::search("q", query.q.as_deref())?;
    let total_count: i64 = filtered("select count(*)", query).build_query_scalar().fetch_one(pool).await?;
    let mut page = filtered(SELECT, query);
    page.push(" order by t.updated_at desc, t.id desc limit ").push_bind(query.page_size);
    page.push(" offset ").push_bind((query.page - 1) * query.page_size);
    let items = page.build().try_map(|row| from_row(&row)).fetch_all(pool).await?;
    Ok(Page::new(total_count, query.page, query.page_size, items))
}

/// One topic.
///
/// # Errors
/// There is no such topic, or Postgres doesn't answer.
pub async fn topic(pool: &PgPool, id: Uuid) -> Result<Topic, ServiceError> {
    let mut sql = QueryBuilder::new(SELECT);
    sql.push(" from topics t where t.id = ").push_bind(id);
    let topic = sql.build().try_map(|row| from_row(&row)).fetch_optional(pool).await?;
    topic.ok_or_else(|| ServiceError::NotFound(format!("topic {id}")))
}

fn filtered(select: &str, query: &TopicQuery) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new(select);
    sql.push(" from topics t where true");
    push_search(&mut sql, ["t.name", "t.description"], query.q.as_deref());
    sql
}

fn from_row(row: &PgRow) -> Result<Topic, sqlx::Error> {
    Ok(Topic {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        summary: row.try_get("summary")?,
        summarized_at: row.try_get("summarized_at")?,
        atoms: row.try_get("atoms")?,
        atoms_approved: row.try_get("atoms_approved")?,
        messages: row.try_get("messages")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
