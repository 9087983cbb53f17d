use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// An event that was accepted and that Postgres refused, or that can't be read any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeadLetter {
    /// Its number.
    pub id: i64,
    /// When it was refused.
    #[serde(serialize_with = "crate::time::write")]
    pub received_at: DateTime<Utc>,
    /// Why, in the words of who refused it.
    pub reason: String,
    /// The event, as text: JSON as the spool keeps it, where it can be read.
    pub event: String,
}

/// Which dead letters to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(default, deny_unknown_fields)]
pub struct DeadLetterQuery {
    /// The page, from 1.
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 1000000000))]
    pub page: i64,
    /// Dead letters a page, 1 to 50.
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 50))]
    pub page_size: i64,
}

impl Default for DeadLetterQuery {
    fn default() -> Self {
        Self { page: 1, page_size: 50 }
    }
}

/// What became of dead letters that were sent again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Replayed {
    /// Events that were accepted again. Those that are refused again come back as new dead letters.
    pub accepted: u64,
    /// Dead letters that are no events: they stay.
    pub unreadable: u64,
}
