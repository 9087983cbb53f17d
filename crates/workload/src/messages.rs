//! The messages that tasks work on, as others read and write them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool, Postgres, QueryBuilder};

/// A message as `POST /api/v1/messages` takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewMessage {
    /// Who wrote it.
    pub author: String,
    /// Its text.
    pub content: String,
    /// When it was written.
    pub sent_at: DateTime<Utc>,
    /// The chat or channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Its name outside: the same one twice is one message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}

/// A stored message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, sqlx::FromRow)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Message {
    /// Its number.
    pub id: i64,
    /// Its name outside.
    pub external_id: Option<String>,
    /// The chat or channel.
    pub channel: Option<String>,
    /// Who wrote it.
    pub author: String,
    /// Its text.
    pub content: String,
    /// When it was written.
    pub sent_at: DateTime<Utc>,
    /// When it was last edited.
    pub edited_at: Option<DateTime<Utc>>,
    /// How important it is, from 0 to 1, once it is scored.
    pub score: Option<f64>,
    /// Whether it came with the program.
    pub sample: bool,
}

/// What became of a message that was posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InsertedMessage {
    /// Its number.
    pub id: i64,
    /// Whether it is new: not, if its external id was there already.
    pub created: bool,
}

/// Which messages to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[serde(default, deny_unknown_fields)]
pub struct MessageQuery {
    /// Sent at this time or later.
    pub start_date: Option<DateTime<Utc>>,
    /// Sent before this time.
    pub end_date: Option<DateTime<Utc>>,
    /// In this chat or channel.
    pub channel: Option<String>,
    /// With this text in the content or the author's name.
    pub q: Option<String>,
    /// The page, from 1.
    pub page: i64,
    /// Messages a page, 1 to 50.
    pub page_size: i64,
}

impl Default for MessageQuery {
    fn default() -> Self {
        Self { start_date: None, end_date: None, channel: None, q: None, page: 1, page_size: MessageQuery::LARGEST_PAGE }
    }
}

/// A page of messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MessagePage {
    /// How many there are in all.
    pub total_count: i64,
    /// This page, from 1.
    pub page: i64,
    /// Messages a page.
    pub page_size: i64,
    /// How many pages there are.
    pub total_pages: i64,
    /// The messages.
    pub items: Vec<Message>,
}

/// Why messages were not listed or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// A sentence that names the field and what is allowed.
    #[error("{0}")]
    Invalid(String),
    /// Postgres didn't answer.
    #[error("the messages can't be reached")]
    Database(#[from] sqlx::Error),
}

impl MessageQuery {
    /// The most messages a page.
    pub const LARGEST_PAGE: i64 = 50;

    fn check(&self) -> Result<(), MessageError> {
        let invalid = |sentence: String| Err(MessageError::Invalid(sentence));
        if !(1..=1_000_000_000).contains(&self.page) {
            return invalid(format!("page must be 1 or more, not {}", self.page));
        }
        if !(1..=Self::LARGEST_PAGE).contains(&self.page_size) {
            return invalid(format!("page_size must be 1 to {}, not {}", Self::LARGEST_PAGE, self.page_size));
        }
        Ok(())
    }
}

impl NewMessage {
    /// The longest content, in bytes.
    pub const LONGEST_CONTENT: usize = 64 * 1024;
    /// The longest name or external id, in bytes.
    pub const LONGEST_NAME: usize = 512;

    fn check(&self, index: usize) -> Result<(), MessageError> {
        let names =
            [("author", Some(&self.author)), ("channel", self.channel.as_ref()), ("external_id", self.external_id.as_ref())];
        let names = names.into_iter().filter_map(|(field, text)| Some((field, text?, Self::LONGEST_NAME)));
        for (field, text, longest) in names.chain([("content", &self.content, Self::LONGEST_CONTENT)]) {
            if text.trim().is_empty() || text.len() > longest || text.contains('\0') {
                let allowed = format!("must be 1 to {longest} bytes of text without a NUL character");
                return Err(MessageError::Invalid(format!("messages[{index}].{field} {allowed}")));
            }
        }
        Ok(())
    }
}

/// Lists a page of messages.
///
/// # Errors
/// The query asks for what is not allowed, or Postgres doesn't answer.
pub async fn list(pool: &PgPool, query: &MessageQuery) -> Result<MessagePage, MessageError> {
    query.check()?;
    let total_count: i64 = filtered("select count(*)", query).build_query_scalar().fetch_one(pool).await?;
    let mut page = filtered("select id, external_id, channel, author, content, sent_at, edited_at, score, sample", query);
    page.push(" order by sent_at desc, id desc limit ").push_bind(query.page_size);
    page.push(" offset ").push_bind((query.page - 1) * query.page_size);
    let items = page.build_query_as().fetch_all(pool).await?;
    let total_pages = total_count.div_euclid(query.page_size) + i64::from(total_count % query.page_size > 0);
    Ok(MessagePage { total_count, page: query.page, page_size: query.page_size, total_pages, items })
}

