//! Analysis runs: what they are asked for, how far they are, what they propose, and what became of that.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Json;

/// How an analysis run stands.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum RunStatus {
    /// It was made, and not begun.
    Pending,
    /// Its messages are being worked on.
    Running,
    /// Its proposals wait to be reviewed.
    Completed,
    /// All its proposals are reviewed.
    Reviewed,
    /// Its review is final.
    Closed,
    /// It ended by an error.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

/// What a run was started by.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum TriggerType {
    /// A person.
    Manual,
    /// The clock.
    Scheduled,
    /// Another program.
    Custom,
}

/// How urgent a proposal is.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Priority {
    /// It can wait.
    Low,
    /// In its turn.
    Medium,
    /// Before others.
    High,
    /// Soon.
    Urgent,
    /// Now.
    Critical,
}

/// What kind of work a proposal is.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Category {
    /// Something is broken.
    Bug,
    /// Something new.
    Feature,
    /// Any other work.
    Task,
    /// Something to write down.
    Documentation,
    /// Something to clean up.
    TechnicalDebt,
}

/// What the model thinks should be done with a proposal.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Recommendation {
    /// Make a task of it.
    NewTask,
    /// Add it to a task that is there.
    UpdateExisting,
    /// Make one of it and another proposal.
    Merge,
    /// Drop it.
    Reject,
}

/// What became of a proposal.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ProposalStatus {
    /// Nobody has looked at it.
    Pending,
    /// Somebody agreed.
    Approved,
    /// Somebody disagreed.
    Rejected,
    /// It is part of another proposal.
    Merged,
}

impl RunStatus {
    /// Whether nothing more happens by itself.
    #[must_use]
    pub const fn is_over(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }

    /// Whether its proposals can be reviewed, and reviews taken back.
    #[must_use]
    pub const fn is_open_for_review(self) -> bool {
        !matches!(self, Self::Closed)
    }
}

/// The body of `POST /api/v1/analysis/runs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewRun {
    /// Messages sent at this time or later.
    pub time_window_start: DateTime<Utc>,
    /// Messages sent before this time.
    pub time_window_end: DateTime<Utc>,
    /// The assignment: which agent does which task.
    pub agent_assignment_id: Uuid,
    /// What the run is started by.
    #[serde(default = "manual")]
    pub trigger_type: TriggerType,
    /// The project whose keywords choose the messages, and that proposals belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_config_id: Option<Uuid>,
}

const fn manual() -> TriggerType {
    TriggerType::Manual
}

/// An analysis run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Run {
    /// Its id.
    pub id: Uuid,
    /// How it stands.
    pub status: RunStatus,
    /// Messages sent at this time or later.
    pub time_window_start: DateTime<Utc>,
    /// Messages sent before this time.
    pub time_window_end: DateTime<Utc>,
    /// The assignment that it was asked for; it may be gone.
    pub agent_assignment_id: Uuid,
    /// The project.
    pub project_config_id: Option<Uuid>,
    /// What it was started by.
    pub trigger_type: TriggerType,
    /// The agent's name, as it was when the run began.
    pub agent_name: Option<String>,
    /// Agent, model, prompt, schema and limits as they were when the run began; live messages leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_snapshot: Option<Json>,
    /// The task that executes it: the `task_id` of executions of `execute_analysis_run`.
    pub task_id: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When its messages were first worked on.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended, in whichever way.
    pub completed_at: Option<DateTime<Utc>>,
    /// When its review became final.
    pub closed_at: Option<DateTime<Utc>>,
    /// Messages in the window.
    pub total_messages_in_window: i64,
    /// Of these, what the pre-filter left.
    pub messages_after_prefilter: i64,
    /// Of these, what is done.
    pub messages_processed: i64,
    /// Batches that the messages make.
    pub batches_created: i64,
    /// Of these, what is done.
    pub batches_done: i64,
    /// Proposals made.
    pub proposals_total: i64,
    /// Of these, not reviewed.
    pub proposals_pending: i64,
    /// Of these, approved.
    pub proposals_approved: i64,
    /// Of these, rejected.
    pub proposals_rejected: i64,
    /// Of these, merged into others.
    pub proposals_merged: i64,
    /// Tokens asked and answered.
    pub llm_tokens: i64,
    /// Tokens asked.
    pub prompt_tokens: i64,
    /// Tokens answered.
    pub completion_tokens: i64,
    /// What that cost, in US dollars by the price table of the configuration; none where the model has no price there.
    pub cost: Option<f64>,
    /// Why it failed.
    pub error_log: Option<RunError>,
    /// How well its proposals were received; known when it is closed.
    pub accuracy_metrics: Option<AccuracyMetrics>,
}

