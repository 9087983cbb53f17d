use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Postgres, Transaction};

use super::{Executor, Snapshot, Stop};
use crate::{
    analysis::{batches::Batches, journal, prefilter::Prefilter},
    llm::SourceMessage,
};

/// Messages that are read at once.
const PAGE: usize = 1000;
/// Messages whose batches are written at once.
const WRITTEN: usize = 10_000;

/// The messages of a run's time window, as they were when it was opened, a page at a time.
pub(super) struct Window {
    snapshot: Transaction<'static, Postgres>,
    end: DateTime<Utc>,
    /// Time and number of the last message that was read.
    after: (DateTime<Utc>, i64),
    total: i64,
}

/// What the pre-filter left, put into batches.
pub(super) struct Filtered {
    total: i64,
    passed: i64,
    batches: Batches,
}

impl Executor<'_> {
    pub(super) async fn has_batches(&self) -> Result<bool, Stop> {
        let any =
            sqlx::query_scalar!(r#"select total_messages_in_window > 0 as "any!" from analysis_runs where id = $1"#, self.run_id);
        Ok(any.fetch_optional(self.pool).await?.unwrap_or(false))
    }

    /// Opens the window, and counts what is in it.
    pub(super) async fn fetch_messages(&self) -> Result<Window, Stop> {
        self.log("Fetching messages").await?;
        let run = sqlx::query!("select time_window_start, time_window_end from analysis_runs where id = $1", self.run_id);
        let run = run.fetch_one(self.pool).await?;
        let window = Window::open(self.pool.begin().await?, run.time_window_start, run.time_window_end).await?;
        self.log(&format!("Found {} messages in window", window.total)).await?;
        Ok(window)
    }

    /// Reads the window, and keeps what is worth a question.
    pub(super) async fn prefilter_messages(&self, window: &mut Window, snapshot: &Snapshot) -> Result<Filtered, Stop> {
        self.log("Pre-filtering messages").await?;
        let filter = Prefilter::new(&snapshot.keywords, snapshot.min_length);
        let mut batches = Batches::new(snapshot.batch_messages, snapshot.batch_tokens);
        let mut passed = 0;
        loop {
            let page = window.next_page().await?;
            for message in page.iter().filter(|message| filter.passes(message)) {
                batches.add(message);
                passed += 1;
            }
            if page.len() < PAGE {
                break;
            }
            self.look().await?;
        }
        self.log(&format!("{passed} messages after pre-filter")).await?;
        Ok(Filtered { total: window.total, passed, batches })
    }

    /// Writes the batches, all or none.
    pub(super) async fn create_batches(&self, filtered: Filtered) -> Result<(), Stop> {
        self.log("Creating batches").await?;
        let batches = filtered.batches.finish();
        let count = i64::try_from(batches.len()).unwrap_or(i64::MAX);
        let mut tx = self.turn().await?;
        self.insert_batches(&mut tx, &batches).await?;
        sqlx::query!(
            "update analysis_runs set total_messages_in_window = $2, messages_after_prefilter = $3, batches_created = $4,
                 updated_at = now()
             where id = $1",
            self.run_id,
            filtered.total,
            filtered.passed,
            count,
        )
        .execute(&mut *tx)
        .await?;
        journal::log(&mut *tx, self.run_id, &format!("Created {count} batches")).await?;
        Ok(tx.commit().await?)
    }

    async fn insert_batches(&self, db: &mut PgConnection, batches: &[Vec<i64>]) -> Result<(), Stop> {
        let (mut numbers, mut ids) = (Vec::new(), Vec::new());
        for (number, batch) in (1_i64..).zip(batches) {
            numbers.extend(std::iter::repeat_n(number, batch.len()));
            ids.extend_from_slice(batch);
            let is_last = usize::try_from(number) == Ok(batches.len());
            if is_last || ids.len() >= WRITTEN {
                sqlx::query!(
                    "insert into analysis_batches (run_id, number, message_ids)
                     select $1, number, array_agg(id order by place)
                     from unnest($2::bigint[], $3::bigint[]) with ordinality as written (number, id, place) group by number",
                    self.run_id,
                    &numbers,
                    &ids,
                )
                .execute(&mut *db)
                .await?;
                numbers.clear();
                ids.clear();
            }
        }
        Ok(())
    }
}

impl Window {
    async fn open(mut tx: Transaction<'static, Postgres>, start: DateTime<Utc>, end: DateTime<Utc>) -> Result<Self, Stop> {
        sqlx::query!("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
        let total =
            sqlx::query_scalar!(r#"select count(*) as "count!" from messages where sent_at >= $1 and sent_at < $2"#, start, end,);
        let total = total.fetch_one(&mut *tx).await?;
        // Numbers begin with 1, so every message of the start's moment comes after this.
        Ok(Self { snapshot: tx, end, after: (start, 0), total })
    }

    /// The next messages in the order of time; less than a page at the end.
    async fn next_page(&mut self) -> Result<Vec<SourceMessage>, Stop> {
        let page = sqlx::query_as!(
            SourceMessage,
            "select id, author, sent_at, content from messages where (sent_at, id) > ($1, $2) and sent_at < $3
             order by sent_at, id limit $4",
            self.after.0,
            self.after.1,
            self.end,
            i64::try_from(PAGE).unwrap_or(i64::MAX),
        );
        let page = page.fetch_all(&mut *self.snapshot).await?;
        if let Some(last) = page.last() {
            self.after = (last.sent_at, last.id);
        }
        Ok(page)
    }

    pub(super) async fn close(self) -> Result<(), Stop> {
        Ok(self.snapshot.rollback().await?)
    }
}
