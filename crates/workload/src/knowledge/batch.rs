use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, PgPool};

use crate::{
    failure::{Failure, TaskResult},
    llm::SourceMessage,
};

/// Messages that are asked about at once: enough for a talk, and not too many to be answered in full.
const SIZE: usize = 40;

/// Messages of one channel, in the order of time.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) messages: Vec<SourceMessage>,
    /// When each of them was last edited before it was read.
    edited_at: Vec<Option<DateTime<Utc>>>,
}

impl Batch {
    /// These messages in batches.
    pub(super) async fn all(pool: &PgPool, ids: &[i64]) -> TaskResult<Vec<Self>> {
        let rows = sqlx::query_as!(
            MessageRow,
            "select id, channel, author, content, sent_at, edited_at from messages where id = any($1)
             order by channel nulls first, sent_at, id",
            ids
        );
        let rows = rows.fetch_all(pool).await?;
        if rows.is_empty() {
            return Err(Failure::permanent("None of the messages to extract from is there"));
        }
        let talks = rows.chunk_by(|one, next| one.channel == next.channel);
        Ok(talks.flat_map(|talk| talk.chunks(SIZE)).map(Self::of).collect())
    }

    fn of(rows: &[MessageRow]) -> Self {
        Self {
            messages: rows.iter().map(MessageRow::source).collect(),
            edited_at: rows.iter().map(|row| row.edited_at).collect(),
        }
    }

    /// The numbers of its messages.
    pub(super) fn ids(&self) -> Vec<i64> {
        self.messages.iter().map(|message| message.id).collect()
    }

    /// Notes that they were looked through, but for those that somebody has edited since they were read.
    pub(super) async fn mark(&self, db: impl PgExecutor<'_>) -> Result<(), sqlx::Error> {
        sqlx::query!(
            "update messages m set extracted_at = now() from unnest($1::bigint[], $2::timestamptz[]) as read (id, edited_at)
             where m.id = read.id and m.edited_at is not distinct from read.edited_at",
            &self.ids(),
            &self.edited_at as &[Option<DateTime<Utc>>],
        )
        .execute(db)
        .await?;
        Ok(())
    }
}

struct MessageRow {
    id: i64,
    channel: Option<String>,
    author: String,
    content: String,
    sent_at: DateTime<Utc>,
    edited_at: Option<DateTime<Utc>>,
}

impl MessageRow {
    fn source(&self) -> SourceMessage {
        SourceMessage { id: self.id, author: self.author.clone(), sent_at: self.sent_at, content: self.content.clone() }
    }
}
