use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Where an execution stands. States move forward only: pending → running → success or failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum TaskStatus {
    /// Queued, no worker has taken it yet.
    Pending,
    /// A worker runs it.
    Running,
    /// It returned.
    Success,
    /// It raised, timed out or was cancelled.
    Failed,
}

impl TaskStatus {
    /// All statuses, in the order of their life.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Running, Self::Success, Self::Failed];

    /// The word in the database, the API and `data-status`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Success => "success",
            Self::Failed => "failed",
        }
    }

    /// The word that people read: "Active" is running and "Queued" is pending.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Pending => "Queued",
            Self::Running => "Active",
            Self::Success => "Success",
            Self::Failed => "Failed",
        }
    }

    /// Whether nothing more can happen to the execution.
    #[must_use]
    pub const fn is_finished(self) -> bool {
        matches!(self, Self::Success | Self::Failed)
    }
}

impl fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word is none of the four statuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("status must be one of pending, running, success, failed, not {0:?}")]
pub struct ParseStatusError(pub String);

impl FromStr for TaskStatus {
    type Err = ParseStatusError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|status| status.as_str() == word).ok_or_else(|| ParseStatusError(word.to_owned()))
    }
}
