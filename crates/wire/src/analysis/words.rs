//! The words of runs and proposals: what they may be, and how they are written.

use serde::{Deserialize, Serialize};

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
