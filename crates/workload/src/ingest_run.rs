use sqlx::{PgPool, query, query_as};
use taskscope_wire::Import;

use crate::{context::Context, failure::TaskResult, messages, telegram::export::Batch};

/// Imports that are listed.
const LISTED: i64 = 5;

/// The newest imports, newest first.
///
/// # Errors
/// Postgres doesn't answer.
pub async fn imports(pool: &PgPool) -> Result<Vec<Import>, sqlx::Error> {
    query_as!(
        Import,
        "select task_id, source, origin, total, done, added, updated, skipped, started_at, finished_at
         from ingest_runs order by id desc limit $1",
        LISTED,
    )
    .fetch_all(pool)
    .await
}

/// How far an import has come, as its row in `ingest_runs` says.
#[derive(Debug)]
pub(crate) struct IngestRun {
    id: i64,
    pub(crate) done: i64,
    pub(crate) added: i64,
    pub(crate) updated: i64,
    pub(crate) skipped: i64,
}

impl IngestRun {
    /// Begins, or begins again in a further attempt of the same task.
    pub(crate) async fn begin(context: &Context, source: &str, origin: &str, total: Option<i64>) -> TaskResult<Self> {
        let row = query!(
            "insert into ingest_runs (task_id, source, origin, total) values ($1, $2, $3, $4)
             on conflict (task_id) do update set total = excluded.total, done = 0, skipped = 0, finished_at = null
             returning id, added, updated",
            context.task_id,
            source,
            origin,
            total,
        )
        .fetch_one(&context.pool)
        .await?;
        Ok(Self { id: row.id, done: 0, added: row.added, updated: row.updated, skipped: 0 })
    }

    /// Keeps a batch, how far that is, and where a bot's updates go on, all or none. Gives the ids of new messages.
    pub(crate) async fn store(
        &mut self,
        context: &Context,
        source: &str,
        batch: Batch,
        next: Option<(&str, i64)>,
    ) -> TaskResult<Vec<i64>> {
        let read = i64::try_from(batch.messages.len())?;
        let mut tx = context.pool.begin().await?;
        let stored = messages::store(&mut tx, source, batch.messages).await?;
        self.done += read + batch.skipped;
        self.skipped += batch.skipped;
        self.added += i64::try_from(stored.added.len())?;
        self.updated += i64::try_from(stored.updated.len())?;
        query!(
            "update ingest_runs set done = $2, added = $3, updated = $4, skipped = $5 where id = $1",
            self.id,
            self.done,
            self.added,
            self.updated,
            self.skipped,
        )
        .execute(&mut *tx)
        .await?;
        if let Some((bot, next)) = next {
            query!(
                "insert into telegram_offsets (bot, next_update_id) values ($1, $2)
                 on conflict (bot) do update set next_update_id = greatest(telegram_offsets.next_update_id, $2), updated_at = now()",
                bot,
                next,
            )
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(stored.added)
    }

    /// Where reading a bot's updates goes on.
    pub(crate) async fn offset(&self, context: &Context, bot: &str) -> TaskResult<i64> {
        let next = sqlx::query_scalar!("select next_update_id from telegram_offsets where bot = $1", bot);
        Ok(next.fetch_optional(&context.pool).await?.unwrap_or(0))
    }

    pub(crate) async fn finish(&self, context: &Context) -> TaskResult<()> {
        query!("update ingest_runs set finished_at = now() where id = $1", self.id).execute(&context.pool).await?;
        Ok(())
    }
}
