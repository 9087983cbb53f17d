use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What is redacted beyond the defaults, and what isn't all the same.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RedactionRules {
    /// Names whose whole value is redacted, wherever they are part of a name: `customer_number` is part of `oldCustomerNumber` too.
    pub keys: Vec<String>,
    /// Regular expressions. What they match in a text is redacted; where one has a group, what its first group matches.
    pub patterns: Vec<String>,
    /// Names whose value is kept although a key says otherwise: the whole name, however it is written (`page_token`, `pageToken`). Patterns hold in it
    /// all the same.
    pub exceptions: Vec<String>,
}

/// The rules as they are, with what holds always.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Redaction {
    /// What people have set.
    pub rules: RedactionRules,
    /// What holds always.
    pub defaults: RedactionDefaults,
    /// When the rules were changed, if they ever were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<DateTime<Utc>>,
}

/// What is redacted whatever people set, but for their exceptions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RedactionDefaults {
    /// Names whose whole value is redacted.
    pub keys: Vec<String>,
    /// Kinds of secrets that are known by how they look.
    pub patterns: Vec<String>,
}

/// What rules would redact in the newest executions, as they are stored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RedactionPreview {
    /// How many executions were looked at.
    pub executions: usize,
    /// How many of them hold something that would be redacted.
    pub affected: usize,
    /// How many values would be redacted.
    pub values: usize,
    /// The first of these values, newest execution first.
    pub found: Vec<FoundSecret>,
}

/// A value that rules would redact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FoundSecret {
    /// The execution in the log.
    pub execution_id: i64,
    /// Its task type.
    pub task_name: String,
    /// Where it is: `params.user.password`, `error_message`.
    pub place: String,
    /// The key or the kind of secret that it is redacted for.
    pub rule: String,
    /// Its first two characters, and dots for the rest; dots only where it is shorter than four.
    pub masked: String,
}
