//! Runs, and what they are made with.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{RunStatus, TriggerType};
use crate::Json;

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
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(default, deny_unknown_fields)]
pub struct RunQuery {
    /// Only these.
    pub status: Option<RunStatus>,
    /// The page, from 1.
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 1000000000))]
    pub page: i64,
    /// Runs a page, 1 to 50.
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 50))]
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
