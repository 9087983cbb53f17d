//! The messages that tasks work on, as others read and write them.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool, Postgres, QueryBuilder, Row, postgres::PgRow};
use taskscope_wire::{Message, MessageQuery, Page, check_page};

use crate::{ServiceError, bounds};

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

/// What became of a message that was posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InsertedMessage {
    /// Its number.
    pub id: i64,
    /// Whether it is new: not, if its external id was there already.
    pub created: bool,
}

impl NewMessage {
    /// The longest content, in bytes.
    pub const LONGEST_CONTENT: usize = 64 * 1024;
    /// The longest name or external id, in bytes.
    pub const LONGEST_NAME: usize = 512;

    fn check(&self, index: usize) -> Result<(), ServiceError> {
        let names =
            [("author", Some(&self.author)), ("channel", self.channel.as_ref()), ("external_id", self.external_id.as_ref())];
        let names = names.into_iter().filter_map(|(field, text)| Some((field, text?, Self::LONGEST_NAME)));
        for (field, text, longest) in names.chain([("content", &self.content, Self::LONGEST_CONTENT)]) {
            if text.trim().is_empty() || text.len() > longest || text.contains('\0') {
                let allowed = format!("must be 1 to {longest} bytes of text without a NUL character");
                return Err(ServiceError::Invalid(format!("messages[{index}].{field} {allowed}")));
            }
        }
        bounds::time(&format!("messages[{index}].sent_at"), self.sent_at)
    }
}

/// Lists a page of messages.
///
/// # Errors
/// The query asks for what is not allowed, or Postgres doesn't answer.
pub async fn list(pool: &PgPool, query: &MessageQuery) -> Result<Page<Message>, ServiceError> {
    check(query)?;
    let total_count: i64 = filtered("select count(*)", query).build_query_scalar().fetch_one(pool).await?;
    let mut page = filtered("select id, external_id, channel, author, content, sent_at, edited_at, score, sample", query);
    page.push(" order by sent_at desc, id desc limit ").push_bind(query.page_size);
    page.push(" offset ").push_bind((query.page - 1) * query.page_size);
    let items = page.build().try_map(|row| from_row(&row)).fetch_all(pool).await?;
    Ok(Page::new(total_count, query.page, query.page_size, items))
}

fn check(query: &MessageQuery) -> Result<(), ServiceError> {
    check_page(query.page, query.page_size).map_err(ServiceError::Invalid)?;
    bounds::search("q", query.q.as_deref())?;
    bounds::search("channel", query.channel.as_deref())?;
    for (field, time) in [("start_date", query.start_date), ("end_date", query.end_date)] {
        time.map_or(Ok(()), |time| bounds::time(field, time))?;
    }
    Ok(())
}

fn from_row(row: &PgRow) -> Result<Message, sqlx::Error> {
    Ok(Message {
        id: row.try_get("id")?,
        external_id: row.try_get("external_id")?,
        channel: row.try_get("channel")?,
        author: row.try_get("author")?,
        content: row.try_get("content")?,
        sent_at: row.try_get("sent_at")?,
        edited_at: row.try_get("edited_at")?,
        score: row.try_get("score")?,
        sample: row.try_get("sample")?,
    })
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
pub async fn insert(pool: &PgPool, messages: &[NewMessage]) -> Result<Vec<InsertedMessage>, ServiceError> {
    for (index, message) in messages.iter().enumerate() {
        message.check(index)?;
    }
    let mut tx = pool.begin().await?;
    let ids = new_ids(&mut tx, messages.len()).await?;
    let created = add(&mut tx, &ids, messages).await?;
    // A statement of its own, which sees what others have written while the first one waited for them.
    let known = known(&mut tx, messages).await?;
    tx.commit().await?;
    let became = |(id, message): (&i64, &NewMessage)| match message.external_id.as_ref() {
        _ if created.contains(id) => Ok(InsertedMessage { id: *id, created: true }),
        Some(name) if known.contains_key(name) => Ok(InsertedMessage { id: known[name], created: false }),
        _ => Err(ServiceError::Conflict("a message was deleted while it was posted: post it again".to_owned())),
    };
    ids.iter().zip(messages).map(became).collect()
}

/// Numbers for so many messages, ascending.
async fn new_ids(db: &mut PgConnection, count: usize) -> Result<Vec<i64>, sqlx::Error> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let ids = sqlx::query_scalar!(
        r#"select nextval(pg_get_serial_sequence('messages', 'id')) as "id!" from generate_series(1, $1::bigint)"#,
        count
    );
    let mut ids = ids.fetch_all(db).await?;
    ids.sort_unstable();
    Ok(ids)
}

/// Writes those that are not there yet, and gives their numbers. Two writers of the same messages come to them in the same order, so that
/// they don't wait for each other in a ring.
async fn add(db: &mut PgConnection, ids: &[i64], messages: &[NewMessage]) -> Result<HashSet<i64>, sqlx::Error> {
    macro_rules! column {
        ($field:ident) => {
            &messages.iter().map(|message| message.$field.clone()).collect::<Vec<_>>()
        };
    }
    let added = sqlx::query_scalar!(
        "insert into messages (id, author, content, sent_at, channel, external_id) overriding system value
         select id, author, content, sent_at, channel, external_id
         from unnest($1::bigint[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[])
             as new (id, author, content, sent_at, channel, external_id)
         order by external_id, id
         on conflict (external_id) do nothing returning id",
        ids,
        column!(author),
        column!(content),
        column!(sent_at),
        column!(channel) as &[Option<String>],
        column!(external_id) as &[Option<String>],
    );
    Ok(added.fetch_all(db).await?.into_iter().collect())
}

/// The numbers of messages by their external ids.
async fn known(db: &mut PgConnection, messages: &[NewMessage]) -> Result<HashMap<String, i64>, sqlx::Error> {
    let names: Vec<_> = messages.iter().filter_map(|message| message.external_id.clone()).collect();
    let rows = sqlx::query!(r#"select external_id as "external_id!", id from messages where external_id = any($1)"#, &names,);
    Ok(rows.fetch_all(db).await?.into_iter().map(|row| (row.external_id, row.id)).collect())
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

/// Keeps a batch of messages from a source. One that is known is changed only by a later edit, which takes its score back and has it looked
/// through for knowledge again.
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
               set content = excluded.content, edited_at = excluded.edited_at, score = null, score_factors = null, scored_at = null,
                   extracted_at = null
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
