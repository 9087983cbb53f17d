use std::time::Duration;

use tokio::{
    sync::mpsc::{self, UnboundedReceiver},
    time::MissedTickBehavior,
};

use super::{Batch, Executor, LOOK, Snapshot, Stop};
use crate::{
    analysis::{draft::Drafts, journal},
    failure::Failure,
    llm::{Answer, Ask, LlmError, Provider, SourceMessage, Usage, Work},
};

/// What a batch gave.
pub(super) struct Found {
    pub(super) drafts: Drafts,
    pub(super) usage: Usage,
}

impl Executor<'_> {
    /// Asks about the messages of a batch.
    pub(super) async fn process_batch(&self, provider: &Provider, snapshot: &Snapshot, batch: &Batch) -> Result<Found, Stop> {
        let messages = self.messages(batch).await?;
        // They may have been deleted since.
        let answer = match messages.is_empty() {
            true => Answer { value: serde_json::json!({"proposals": []}), usage: Usage::default() },
            false => self.ask(provider, snapshot, batch, &messages).await?,
        };
        let ids: Vec<_> = messages.iter().map(|message| message.id).collect();
        let drafts = Drafts::read(&answer.value, &ids).map_err(|reason| {
            Stop::Failed(Failure::permanent(format!("{} gave an answer that does not fit: {reason}", provider.name())))
        })?;
        for title in &drafts.dropped {
            self.log(&format!("Dropped a proposal that names no message of the batch: {title}")).await?;
        }
        self.log(&format!("Generated {} proposals from batch", drafts.kept.len())).await?;
        Ok(Found { drafts, usage: answer.usage })
    }

    async fn messages(&self, batch: &Batch) -> Result<Vec<SourceMessage>, Stop> {
        let messages = sqlx::query_as!(
            SourceMessage,
            "select id, author, sent_at, content from messages where id = any($1) order by sent_at, id",
            &batch.message_ids,
        );
        Ok(messages.fetch_all(self.pool).await?)
    }

    async fn ask(
        &self,
        provider: &Provider,
        snapshot: &Snapshot,
        batch: &Batch,
        messages: &[SourceMessage],
    ) -> Result<Answer, Stop> {
        let setup = &snapshot.setup;
        let ask = Ask {
            model: &setup.model_name,
            system: &setup.system_prompt,
            work: Work::Proposals(messages),
            schema: Some(&setup.response_schema),
            temperature: setup.temperature,
            max_tokens: u32::try_from(setup.max_tokens).unwrap_or(1),
        };
        let (tell, mut told) = mpsc::unbounded_channel();
        let number = batch.number;
        let tries = move |error: &LlmError, pause: Duration| {
            // The other end lives as long as the question.
            let _ = tell.send(format!("Trying batch {number} again in {:.1} s: {error}", pause.as_secs_f64()));
        };
        let answer = watched(provider.ask(&ask, &tries), || self.look(), &mut told, |line| self.log_lossy(line)).await;
        while let Ok(line) = told.try_recv() {
            self.log_lossy(line).await;
        }
        Ok(answer??)
    }

    /// Waits for something as long as the run is to go on.
    pub(super) async fn wanted<T>(&self, answer: impl Future<Output = T>) -> Result<T, Stop> {
        let (_, mut nothing) = mpsc::unbounded_channel();
        watched(answer, || self.look(), &mut nothing, |line| self.log_lossy(line)).await
    }

    /// A line that is lost with the database is no reason to drop an answer.
    async fn log_lossy(&self, line: String) {
        if let Err(error) = journal::log(self.pool, self.run_id, &line).await {
            tracing::debug!(%error, "a line of a run's log is lost");
        }
    }
}

/// Waits for an answer, and meanwhile looks again and again whether it is still wanted: a long one is dropped as soon as not. What is
/// tried again is told as it comes.
async fn watched<T, L, S>(
    answer: impl Future<Output = T>,
    look: impl Fn() -> L,
    told: &mut UnboundedReceiver<String>,
    log: impl Fn(String) -> S,
) -> Result<T, Stop>
where
    L: Future<Output = Result<(), Stop>>,
    S: Future<Output = ()>,
{
    tokio::pin!(answer);
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + LOOK, LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            answer = &mut answer => return Ok(answer),
            Some(line) = told.recv() => log(line).await,
            _ = ticks.tick() => match look().await {
                // The database may be back before the answer is there.
                Ok(()) | Err(Stop::Again(_)) => {}
                Err(stop) => return Err(stop),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use taskscope_wire::RunStatus;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_never_comes_is_dropped_when_the_run_is_over() {
        let (_tell, mut told) = mpsc::unbounded_channel();
        let looks = AtomicU32::new(0);
        let look = || {
            let outcome = match looks.fetch_add(1, Ordering::Relaxed) {
                0 => Ok(()),
                1 => Err(Stop::Again(Failure::new("the database is away"))),
                _ => Err(Stop::Over(RunStatus::Cancelled)),
            };
            std::future::ready(outcome)
        };
        let stop = watched(std::future::pending::<()>(), look, &mut told, async |_| {}).await.unwrap_err();
        assert!(matches!(stop, Stop::Over(RunStatus::Cancelled)), "{stop:?}");
        assert_eq!(looks.load(Ordering::Relaxed), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_tried_again_is_told_while_the_answer_is_awaited() {
        let (tell, mut told) = mpsc::unbounded_channel();
        let lines = std::sync::Mutex::new(Vec::new());
        let log = |line| {
            lines.lock().unwrap().push(line);
            std::future::ready(())
        };
        let answer = async {
            tell.send("again".to_owned()).unwrap();
            tokio::time::sleep(LOOK * 3).await;
            7
        };
        let answer = watched(answer, || std::future::ready(Ok(())), &mut told, log).await.unwrap();
        assert_eq!((answer, lines.into_inner().unwrap()), (7, vec!["again".to_owned()]));
    }
}
