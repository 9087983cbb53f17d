//! Events that were accepted and couldn't be stored, each with the reason.

use sqlx::{Postgres, Transaction};
use taskscope_wire::{DeadLetter, DeadLetterQuery, Page};

use super::{Store, StoreError, read};

/// How many there are.
pub(super) async fn count_dead_letters(tx: &mut Transaction<'static, Postgres>) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar!(r#"select count(*) as "count!" from dead_letters"#).fetch_one(&mut **tx).await?)
}

impl Store {
    /// Keeps an event that can't be stored, with its reason, and where it may have been kept before, only if it wasn't.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn bury(&self, event: &str, reason: &str, may_be_kept: bool) -> Result<(), StoreError> {
        let insert = sqlx::query!(
            "insert into dead_letters (event, reason)
             select $1, $2 where not $3 or not exists (select from dead_letters where event = $1 and reason = $2)",
            event,
            reason,
            may_be_kept,
        );
        insert.execute(&self.pool).await?;
        Ok(())
    }

    /// A page of them, newest first.
    ///
    /// # Errors
    /// Postgres doesn't answer, or not in time.
    pub async fn dead_letter_page(&self, query: &DeadLetterQuery) -> Result<Page<DeadLetter>, StoreError> {
        read(async {
            let mut tx = self.snapshot().await?;
            let total = count_dead_letters(&mut tx).await?;
            let letters = sqlx::query_as!(
                DeadLetter,
                "select id, received_at, reason, event from dead_letters order by id desc limit $1 offset $2",
                query.page_size,
                (query.page - 1) * query.page_size,
            );
            let letters = letters.fetch_all(&mut *tx).await?;
            Ok(Page::new(total, query.page, query.page_size, letters))
        })
        .await
    }

    /// Those with numbers after `after` and up to `last`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn dead_letters_between(&self, after: i64, last: i64, limit: i64) -> Result<Vec<DeadLetter>, StoreError> {
        let letters = sqlx::query_as!(
            DeadLetter,
            "select id, received_at, reason, event from dead_letters where id > $1 and id <= $2 order by id limit $3",
            after,
            last,
            limit,
        );
        Ok(letters.fetch_all(&self.pool).await?)
    }

    /// The number of the newest one, 0 where there is none.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn last_dead_letter(&self) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar!(r#"select coalesce(max(id), 0) as "id!" from dead_letters"#).fetch_one(&self.pool).await?)
    }

    /// Removes those that were sent again.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn forget_dead_letters(&self, ids: &[i64]) -> Result<(), StoreError> {
        sqlx::query!("delete from dead_letters where id = any($1)", ids).execute(&self.pool).await?;
        Ok(())
    }
}
