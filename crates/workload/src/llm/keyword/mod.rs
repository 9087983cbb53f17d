//! A provider without a model: rules. It needs no network, costs nothing, and gives the same answer each time.

mod atoms;
mod embedding;
mod knowledge;
mod proposals;
mod signals;
mod subjects;
mod summary;
mod words;

use serde_json::{Value, json};

pub(super) use self::embedding::embed;
use super::Work;

/// The name of the rules, where others have the name of a model.
pub(super) const MODEL: &str = "keyword-rules";

/// The answer of the rules, which fits the schema that the product itself asks for.
pub(super) fn answer(work: &Work<'_>) -> Value {
    match work {
        Work::Proposals(messages) => proposals::answer(messages),
        Work::Topics(messages) => knowledge::topics(messages),
        Work::Topic(name, messages) => knowledge::topic(*name, messages),
        Work::Summary(name, lines) => json!(summary::text(name, lines)),
        Work::Free(_) => json!(
            "The keyword rules are no language model: they find topics, knowledge and tasks in messages by their words, and answer no prompts."
        ),
    }
}
