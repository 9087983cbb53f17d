//! Compares what Postgres and the API hold with what is owed.
//!
//! An event that was answered with 2xx must be there. One that was sent and not answered may be there or not; whatever else is there is
//! made up. Each fact of a row is one event's: so a row is right if every fact is of an event that was sent, and no owed event lacks its
//! own.

use std::fmt;

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use taskscope_wire::TaskStatus;

use crate::{
    api,
    ledger::{Entry, Ledger},
    scene::Scene,
    story::{Event, Step, Story, number_of},
};

/// Flaws of one kind that are told.
const TOLD: usize = 5;

/// What the judge found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Rows of the log.
    pub executions: u64,
    /// Events that must be there.
    pub owed: u64,
    /// Events that were sent without an answer, and may be there or not.
    pub unknown: u64,
    /// Owed events that are not there.
    pub missing: Vec<String>,
    /// Executions that are there twice.
    pub doubled: Vec<String>,
    /// Facts that differ from what was reported, or that nobody reported.
    pub wrong: Vec<String>,
    /// Answers of the API that differ from the rows.
    pub api: Vec<String>,
    /// Answers that producers of sound events should not get.
    pub answers: Vec<String>,
    /// Events that Postgres refused.
    pub dead_letters: i64,
}

impl Verdict {
    /// Whether nothing was lost, doubled or falsified.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.flaws().iter().all(|(_, flaws)| flaws.is_empty()) && self.dead_letters == 0
    }

    fn flaws(&self) -> [(&'static str, &[String]); 5] {
        let Self { missing, doubled, wrong, api, answers, .. } = self;
        [("missing", missing), ("doubled", doubled), ("wrong", wrong), ("wrong in the API", api), ("wrong answers", answers)]
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { executions, owed, unknown, dead_letters, .. } = self;
        write!(f, "{executions} executions; {owed} events owed, {unknown} without an answer")?;
        for (kind, flaws) in self.flaws() {
            write!(f, "; {} {kind}", flaws.len())?;
            for flaw in flaws.iter().take(TOLD) {
                write!(f, "\n    {flaw}")?;
            }
        }
        write!(f, "; {dead_letters} dead letters")
    }
}

/// Judges the whole scene.
pub(crate) async fn judge(scene: &Scene) -> anyhow::Result<Verdict> {
    let mut connection = PgConnection::connect_with(&scene.postgres.options()).await?;
    let mut verdict = judge_rows(&mut connection, &scene.ledger).await?;
    verdict.api = api::compare(&scene.server, &mut connection).await?;
    verdict.answers = scene.ledger.answers.wrong();
    connection.close().await?;
    Ok(verdict)
}

/// Judges what the tables hold as this connection sees them.
///
/// # Errors
/// They can't be read.
pub async fn judge_rows(connection: &mut PgConnection, ledger: &Ledger) -> anyhow::Result<Verdict> {
    let mut trial = Trial::new(ledger);
    let mut rows = sqlx::query_as::<_, Row>(
        "select task_id, attempt, task_name, status, error_message, params::text as params, queued_at, started_at, completed_at
         from task_execution_logs",
    )
    .fetch(&mut *connection);
    while let Some(row) = rows.try_next().await? {
        trial.hear(&row);
    }
    drop(rows);
    let mut verdict = trial.end();
    verdict.dead_letters = sqlx::query_scalar("select count(*) from dead_letters").fetch_one(connection).await?;
    Ok(verdict)
}

/// A row of the log.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct Row {
    pub(crate) task_id: Option<String>,
    pub(crate) attempt: i32,
    pub(crate) task_name: String,
    pub(crate) status: String,
    pub(crate) error_message: Option<String>,
    pub(crate) params: Option<String>,
    pub(crate) queued_at: Option<DateTime<Utc>>,
    pub(crate) started_at: Option<DateTime<Utc>>,
    pub(crate) completed_at: Option<DateTime<Utc>>,
}

/// A comparison that is under way.
struct Trial {
    seed: u64,
    entries: Vec<Entry>,
    /// The attempts that were seen of each task, as a set of bits.
    seen: Vec<u8>,
    verdict: Verdict,
}

