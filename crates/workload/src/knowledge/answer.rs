//! What a model is asked for, and what it answers.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use taskscope_wire::AtomKind;

/// The topics of messages.
#[derive(Debug, Deserialize)]
pub(super) struct Topics {
    pub(super) topics: Vec<FoundTopic>,
}

/// A topic, as it was found.
#[derive(Debug, Deserialize)]
pub(super) struct FoundTopic {
    pub(super) name: String,
    #[serde(default)]
    pub(super) description: String,
    /// The messages that belong to it.
    #[serde(default)]
    pub(super) message_ids: Vec<i64>,
    pub(super) atoms: Vec<FoundAtom>,
}

/// An atom, as it was found.
#[derive(Debug, Deserialize)]
pub(super) struct FoundAtom {
    pub(super) kind: AtomKind,
    pub(super) title: String,
    pub(super) content: String,
    pub(super) confidence: f64,
    pub(super) source_message_ids: Vec<i64>,
    #[serde(default)]
    pub(super) links: Vec<FoundLink>,
}

/// How an atom bears on another one of its topic.
#[derive(Debug, Deserialize)]
pub(super) struct FoundLink {
    pub(super) kind: LinkKind,
    /// The other's title.
    pub(super) to: String,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub(super) enum LinkKind {
    Solves,
    Answers,
    Supports,
    Contradicts,
    RelatesTo,
}

/// The schema of [`Topics`].
pub(super) fn topics_schema() -> Value {
    json!({"type": "object", "required": ["topics"], "properties": {"topics": {"type": "array", "items": topic_schema()}}})
}

/// The schema of [`FoundTopic`].
pub(super) fn topic_schema() -> Value {
    let kinds: Vec<_> = <AtomKind as strum::VariantArray>::VARIANTS.iter().map(ToString::to_string).collect();
    let links: &[&str] = <LinkKind as strum::VariantNames>::VARIANTS;
    let ids = json!({"type": "array", "items": {"type": "integer"}});
    json!({
        "type": "object", "required": ["name", "atoms"],
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 200},
            "description": {"type": "string", "maxLength": 1000},
            "message_ids": ids,
            "atoms": {"type": "array", "items": {
                "type": "object", "required": ["kind", "title", "content", "confidence", "source_message_ids"],
                "properties": {
                    "kind": {"enum": kinds},
                    "title": {"type": "string", "minLength": 1, "maxLength": 300},
                    "content": {"type": "string", "minLength": 1, "maxLength": 10000},
                    "confidence": {"type": "number", "minimum": 0, "maximum": 1},
                    "source_message_ids": {"type": "array", "minItems": 1, "items": {"type": "integer"}},
                    "links": {"type": "array", "items": {
                        "type": "object", "required": ["kind", "to"],
                        "properties": {"kind": {"enum": links}, "to": {"type": "string"}}
                    }}
                }
            }}
        }
    })
}
