//! The execution of a run, in nine steps. One attempt after another may work on a run, and an earlier one may still live when the next
//! begins: the run's row says whose turn it is, and every transaction looks there first.

mod answer;
mod begin;
mod end;
mod messages;
mod save;
mod stop;

use std::time::Duration;

use serde::Serialize;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use taskscope_wire::{Progress, RunStatus};
use uuid::Uuid;

pub(crate) use self::end::give_up;
use self::stop::{Place, Stop};
use super::{duplicates::Vectors, journal, run_row::word, setup::Snapshot};
use crate::{
    context::Context,
    failure::{Failure, TaskResult},
    llm::Provider,
};

/// How often it is looked whether a run is still to go on while its provider thinks.
const LOOK: Duration = Duration::from_millis(500);

/// What became of a run, as its task returns it.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    status: RunStatus,
    run_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Progress>,
}

/// Executes a run, from where an earlier attempt was interrupted.
pub(crate) async fn execute(context: &Context, run_id: Uuid) -> TaskResult<Outcome> {
    let executor = Executor { context, pool: &context.pool, run_id, id: Uuid::new_v4() };
    let mut place = Place::default();
    match executor.steps(&mut place).await {
        Ok(progress) => Ok(Outcome { status: RunStatus::Completed, run_id, progress: Some(progress) }),
        Err(Stop::Over(status)) => Ok(Outcome { status, run_id, progress: None }),
        Err(Stop::Again(failure)) => Err(failure),
        Err(Stop::Replaced) => Err(executor.stand_by().await?),
        Err(Stop::Failed(failure)) => executor.fail_run(&place, failure).await,
    }
}

/// One attempt.
struct Executor<'a> {
    context: &'a Context,
    pool: &'a PgPool,
    run_id: Uuid,
    /// The attempt's own name.
    id: Uuid,
}

/// Messages that are asked about at once.
struct Batch {
    /// From 1.
    number: i64,
    message_ids: Vec<i64>,
}

impl Executor<'_> {
    async fn steps(&self, place: &mut Place) -> Result<Progress, Stop> {
        place.is("start_run");
        let snapshot = self.start_run().await?;
        let provider = self.provider(&snapshot).await?;
        if !self.has_batches().await? {
            place.is("fetch_messages");
            let mut window = self.fetch_messages().await?;
            place.is("prefilter_messages");
            let filtered = self.prefilter_messages(&mut window, &snapshot).await?;
            window.close().await?;
            place.is("create_batches");
            self.create_batches(filtered).await?;
        }
        let (mut last, mut known) = (0, Vectors::default());
        while let Some(batch) = self.next_batch(last).await? {
            last = batch.number;
            place.is_in_batch("update_progress", last);
            self.update_progress(&batch).await?;
            place.is_in_batch("process_batch", last);
            let found = self.process_batch(&provider, &snapshot, &batch).await?;
            place.is_in_batch("save_proposals", last);
            self.save_proposals(&provider, &batch, found, &mut known).await?;
        }
        place.is("complete_run");
        self.complete_run().await
    }

    async fn provider(&self, snapshot: &Snapshot) -> Result<Provider, Stop> {
        let Context { config, http, .. } = self.context;
        Ok(Provider::load(self.pool, config, http, snapshot.setup.provider_id).await?)
    }

    /// The first batch after this one that is not done.
    async fn next_batch(&self, after: i64) -> Result<Option<Batch>, Stop> {
        let batch = sqlx::query_as!(
            Batch,
            "select number, message_ids from analysis_batches where run_id = $1 and number > $2 and done_at is null
             order by number limit 1",
            self.run_id,
            after,
        );
        Ok(batch.fetch_optional(self.pool).await?)
    }

    /// Begins a transaction in which the run stays as it is, if it is this attempt's turn.
    async fn turn(&self) -> Result<Transaction<'static, Postgres>, Stop> {
        let mut tx = self.pool.begin().await?;
        let row = sqlx::query!("select status, executor from analysis_runs where id = $1 for no key update", self.run_id);
        let row = row.fetch_optional(&mut *tx).await?;
        self.judge(row.map(|row| (row.status, row.executor)))?;
        Ok(tx)
    }

    /// Whether it is this attempt's turn, without waiting for anybody.
    async fn look(&self) -> Result<(), Stop> {
        let row = sqlx::query!("select status, executor from analysis_runs where id = $1", self.run_id);
        let row = row.fetch_optional(self.pool).await?;
        self.judge(row.map(|row| (row.status, row.executor)))
    }

    fn judge(&self, row: Option<(String, Option<Uuid>)>) -> Result<(), Stop> {
        let Some((status, executor)) = row else { return Err(Stop::Again(self.is_gone())) };
        match word(&status)? {
            RunStatus::Running if executor == Some(self.id) => Ok(()),
            RunStatus::Running => Err(Stop::Replaced),
            status => Err(Stop::Over(status)),
        }
    }

    #[track_caller]
    fn is_gone(&self) -> Failure {
        Failure::permanent(format!("there is no analysis run {}", self.run_id))
    }

    async fn log(&self, text: &str) -> Result<(), Stop> {
        Ok(journal::log(self.pool, self.run_id, text).await?)
    }

    /// Waits until the attempt that has taken this one's place is through: what this one said earlier, the queue could take for the
    /// other one's end.
    async fn stand_by(&self) -> TaskResult<Failure> {
        let mut look = tokio::time::interval(LOOK);
        loop {
            look.tick().await;
            match self.look().await {
                Err(Stop::Replaced) => {}
                Err(Stop::Again(failure)) => return Err(failure),
                _ => return Ok(Failure::permanent("another attempt has taken this one's place")),
            }
        }
    }
}

/// How far a run is, in the batch that has begun.
async fn progress(db: &mut PgConnection, run: Uuid, current_batch: i64) -> Result<Progress, sqlx::Error> {
    sqlx::query_as!(
        Progress,
        r#"select id as run_id, $2::bigint as "current_batch!", batches_created as total_batches, batches_done, messages_processed,
               messages_after_prefilter, proposals_total, llm_tokens, cost
           from analysis_runs where id = $1"#,
        run,
        current_batch,
    )
    .fetch_one(db)
    .await
}
