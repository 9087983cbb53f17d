use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// A JSON value kept as its text, so that what a worker sent is what a reader sees: integers beyond 64 bits, the order
/// of keys and the digits of a fraction survive.
#[derive(Clone)]
pub struct Json(Box<RawValue>);

impl Json {
    /// Takes a text that must be one JSON value.
    ///
    /// # Errors
    /// The text is not JSON.
    pub fn parse(text: String) -> Result<Self, serde_json::Error> {
        RawValue::from_string(text).map(Self)
    }

    /// A JSON string with this content.
    #[must_use]
    pub fn string(content: &str) -> Self {
        Self::from_value(&serde_json::Value::from(content))
    }

    /// The JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The text, indented for people; numbers keep their digits.
    #[must_use]
    pub fn pretty(&self) -> String {
        indent(self.as_str())
    }

    /// The value, where it is read and not only passed on.
    fn from_value(value: &serde_json::Value) -> Self {
        // Displaying a `Value` can't fail and always gives JSON, so the fall-back is never taken.
        Self::parse(value.to_string()).unwrap_or_else(|_| Self(RawValue::NULL.to_owned()))
    }
}

/// Any value but null, which stands for none where there may be none.
#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Json {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::{ObjectBuilder, Type, schema::SchemaType};
        let types = vec![Type::Object, Type::Array, Type::String, Type::Number, Type::Boolean];
        ObjectBuilder::new().schema_type(SchemaType::Array(types)).build().into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for Json {}

impl From<serde_json::Value> for Json {
    fn from(value: serde_json::Value) -> Self {
        Self::from_value(&value)
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Json {}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Self)
    }
}

/// Lays a JSON text out with two spaces a level. Works on the text, because a parsed number could lose digits.
fn indent(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0usize;
    let mut rest = json.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' => copy_string(&mut rest, &mut out),
            '{' | '[' => {
                skip_space(&mut rest);
                out.push(c);
                if let Some(close) = rest.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn copy_string(rest: &mut Chars<'_>, out: &mut String) {
    out.push('"');
    while let Some(c) = rest.next() {
        out.push(c);
        match c {
            '\\' => out.extend(rest.next()),
            '"' => return,
            _ => {}
        }
    }
}

fn skip_space(rest: &mut Chars<'_>) {
    while rest.next_if(char::is_ascii_whitespace).is_some() {}
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_beyond_64_bits_survive_a_round_trip() {
        let text = r#"{"n":1180591620717411303424,"x":0.30000000000000004}"#;
        let json: Json = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&json).unwrap(), text);
    }

    #[test]
    fn pretty_indents_and_leaves_strings_alone() {
        let json = Json::parse(r#"{ "a": [1, {"b": "x, {y}: \" z"}], "e": [ ], "o": {} }"#.to_owned()).unwrap();
        assert_eq!(
            json.pretty(),
            "{\n  \"a\": [\n    1,\n    {\n      \"b\": \"x, {y}: \\\" z\"\n    }\n  ],\n  \"e\": [],\n  \"o\": {}\n}"
        );
    }
}