/// Why a run failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunError {
    /// The error, as the provider or the database gave it.
    pub error: String,
    /// The step that failed, such as `process_batch`.
    pub step: String,
    /// The batch, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<i64>,
    /// When.
    pub at: DateTime<Utc>,
}

/// How well the proposals of a closed run were received.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AccuracyMetrics {
    /// Share of approved and merged proposals, from 0 to 1; none without proposals.
    pub approval_rate: Option<f64>,
    /// Share of rejected proposals, from 0 to 1; none without proposals.
    pub rejection_rate: Option<f64>,
    /// Mean confidence of all proposals.
    pub average_confidence: Option<f64>,
    /// Mean confidence of the approved and merged ones.
    pub approved_confidence: Option<f64>,
    /// Mean confidence of the rejected ones.
    pub rejected_confidence: Option<f64>,
}

/// Which runs to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[serde(default, deny_unknown_fields)]
pub struct RunQuery {
    /// Only these.
    pub status: Option<RunStatus>,
    /// The page, from 1.
    pub page: i64,
    /// Runs a page, 1 to 50.
    pub page_size: i64,
}

impl Default for RunQuery {
    fn default() -> Self {
        Self { status: None, page: 1, page_size: 50 }
    }
}

/// A line of a run's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunLogLine {
    /// Its number; lines of a run have them in their order.
    pub id: i64,
    /// When it was written.
    pub at: DateTime<Utc>,
    /// The line, such as `Run 550e8400…: Created 3 batches`.
    pub line: String,
}

/// The answer to starting a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunStarted {
    /// `started`.
    pub status: String,
    /// The run.
    pub run_id: Uuid,
    /// `Analysis run job triggered successfully`.
    pub message: String,
}

/// A task that a run proposes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Proposal {
    /// Its id.
    pub id: Uuid,
    /// The run that proposes it.
    pub run_id: Uuid,
    /// The batch that it came from, from 1.
    pub batch: i64,
    /// What to do, in a line.
    pub proposed_title: String,
    /// What to do.
    pub proposed_description: String,
    /// How urgent it is.
    pub proposed_priority: Priority,
    /// What kind of work it is.
    pub proposed_category: Category,
    /// Words by which it is found.
    pub proposed_tags: Vec<String>,
    /// How sure the model is, from 0 to 1.
    pub confidence: f64,
    /// The messages that it was made from.
    pub source_message_ids: Vec<i64>,
    /// How many these are.
    pub message_count: i64,
    /// Why the model proposes it.
    pub reasoning: String,
    /// What the model thinks should be done with it.
    pub llm_recommendation: Recommendation,
    /// The project whose keywords it has.
    pub project_config_id: Option<Uuid>,
    /// That project's name.
    pub project_name: Option<String>,
    /// An earlier proposal that says the same.
    pub duplicate_of: Option<Uuid>,
    /// That proposal's title.
    pub duplicate_title: Option<String>,
    /// How alike the two are, from 0 to 1.
    pub similarity: Option<f64>,
    /// What became of it.
    pub status: ProposalStatus,
    /// The proposal that it was merged into.
    pub merged_into: Option<Uuid>,
    /// When it was reviewed.
    pub reviewed_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// Which proposals to list, in the order in which they were made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[serde(default, deny_unknown_fields)]
pub struct ProposalQuery {
    /// Of this run.
    pub run_id: Option<Uuid>,
    /// Only these.
    pub status: Option<ProposalStatus>,
    /// With this confidence or more, from 0 to 1.
    pub confidence_min: Option<f64>,
    /// The page, from 1.
    pub page: i64,
    /// Proposals a page, 1 to 50.
    pub page_size: i64,
}

