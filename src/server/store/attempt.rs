//! An attempt as the recorder holds it: what has been reported of it. Status, duration and creation time follow from that.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use taskscope_wire::{Finish, Json, Source, TaskStatus};

/// All that is known of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAttempt {
    /// Where the row stands; none where it is not stored yet.
    pub key: Option<RowKey>,
    /// The protocol that reports it.
    pub source: Source,
    /// The broker's id of the task.
    pub task_id: String,
    /// The task type.
    pub task_name: String,
    /// The attempt, from 1.
    pub number: i32,
    /// When it was queued.
    pub queued_at: Option<DateTime<Utc>>,
    /// When a worker took it.
    pub started_at: Option<DateTime<Utc>>,
    /// How it ended.
    pub end: Option<End>,
    /// What *queued* and *started* say of it.
    pub described: Described,
    /// What order-free merging must remember.
    pub memo: Memo,
}

/// Where a row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowKey {
    /// The row's id.
    pub id: i64,
    /// The partition key as it is stored.
    pub created_at: DateTime<Utc>,
}

/// How and when an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When.
    pub at: DateTime<Utc>,
    /// When the run that it ends started, where its reporter says so: then there is no doubt which run it is. Once it is bound to its
    /// attempt, [`Memo::exact`] says so instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<DateTime<Utc>>,
    /// How.
    #[serde(flatten)]
    pub finish: FinishText,
}

/// A [`Finish`] whose result is kept as text, so that it can be part of a [`Memo`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct FinishText {
    /// Whether it failed.
    pub failed: bool,
    /// The duration that the reporter gave, in milliseconds.
    pub reported_ms: Option<i64>,
    /// The type of the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// Why it failed.
    pub error_message: Option<String>,
    /// The stack trace.
    pub error_traceback: Option<String>,
    /// JSON text of the result.
    pub result: Option<String>,
}

impl From<&Finish> for FinishText {
    fn from(finish: &Finish) -> Self {
        Self {
            failed: finish.failed,
            reported_ms: finish.duration_ms,
            error_type: finish.error_type.clone(),
            error_message: finish.error_message.clone(),
            error_traceback: finish.error_traceback.clone(),
            result: finish.result.as_ref().map(|json| json.as_str().to_owned()),
        }
    }
}

/// What an event says of the task beside its state.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Described {
    /// JSON text of what it was called with.
    pub params: Option<String>,
    /// JSON text of the client's metadata.
    pub labels: Option<String>,
    /// The queue.
    pub queue: Option<String>,
    /// Who runs it.
    pub worker: Option<String>,
    /// How often it may be retried.
    pub max_retries: Option<i32>,
}

impl Described {
    /// Takes over what is missing here.
    pub fn fill(&mut self, other: &Self) {
        fill(&mut self.params, &other.params);
        fill(&mut self.labels, &other.labels);
        fill(&mut self.queue, &other.queue);
        fill(&mut self.worker, &other.worker);
        fill(&mut self.max_retries, &other.max_retries);
    }

    /// What is here, and from `fallback` what is missing.
    #[must_use]
    pub fn or(mut self, fallback: &Self) -> Self {
        self.fill(fallback);
        self
    }

    /// Leaves out what `other` has.
    pub fn leave_out(&mut self, other: &Self) {
        self.params.take_if(|_| other.params.is_some());
        self.labels.take_if(|_| other.labels.is_some());
        self.queue.take_if(|_| other.queue.is_some());
        self.worker.take_if(|_| other.worker.is_some());
        self.max_retries.take_if(|_| other.max_retries.is_some());
    }

    /// The labels as JSON.
    #[must_use]
    pub fn labels_json(&self) -> Option<Json> {
        self.labels.clone().and_then(|text| Json::parse(text).ok())
    }
}

fn fill<T: Clone>(to: &mut Option<T>, from: &Option<T>) {
    if to.is_none() {
        to.clone_from(from);
    }
}

/// What must be remembered of an attempt so that its events give the same row in any order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Memo {
    /// Starts that a second reporter of the same attempt told within a second.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub twin_starts: Vec<DateTime<Utc>>,
    /// Ends that a second reporter of the same attempt told within a second.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub twin_ends: Vec<End>,
    /// The end names the run that it ends: one that only fits by its time must not take its place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exact: bool,
    /// That it started is known from its end only: a start that comes describes it as the first one does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub implied_start: bool,
    /// What the end said of the task where nothing else did: *queued* and *started* know better when they come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_end: Option<Described>,
}

impl StoredAttempt {
    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> TaskStatus {
        match (&self.end, self.started_at) {
            (Some(end), _) if end.finish.failed => TaskStatus::Failed,
            (Some(_), _) => TaskStatus::Success,
            (None, Some(_)) => TaskStatus::Running,
            (None, None) => TaskStatus::Pending,
        }
    }

    /// The earliest time known of it.
    #[must_use]
    pub fn created_at(&self) -> DateTime<Utc> {
        let times = [self.queued_at, self.started_at, self.end.as_ref().map(|end| end.at)];
        times.into_iter().flatten().min().unwrap_or_default()
    }

    /// How long it ran. TaskIQ rounds its own figure to 10 ms, so there start and end are the better source.
    #[must_use]
    pub fn duration_ms(&self) -> Option<i64> {
        let end = self.end.as_ref()?;
        let between = self.started_at.map(|start| (end.at - start).num_microseconds().unwrap_or_default().max(0));
        let between = between.map(|micros| (micros + 500) / 1000);
        match self.source {
            Source::Taskiq => between.or(end.finish.reported_ms),
            Source::Native | Source::Sql => end.finish.reported_ms.or(between),
        }
    }

    /// JSON text of what it was called with.
    #[must_use]
    pub fn params(&self) -> Option<&str> {
        self.known(|described| described.params.as_deref())
    }

    /// JSON text of the client's metadata.
    #[must_use]
    pub fn labels(&self) -> Option<&str> {
        self.known(|described| described.labels.as_deref())
    }

    /// The queue.
    #[must_use]
    pub fn queue(&self) -> Option<&str> {
        self.known(|described| described.queue.as_deref())
    }

    /// Who runs it.
    #[must_use]
    pub fn worker(&self) -> Option<&str> {
        self.known(|described| described.worker.as_deref())
    }

    /// How often it may be retried.
    #[must_use]
    pub fn max_retries(&self) -> Option<i32> {
        self.known(|described| described.max_retries)
    }

    /// What *queued* and *started* say, or else the end.
    fn known<'a, T>(&'a self, pick: impl Fn(&'a Described) -> Option<T>) -> Option<T> {
        pick(&self.described).or_else(|| self.memo.from_end.as_ref().and_then(&pick))
    }
}
