//! What a run proposes, and its review.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Category, Priority, ProposalStatus, Recommendation};

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
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(default, deny_unknown_fields)]
pub struct ProposalQuery {
    /// Of this run.
    pub run_id: Option<Uuid>,
    /// Only these.
    pub status: Option<ProposalStatus>,
    /// With this confidence or more, from 0 to 1.
    pub confidence_min: Option<f64>,
    /// The page, from 1.
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 1000000000))]
    pub page: i64,
    /// Proposals a page, 1 to 50.
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 50))]
    pub page_size: i64,
}

impl Default for ProposalQuery {
    fn default() -> Self {
        Self { run_id: None, status: None, confidence_min: None, page: 1, page_size: 50 }
    }
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
