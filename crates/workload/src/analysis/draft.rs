use std::{collections::HashSet, str::FromStr};

use serde_json::{Map, Value};
use strum::VariantArray;
use taskscope_wire::{Category, Priority, Recommendation};

/// The most characters of a title that are kept.
const LONGEST_TITLE: usize = 500;
/// The most characters of any other text that are kept.
const LONGEST_TEXT: usize = 20_000;
/// The most proposals of an answer: with more of them it is none.
const MOST_PROPOSALS: usize = 200;
/// The most tags that are kept.
const MOST_TAGS: usize = 20;
/// The most characters of a tag that are kept.
const LONGEST_TAG: usize = 60;
/// How sure a model counts as that doesn't say.
const USUAL_CONFIDENCE: f64 = 0.5;

/// A proposal as a model made it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Draft {
    pub(super) title: String,
    pub(super) description: String,
    pub(super) priority: Priority,
    pub(super) category: Category,
    pub(super) tags: Vec<String>,
    pub(super) confidence: f64,
    pub(super) sources: Vec<i64>,
    pub(super) reasoning: String,
    pub(super) recommendation: Recommendation,
}

impl Draft {
    /// By what it is compared with others.
    pub(super) fn text(&self) -> String {
        format!("{} {}", self.title, self.description)
    }
}

/// What is in an answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Drafts {
    pub(super) kept: Vec<Draft>,
    /// Titles of those that name no message of the batch.
    pub(super) dropped: Vec<String>,
}

impl Drafts {
    /// Reads an answer about these messages. Task configs may have schemas of their own, so what the schema lets pass is checked again:
    /// fields may have the prefix `proposed_` or `llm_`, and may be missing, but for the title.
    ///
    /// # Errors
    /// A sentence that names the field and what is allowed.
    pub(super) fn read(answer: &Value, messages: &[i64]) -> Result<Self, String> {
        let proposals = answer.get("proposals").and_then(Value::as_array).ok_or("proposals must be an array")?;
        if proposals.len() > MOST_PROPOSALS {
            return Err(format!("proposals must have {MOST_PROPOSALS} items or fewer, not {}", proposals.len()));
        }
        let mut drafts = Self::default();
        for (index, proposal) in proposals.iter().enumerate() {
            let draft = Fields::of(proposal).and_then(|fields| fields.draft(messages));
            match draft.map_err(|reason| format!("proposals[{index}]{reason}"))? {
                draft if draft.sources.is_empty() => drafts.dropped.push(draft.title),
                draft => drafts.kept.push(draft),
            }
        }
        Ok(drafts)
    }
}

