//! What a provider says, without what nobody can show or keep: Postgres takes no NUL.

use serde_json::Value;

/// The text without control characters, but for line breaks and tabs.
pub(super) fn text(text: &str) -> String {
    text.chars().filter(|character| !character.is_control() || matches!(character, '\n' | '\t')).collect()
}

/// The same for every string of a value.
pub(super) fn value(value: Value) -> Value {
    match value {
        Value::String(said) => Value::String(text(&said)),
        Value::Array(items) => items.into_iter().map(self::value).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, field)| (text(&name), self::value(field))).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn control_characters_are_left_out_wherever_they_are() {
        let said = json!({"a\0": ["b\r\n\tc\u{1b}", {"d": "\0"}], "n": 1});
        assert_eq!(value(said), json!({"a": ["b\n\tc", {"d": ""}], "n": 1}));
    }
}
