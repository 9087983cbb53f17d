//! What was learned from messages: topics, the atoms of knowledge in them, and the messages that these came from.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A stored message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Message {
    /// Its number.
    pub id: i64,
    /// Its name outside.
    pub external_id: Option<String>,
    /// The chat or channel.
    pub channel: Option<String>,
    /// Who wrote it.
    pub author: String,
    /// Its text.
    pub content: String,
    /// When it was written.
    pub sent_at: DateTime<Utc>,
    /// When it was last edited.
    pub edited_at: Option<DateTime<Utc>>,
    /// How important it is, from 0 to 1, once it is scored.
    pub score: Option<f64>,
    /// Whether it came with the program.
    pub sample: bool,
}

/// Which messages to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(default, deny_unknown_fields)]
pub struct MessageQuery {
    /// Sent at this time or later.
    pub start_date: Option<DateTime<Utc>>,
    /// Sent before this time.
    pub end_date: Option<DateTime<Utc>>,
    /// In this chat or channel.
    pub channel: Option<String>,
    /// With this text in the content or the author's name.
    pub q: Option<String>,
    /// The page, from 1.
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 1000000000))]
    pub page: i64,
    /// Messages a page, 1 to 50.
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 50))]
    pub page_size: i64,
}

impl Default for MessageQuery {
    fn default() -> Self {
        Self { start_date: None, end_date: None, channel: None, q: None, page: 1, page_size: 50 }
    }
}

/// What messages talk about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Topic {
    /// Its id.
    pub id: Uuid,
    /// Its name, unique.
    pub name: String,
    /// What it is, in a sentence.
    pub description: String,
    /// What is known of it, written by a model; none before `generate_topic_summary_task` ran.
    pub summary: Option<String>,
    /// When that was written.
    pub summarized_at: Option<DateTime<Utc>>,
    /// Its atoms.
    pub atoms: i64,
    /// Of these, approved.
    pub atoms_approved: i64,
    /// Messages that belong to it.
    pub messages: i64,
    /// When it was first found.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// Which topics to list, the one that changed last first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(default, deny_unknown_fields)]
pub struct TopicQuery {
    /// With this text in the name or description.
    pub q: Option<String>,
    /// The page, from 1.
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 1000000000))]
    pub page: i64,
    /// Topics a page, 1 to 50.
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 50))]
    pub page_size: i64,
}

impl Default for TopicQuery {
    fn default() -> Self {
        Self { q: None, page: 1, page_size: 50 }
    }
}

/// What kind of knowledge an atom is.
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
pub enum AtomKind {
    /// Something is wrong.
    Problem,
    /// How something was put right.
    Solution,
    /// What was decided.
    Decision,
    /// What was understood.
    Insight,
    /// What nobody has answered.
    Question,
    /// How something is done here.
    Pattern,
    /// What must be kept to.
    Requirement,
}

/// What became of an atom.
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
pub enum AtomStatus {
    /// Nobody has looked at it.
    Pending,
    /// It counts.
    Approved,
    /// It doesn't.
    Rejected,
}

/// A piece of knowledge that stands for itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Atom {
    /// Its id.
    pub id: Uuid,
    /// The topic that it belongs to.
    pub topic_id: Uuid,
    /// That topic's name.
    pub topic_name: String,
    /// What kind of knowledge it is.
    pub kind: AtomKind,
    /// What it says, in a line.
    pub title: String,
    /// What it says.
    pub content: String,
    /// How sure the model was, from 0 to 1.
    pub confidence: f64,
    /// What became of it.
    pub status: AtomStatus,
    /// Whether the clock approved it, by its confidence.
    pub auto_approved: bool,
    /// How often it was written anew, from 1.
    pub version: i64,
    /// The messages that it came from, oldest first; only where one atom or the atoms of one topic are asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Message>,
    /// How many these are.
    pub message_count: i64,
    /// When it was found.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// How an atom was at some time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AtomVersion {
    /// Its number, from 1.
    pub version: i64,
    /// What it said, in a line.
    pub title: String,
    /// What it said.
    pub content: String,
    /// How sure the model was.
    pub confidence: f64,
    /// When it was written.
    pub created_at: DateTime<Utc>,
}

/// Which atoms to list, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(default, deny_unknown_fields)]
pub struct AtomQuery {
    /// Of this topic.
    pub topic_id: Option<Uuid>,
    /// Only these.
    pub status: Option<AtomStatus>,
    /// Only this kind.
    pub kind: Option<AtomKind>,
    /// With this text in the title or content.
    pub q: Option<String>,
    /// The page, from 1.
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 1000000000))]
    pub page: i64,
    /// Atoms a page, 1 to 50.
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 50))]
    pub page_size: i64,
}

impl Default for AtomQuery {
    fn default() -> Self {
        Self { topic_id: None, status: None, kind: None, q: None, page: 1, page_size: 50 }
    }
}