/// A proposal in an answer.
struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    fn of(value: &'a Value) -> Result<Self, String> {
        value.as_object().map(Self).ok_or_else(|| " must be an object".to_owned())
    }

    fn draft(&self, messages: &[i64]) -> Result<Draft, String> {
        let title = self.text("title", LONGEST_TITLE)?.ok_or(".title must be given")?;
        Ok(Draft {
            description: self.text("description", LONGEST_TEXT)?.unwrap_or_else(|| title.clone()),
            title,
            priority: self.word("priority")?.unwrap_or(Priority::Medium),
            category: self.word("category")?.unwrap_or(Category::Task),
            tags: self.tags()?,
            confidence: self.confidence()?,
            sources: self.sources(messages)?,
            reasoning: self.text("reasoning", LONGEST_TEXT)?.unwrap_or_default(),
            recommendation: self.word("recommendation")?.unwrap_or(Recommendation::NewTask),
        })
    }

    fn field(&self, name: &str) -> Option<&'a Value> {
        let named = ["", "proposed_", "llm_"].iter().find_map(|prefix| self.0.get(&format!("{prefix}{name}")));
        named.filter(|value| !value.is_null())
    }

    /// A text without NUL characters, which Postgres doesn't take; none where it is blank.
    fn text(&self, name: &str, longest: usize) -> Result<Option<String>, String> {
        let Some(value) = self.field(name) else { return Ok(None) };
        let text = value.as_str().ok_or_else(|| format!(".{name} must be a string"))?;
        let text: String = text.trim().chars().filter(|character| *character != '\0').take(longest).collect();
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    fn word<T: FromStr + VariantArray + Into<&'static str> + Copy>(&self, name: &str) -> Result<Option<T>, String> {
        let Some(value) = self.field(name) else { return Ok(None) };
        let word = value.as_str().map(|word| word.trim().to_lowercase()).and_then(|word| word.parse().ok());
        word.map(Some).ok_or_else(|| {
            let known: Vec<&str> = T::VARIANTS.iter().map(|known| (*known).into()).collect();
            format!(".{name} must be {}, not {value}", known.join(", "))
        })
    }

    fn tags(&self) -> Result<Vec<String>, String> {
        let Some(value) = self.field("tags") else { return Ok(Vec::new()) };
        let tags = value.as_array().and_then(|tags| tags.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
        let tags = tags.ok_or(".tags must be an array of strings")?;
        let mut seen = HashSet::new();
        let tags = tags.iter().map(|tag| tag.replace('\0', "").trim().chars().take(LONGEST_TAG).collect::<String>());
        Ok(tags.filter(|tag| !tag.is_empty() && seen.insert(tag.clone())).take(MOST_TAGS).collect())
    }

    fn confidence(&self) -> Result<f64, String> {
        let Some(value) = self.field("confidence") else { return Ok(USUAL_CONFIDENCE) };
        let confidence = value.as_f64().filter(|confidence| (0.0..=1.0).contains(confidence));
        confidence.ok_or_else(|| format!(".confidence must be a number from 0 to 1, not {value}"))
    }

    /// The messages that it names, each once, and only those that the model was shown.
    fn sources(&self, messages: &[i64]) -> Result<Vec<i64>, String> {
        let Some(value) = self.field("source_message_ids") else { return Ok(Vec::new()) };
        let ids = value.as_array().ok_or(".source_message_ids must be an array")?;
        let mut seen = HashSet::new();
        let ids = ids.iter().filter_map(|id| id.as_i64().or_else(|| id.as_str()?.trim().parse().ok()));
        Ok(ids.filter(|id| messages.contains(id) && seen.insert(*id)).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(proposal: Value) -> Result<Drafts, String> {
        Drafts::read(&json!({"proposals": [proposal]}), &[1, 2, 3])
    }

    #[test]
    fn what_is_missing_has_a_default_but_the_title() {
        let drafts = read(json!({"proposed_title": " Mend\u{0} it ", "source_message_ids": [2, "3", 2, 9]})).unwrap();
        let draft = &drafts.kept[0];
        assert_eq!((draft.title.as_str(), draft.description.as_str()), ("Mend it", "Mend it"));
        assert_eq!((draft.priority, draft.category), (Priority::Medium, Category::Task));
        assert_eq!((draft.confidence, draft.recommendation), (0.5, Recommendation::NewTask));
        assert_eq!(draft.sources, [2, 3]);
        assert_eq!(read(json!({"title": " "})).unwrap_err(), "proposals[0].title must be given");
    }

    #[test]
    fn what_names_no_message_of_the_batch_is_dropped() {
        for sources in [json!([]), json!([7, 8]), Value::Null] {
            let drafts = read(json!({"title": "Mend it", "source_message_ids": sources})).unwrap();
            assert_eq!((drafts.kept.len(), drafts.dropped), (0, vec!["Mend it".to_owned()]));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            (json!(7), "proposals[0] must be an object"),
            (json!({"title": 7}), "proposals[0].title must be a string"),
            (
                json!({"title": "a", "priority": "P1"}),
                "proposals[0].priority must be low, medium, high, urgent, critical, not \"P1\"",
            ),
            (json!({"title": "a", "confidence": 70}), "proposals[0].confidence must be a number from 0 to 1, not 70"),
            (json!({"title": "a", "tags": [1]}), "proposals[0].tags must be an array of strings"),
            (json!({"title": "a", "source_message_ids": 1}), "proposals[0].source_message_ids must be an array"),
        ];
        for (proposal, sentence) in cases {
            assert_eq!(read(proposal).unwrap_err(), sentence);
        }
        assert_eq!(Drafts::read(&json!([]), &[]).unwrap_err(), "proposals must be an array");
    }

    #[test]
    fn an_answer_has_bounds() {
        let many = |count: usize| json!({"proposals": vec![json!({"title": "a", "source_message_ids": [1]}); count]});
        assert_eq!(Drafts::read(&many(200), &[1]).unwrap().kept.len(), 200);
        assert_eq!(Drafts::read(&many(201), &[1]).unwrap_err(), "proposals must have 200 items or fewer, not 201");
        let mut tags = vec!["x".repeat(61)];
        tags.extend((0..30).map(|number| number.to_string()));
        let kept = read(json!({"title": "a", "tags": tags, "source_message_ids": [1]})).unwrap().kept.remove(0).tags;
        assert_eq!((kept.len(), kept[0].len(), kept[19].as_str()), (20, 60, "18"));
    }

    #[test]
    fn words_may_be_in_capitals_and_have_a_prefix() {
        let proposal = json!({
            "proposed_title": "a", "proposed_priority": "High", "proposed_category": "technical_debt", "llm_recommendation": "REJECT",
            "proposed_tags": ["x", "x", " "], "source_message_ids": [1],
        });
        let draft = read(proposal).unwrap().kept.remove(0);
        assert_eq!((draft.priority, draft.category), (Priority::High, Category::TechnicalDebt));
        assert_eq!((draft.recommendation, draft.tags), (Recommendation::Reject, vec!["x".to_owned()]));
    }
}