fn filtered(select: &str, query: &MessageQuery) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new(select);
    sql.push(" from messages where true");
    if let Some(start) = query.start_date {
        sql.push(" and sent_at >= ").push_bind(start);
    }
    if let Some(end) = query.end_date {
        sql.push(" and sent_at < ").push_bind(end);
    }
    if let Some(channel) = &query.channel {
        sql.push(" and channel = ").push_bind(channel.clone());
    }
    if let Some(text) = query.q.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        let escaped = text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
        let pattern = format!("%{escaped}%");
        sql.push(" and (content ilike ").push_bind(pattern.clone()).push(" or author ilike ").push_bind(pattern).push(")");
    }
    sql
}

/// Keeps messages, all or none, and says in their order what became of each.
///
/// # Errors
/// One of them is not allowed, or Postgres doesn't answer.
pub async fn insert(pool: &PgPool, messages: &[NewMessage]) -> Result<Vec<InsertedMessage>, MessageError> {
    for (index, message) in messages.iter().enumerate() {
        message.check(index)?;
    }
    let mut tx = pool.begin().await?;
    let mut inserted = Vec::with_capacity(messages.len());
    for message in messages {
        let row = sqlx::query_as!(
            Row,
            r#"with added as (
                   insert into messages (author, content, sent_at, channel, external_id) values ($1, $2, $3, $4, $5)
                   on conflict (external_id) do nothing returning id
               )
               select id as "id!", true as "created!" from added
               union all
               select id, false from messages where external_id = $5
               limit 1"#,
            message.author,
            message.content,
            message.sent_at,
            message.channel,
            message.external_id,
        )
        .fetch_one(&mut *tx)
        .await?;
        inserted.push(InsertedMessage { id: row.id, created: row.created });
    }
    tx.commit().await?;
    Ok(inserted)
}

struct Row {
    id: i64,
    created: bool,
}

/// A message from a chat, which may be known already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Incoming {
    pub(crate) external_id: String,
    pub(crate) channel: Option<String>,
    pub(crate) author: String,
    pub(crate) content: String,
    pub(crate) sent_at: DateTime<Utc>,
    pub(crate) edited_at: Option<DateTime<Utc>>,
    pub(crate) reply_to: Option<String>,
    pub(crate) forwarded_from: Option<String>,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Stored {
    pub(crate) added: Vec<i64>,
    pub(crate) updated: Vec<i64>,
}

/// Keeps a batch of messages from a source. One that is known is changed only by a later edit, which takes its score back.
pub(crate) async fn store(db: &mut PgConnection, source: &str, batch: Vec<Incoming>) -> Result<Stored, sqlx::Error> {
    // Postgres doesn't change a row twice in one statement; the last edit counts.
    let mut latest: HashMap<String, Incoming> = HashMap::with_capacity(batch.len());
    for message in batch {
        match latest.get(&message.external_id) {
            Some(known) if known.edited_at > message.edited_at => {}
            _ => drop(latest.insert(message.external_id.clone(), message)),
        }
    }
    let mut batch: Vec<_> = latest.into_values().collect();
    // Sorted, so that two writers of the same messages don't wait for each other in a ring; ids follow time.
    batch.sort_by(|one, other| (one.sent_at, &one.external_id).cmp(&(other.sent_at, &other.external_id)));
    macro_rules! column {
        ($field:ident) => {
            &batch.iter().map(|message| message.$field.clone()).collect::<Vec<_>>()
        };
    }
    let rows = sqlx::query!(
        r#"insert into messages (external_id, channel, author, content, sent_at, edited_at, reply_to, forwarded_from, source, sample)
           select external_id, channel, author, content, sent_at, edited_at, reply_to, forwarded_from, $9, $9 = 'sample'
           from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::text[], $8::text[])
               as new (external_id, channel, author, content, sent_at, edited_at, reply_to, forwarded_from)
           on conflict (external_id) do update
               set content = excluded.content, edited_at = excluded.edited_at, score = null, score_factors = null, scored_at = null
               where excluded.edited_at > coalesce(messages.edited_at, messages.sent_at)
           returning id, (xmax = 0) as "added!""#,
        column!(external_id),
        column!(channel) as &[Option<String>],
        column!(author),
        column!(content),
        column!(sent_at),
        column!(edited_at) as &[Option<DateTime<Utc>>],
        column!(reply_to) as &[Option<String>],
        column!(forwarded_from) as &[Option<String>],
        source,
    )
    .fetch_all(db)
    .await?;
    let mut stored = Stored::default();
    for row in rows {
        let ids = if row.added { &mut stored.added } else { &mut stored.updated };
        ids.push(row.id);
    }
    Ok(stored)
}
