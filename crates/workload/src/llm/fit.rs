//! Whether an answer is what was asked for.

use jsonschema::Validator;
use serde_json::Value;

use super::{clean, provider::Reply};

/// The most faults that are told.
const TOLD: usize = 5;

/// What an answer must be.
pub(super) struct Fit {
    /// None: any text.
    schema: Option<Validator>,
}

impl Fit {
    /// # Errors
    /// A sentence: it is no JSON Schema.
    pub(super) fn new(schema: Option<&Value>) -> Result<Self, String> {
        let schema = schema.map(jsonschema::validator_for).transpose();
        Ok(Self { schema: schema.map_err(|error| format!("the response schema is no JSON Schema: {error}"))? })
    }

    /// The value of an answer.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(&self, reply: &Reply) -> Result<Value, String> {
        if reply.text.trim().is_empty() {
            return Err(if reply.declined.is_empty() {
                "it is empty".to_owned()
            } else {
                format!("it declined: {}", reply.declined)
            });
        }
        let Some(schema) = &self.schema else { return Ok(Value::String(clean::text(reply.text.trim()))) };
        let value = parse(&reply.text).map(clean::value).map_err(|error| match reply.cut_off {
            true => format!("it was cut off at the most tokens allowed ({error})"),
            false => format!("it is no JSON: {error}"),
        })?;
        let faults: Vec<_> = schema.iter_errors(&value).take(TOLD).map(|fault| told(&fault)).collect();
        if faults.is_empty() { Ok(value) } else { Err(faults.join("; ")) }
    }
}

/// The JSON in a text: all of it, or what is in its code fence.
fn parse(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text.trim()).or_else(|error| match fenced(text) {
        Some(inner) => serde_json::from_str(inner),
        None => Err(error),
    })
}

fn fenced(text: &str) -> Option<&str> {
    let (_, after) = text.split_once("```")?;
    let (inner, _) = after.rsplit_once("```")?;
    let inner = inner.strip_prefix("json").or_else(|| inner.strip_prefix("JSON")).unwrap_or(inner);
    Some(inner.trim())
}

fn told(fault: &jsonschema::ValidationError<'_>) -> String {
    let place = fault.instance_path().to_string();
    let place = if place.is_empty() { "the answer".to_owned() } else { place };
    // A fault repeats the value, which may be long.
    let fault: String = fault.to_string().chars().take(300).collect();
    format!("{place}: {fault}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reply(text: &str) -> Reply {
        Reply { text: text.to_owned(), ..Reply::default() }
    }

    #[test]
    fn json_is_found_in_a_fence_and_checked() {
        let schema = json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}});
        let fit = Fit::new(Some(&schema)).unwrap();
        for good in ["{\"n\": 1}", "Here it is:\n```json\n{\"n\": 1}\n```", "```\n{\"n\": 1}```", " {\"n\":1}\n"] {
            assert_eq!(fit.read(&reply(good)), Ok(json!({"n": 1})), "{good}");
        }
        for (bad, reason) in [
            ("{\"n\": \"1\"}", "/n: \"1\" is not of type \"integer\""),
            ("{}", "the answer: \"n\" is a required property"),
            ("{\"n\": 1", "it is no JSON: EOF while parsing an object at line 1 column 7"),
            ("", "it is empty"),
        ] {
            assert_eq!(fit.read(&reply(bad)).unwrap_err(), reason);
        }
        let cut = Reply { cut_off: true, ..reply("{\"n\": ") };
        assert!(fit.read(&cut).unwrap_err().starts_with("it was cut off at the most tokens allowed"));
        let declined = Reply { declined: "no".to_owned(), ..Reply::default() };
        assert_eq!(fit.read(&declined).unwrap_err(), "it declined: no");
    }

    #[test]
    fn without_a_schema_any_text_is_an_answer() {
        assert_eq!(Fit::new(None).unwrap().read(&reply(" well \n")), Ok(json!("well")));
        assert!(Fit::new(Some(&json!({"type": 7}))).is_err());
    }
}