impl Default for ProposalQuery {
    fn default() -> Self {
        Self { run_id: None, status: None, confidence_min: None, page: 1, page_size: 50 }
    }
}

/// What somebody decides about a proposal.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Review {
    /// Agree.
    Approve,
    /// Disagree.
    Reject,
    /// Make it part of another one.
    Merge,
    /// Take back what was decided.
    Undo,
}

/// The body of `PUT /api/v1/proposals/{id}/merge`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct MergeRequest {
    /// The proposal to merge into; without it the one that it duplicates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<Uuid>,
}

/// Which agent does which task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Assignment {
    /// Its id: what a run is made with.
    pub id: Uuid,
    /// The agent.
    pub agent_id: Uuid,
    /// The agent's name.
    pub agent_name: String,
    /// The task config.
    pub task_id: Uuid,
    /// The task config's name.
    pub task_name: String,
    /// The provider's name.
    pub provider_name: String,
    /// The provider's type: `ollama`, `openai` or `keyword`.
    pub provider_type: String,
    /// The model.
    pub model_name: String,
    /// Whether runs may use it.
    pub is_active: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// A project: proposals belong to the one whose keywords they have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Project {
    /// Its id: a run's `project_config_id`.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: String,
    /// Words by which its messages are known.
    pub keywords: Vec<String>,
    /// Whether proposals are matched with it.
    pub is_active: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// What happened to a run.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum AnalysisEventKind {
    /// It began; the data is the run.
    RunStarted,
    /// A batch began; the data is a `Progress`.
    ProgressUpdated,
    /// A batch gave proposals; the data is a `ProposalsCreated`.
    ProposalsCreated,
    /// It is completed; the data is the run.
    RunCompleted,
    /// It failed; the data is the run.
    RunFailed,
    /// Somebody cancelled, reviewed or closed it; the data is the run.
    RunUpdated,
}

/// What happened to a run, as `/ws` sends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AnalysisEvent {
    /// What happened.
    pub event: AnalysisEventKind,
    /// The run or its progress, by the kind of event.
    pub data: Json,
    /// Its number in the stream.
    #[serde(default)]
    pub seq: i64,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Progress {
    /// The run.
    pub run_id: Uuid,
    /// The batch that has begun, from 1.
    pub current_batch: i64,
    /// How many batches there are.
    pub total_batches: i64,
    /// Batches done.
    pub batches_done: i64,
    /// Messages done.
    pub messages_processed: i64,
    /// Messages to do in all.
    pub messages_after_prefilter: i64,
    /// Proposals so far.
    pub proposals_total: i64,
    /// Tokens asked and answered so far.
    pub llm_tokens: i64,
    /// What that cost, in US dollars.
    pub cost: Option<f64>,
}

/// What a batch gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProposalsCreated {
    /// How many proposals the batch gave.
    pub proposals_count: i64,
    /// How far the run is with it.
    #[serde(flatten)]
    pub progress: Progress,
}

/// What an event says, read.
#[derive(Debug, Clone, PartialEq)]
pub enum AnalysisUpdate {
    /// The run as it is now, without its snapshot of the configuration.
    Run(Box<Run>),
    /// How far it is.
    Progress(Progress),
}

impl AnalysisEvent {
    /// Reads the data.
    ///
    /// # Errors
    /// It is of another version.
    pub fn update(&self) -> Result<AnalysisUpdate, serde_json::Error> {
        let data = self.data.as_str();
        Ok(match self.event {
            AnalysisEventKind::ProgressUpdated | AnalysisEventKind::ProposalsCreated => {
                AnalysisUpdate::Progress(serde_json::from_str(data)?)
            }
            _ => AnalysisUpdate::Run(serde_json::from_str(data)?),
        })
    }

    /// The run that it is about.
    #[must_use]
    pub fn run_id(&self) -> Option<Uuid> {
        match self.update().ok()? {
            AnalysisUpdate::Run(run) => Some(run.id),
            AnalysisUpdate::Progress(progress) => Some(progress.run_id),
        }
    }
}