impl Trial {
    fn new(ledger: &Ledger) -> Self {
        let entries = ledger.entries();
        Self { seed: ledger.seed(), seen: vec![0; entries.len()], entries, verdict: Verdict::default() }
    }

    fn hear(&mut self, row: &Row) {
        self.verdict.executions += 1;
        let id = row.task_id.clone().unwrap_or_default();
        let what = format!("{id}, attempt {}", row.attempt);
        let number = number_of(self.seed, &id).filter(|number| (*number as usize) < self.entries.len());
        let Some(number) = number else { return self.verdict.wrong.push(format!("{what}: nobody's")) };
        let entry = self.entries[number as usize];
        let story = entry.story(self.seed, number);
        let attempt = u8::try_from(row.attempt - 1).ok().filter(|attempt| usize::from(*attempt) < story.attempts.len());
        let Some(attempt) = attempt else { return self.verdict.wrong.push(format!("{what}: no such attempt")) };
        let seen = &mut self.seen[number as usize];
        if *seen & (1 << attempt) != 0 {
            return self.verdict.doubled.push(what);
        }
        *seen |= 1 << attempt;
        self.compare(&what, &entry, &story, attempt, row);
    }

    /// Each fact of the row is one event's.
    fn compare(&mut self, what: &str, entry: &Entry, story: &Story, attempt: u8, row: &Row) {
        let told = &story.attempts[usize::from(attempt)];
        let facts = [
            (Step::Queued, row.queued_at, told.queued_at),
            (Step::Started, row.started_at, told.started_at),
            (Step::Finished, row.completed_at, told.completed_at),
        ];
        for (step, found, expected) in facts {
            let bit = Event { attempt, step }.bit();
            match found {
                None if entry.owed & bit != 0 => self.verdict.missing.push(format!("{what}: {step:?}")),
                None => {}
                Some(_) if entry.offered & bit == 0 => self.verdict.wrong.push(format!("{what}: {step:?} was never sent")),
                Some(found) if found != expected => {
                    self.verdict.wrong.push(format!("{what}: {step:?} at {found}, not {expected}"));
                }
                Some(_) => {}
            }
        }
        let ended = row.completed_at.is_some();
        let status = match (ended, &told.error, row.started_at) {
            (true, Some(_), _) => TaskStatus::Failed,
            (true, None, _) => TaskStatus::Success,
            (false, _, Some(_)) => TaskStatus::Running,
            (false, _, None) => TaskStatus::Pending,
        };
        let described = row.queued_at.is_some() || row.started_at.is_some();
        let params = described.then(|| story.params.clone());
        let found = row.params.as_deref().map(|text| serde_json::from_str(text).unwrap_or(Value::Null));
        let error = told.error.as_ref().filter(|_| ended);
        let flaws = [
            (row.status != status.as_str()).then(|| format!("status {}, not {status}", row.status)),
            (row.error_message.as_ref() != error).then(|| format!("error {:?}, not {error:?}", row.error_message)),
            (found != params).then(|| format!("params {found:?}, not {params:?}")),
            (row.task_name != story.task_name).then(|| format!("name {}, not {}", row.task_name, story.task_name)),
        ];
        self.verdict.wrong.extend(flaws.into_iter().flatten().map(|flaw| format!("{what}: {flaw}")));
    }

    /// What is owed of attempts that have no row.
    fn end(mut self) -> Verdict {
        for (number, (entry, seen)) in (0..).zip(self.entries.iter().zip(&self.seen)) {
            self.verdict.owed += u64::from(entry.owed.count_ones());
            self.verdict.unknown += u64::from((entry.offered & !entry.owed).count_ones());
            let missing = (0..16).filter(|bit| entry.owed & (1 << bit) != 0 && seen & (1 << (bit / 3)) == 0).count();
            if missing > 0 {
                let id = entry.story(self.seed, number).task_id;
                self.verdict.missing.extend((0..missing).map(|_| format!("{id}: an attempt isn't there")));
            }
        }
        self.verdict
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
