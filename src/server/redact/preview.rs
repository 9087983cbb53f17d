//! What rules would redact in executions that are stored.

use std::borrow::Cow;

use taskscope_wire::{FoundSecret, RedactionPreview};

use super::{
    Redactor,
    json::{self, Found},
    replace,
};

/// Values that a preview shows.
const MOST_SHOWN: usize = 100;
/// Characters of a value that are shown, and how long it must be for that.
const SHOWN: usize = 2;
const LONG_ENOUGH: usize = 4;

/// The texts of an execution that can hold secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts {
    /// The execution in the log.
    pub id: i64,
    /// Its task type.
    pub task_name: String,
    /// Values of JSON and other texts, each with where it is.
    pub texts: Vec<(&'static str, String)>,
}

/// Looks through executions, newest first.
#[must_use]
pub fn preview(redactor: &Redactor, executions: &[Texts]) -> RedactionPreview {
    let mut preview = RedactionPreview { executions: executions.len(), ..RedactionPreview::default() };
    for execution in executions {
        let before = preview.values;
        for (name, text) in &execution.texts {
            let mut tell = |Found { place, rule, value }: Found<'_>| {
                preview.values += 1;
                if preview.found.len() < MOST_SHOWN {
                    preview.found.push(FoundSecret {
                        execution_id: execution.id,
                        task_name: execution.task_name.clone(),
                        place: format!("{name}{place}"),
                        rule: rule.to_owned(),
                        masked: mask(&value),
                    });
                }
            };
            match serde_json::from_str::<&serde_json::value::RawValue>(text) {
                Ok(_) => drop(json::changed(redactor, text, 0, &mut tell)),
                Err(_) => redactor.tell_text(text, 0, "", &mut tell),
            }
        }
        preview.affected += usize::from(preview.values > before);
    }
    preview
}

impl Redactor {
    /// Tells what is found in a text.
    pub(super) fn tell_text(&self, text: &str, depth: usize, place: &str, tell: &mut dyn FnMut(Found<'_>)) {
        if depth < super::NESTED && json::is_json(text) {
            let mut tell_inner = |found: Found<'_>| tell(Found { place: format!("{place}{}", found.place), ..found });
            drop(json::changed(self, text, depth + 1, &mut tell_inner));
            return;
        }
        for hit in replace::merge(text, self.hits(text)) {
            tell(Found { place: place.to_owned(), rule: hit.rule, value: Cow::Borrowed(&text[hit.range]) });
        }
    }
}

fn mask(value: &str) -> String {
    let shown = if value.chars().count() < LONG_ENOUGH { 0 } else { SHOWN };
    value.chars().take(shown).chain("••••••".chars()).collect()
}

#[cfg(test)]
mod tests {
    use taskscope_wire::RedactionRules;

    use super::*;

    #[test]
    fn a_preview_names_places_and_masks_values() {
        let rules = RedactionRules { keys: vec!["customer_number".to_owned()], ..RedactionRules::default() };
        let params = r#"{"user": {"password": "hunter2", "cvv": 123}, "orders": [{"customerNumber": "K-4711"}], "n": 1}"#;
        let executions = [
            Texts {
                id: 7,
                task_name: "t".to_owned(),
                texts: vec![("params", params.to_owned()), ("error_message", "token=abcdef no".to_owned())],
            },
            Texts { id: 6, task_name: "t".to_owned(), texts: vec![("params", "[1]".to_owned())] },
        ];
        let preview = preview(&Redactor::new(&rules).unwrap(), &executions);
        assert_eq!((preview.executions, preview.affected, preview.values), (2, 1, 4));
        let found: Vec<_> = preview.found.iter().map(|it| (it.place.as_str(), it.rule.as_str(), it.masked.as_str())).collect();
        assert_eq!(
            found,
            [
                ("params.user.password", "password", "hu••••••"),
                ("params.user.cvv", "cvv", "••••••"),
                ("params.orders[0].customerNumber", "customer_number", "K-••••••"),
                ("error_message", "token", "ab••••••"),
            ]
        );
    }
}