impl Run {
    /// Advances the run by an event; one of another run changes nothing.
    pub fn apply(&mut self, update: &AnalysisUpdate) {
        match update {
            AnalysisUpdate::Run(run) if run.id == self.id => {
                let config_snapshot = self.config_snapshot.take();
                *self = (**run).clone();
                self.config_snapshot = config_snapshot;
            }
            AnalysisUpdate::Progress(progress) if progress.run_id == self.id => self.advance(progress),
            _ => {}
        }
    }

    /// One that is older than what is known changes nothing.
    fn advance(&mut self, progress: &Progress) {
        if (progress.batches_done, progress.proposals_total) < (self.batches_done, self.proposals_total) {
            return;
        }
        let created = progress.proposals_total - self.proposals_total;
        self.proposals_pending += created.max(0);
        self.proposals_total = progress.proposals_total;
        self.batches_created = progress.total_batches;
        self.batches_done = progress.batches_done;
        self.messages_processed = progress.messages_processed;
        self.messages_after_prefilter = progress.messages_after_prefilter;
        self.llm_tokens = progress.llm_tokens;
        self.cost = progress.cost;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run() -> Run {
        let zeroes = [
            "total_messages_in_window",
            "messages_after_prefilter",
            "messages_processed",
            "batches_created",
            "batches_done",
            "proposals_total",
            "proposals_pending",
            "proposals_approved",
            "proposals_rejected",
            "proposals_merged",
            "llm_tokens",
            "prompt_tokens",
            "completion_tokens",
        ];
        let mut run = json!({
            "id": Uuid::from_u128(1), "status": "running", "time_window_start": DateTime::UNIX_EPOCH,
            "time_window_end": DateTime::UNIX_EPOCH, "agent_assignment_id": Uuid::from_u128(2), "trigger_type": "manual",
            "config_snapshot": {"model_name": "m"}, "created_at": DateTime::UNIX_EPOCH,
        });
        for field in zeroes {
            run[field] = 0.into();
        }
        serde_json::from_value(run).unwrap()
    }

    fn event(event: &str, data: &serde_json::Value) -> AnalysisUpdate {
        let text = json!({"event": event, "data": data, "seq": 1}).to_string();
        serde_json::from_str::<AnalysisEvent>(&text).unwrap().update().unwrap()
    }

    #[test]
    fn a_run_follows_its_events() {
        let mut shown = run();
        let progress = json!({
            "run_id": shown.id, "current_batch": 2, "total_batches": 3, "batches_done": 1, "messages_processed": 15,
            "messages_after_prefilter": 45, "proposals_total": 2, "llm_tokens": 700, "cost": 0.01, "proposals_count": 2,
        });
        shown.apply(&event("proposals_created", &progress));
        assert_eq!((shown.batches_done, shown.batches_created, shown.proposals_pending, shown.cost), (1, 3, 2, Some(0.01)));
        let mut older = progress.clone();
        older["proposals_total"] = 1.into();
        older["llm_tokens"] = 300.into();
        shown.apply(&event("proposals_created", &older));
        older["batches_done"] = 0.into();
        older["proposals_total"] = 4.into();
        shown.apply(&event("progress_updated", &older));
        assert_eq!((shown.batches_done, shown.proposals_total, shown.llm_tokens), (1, 2, 700), "an older event changes nothing");
        shown.apply(&event("proposals_created", &progress));
        assert_eq!(shown.proposals_pending, 2, "the same event twice counts once");
        let mut other = progress;
        other["run_id"] = json!(Uuid::from_u128(9));
        other["batches_done"] = 3.into();
        shown.apply(&event("progress_updated", &other));
        assert_eq!(shown.batches_done, 1, "an event of another run changes nothing");
        let done = Run { status: RunStatus::Completed, config_snapshot: None, ..run() };
        shown.apply(&event("run_completed", &serde_json::to_value(&done).unwrap()));
        assert_eq!(shown.status, RunStatus::Completed);
        assert!(shown.config_snapshot.is_some(), "what live messages leave out is kept");
    }
}
