use std::fmt::Write;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The params of a task type.
pub(crate) trait Params: DeserializeOwned + JsonSchema {
    /// What the schema can't say.
    ///
    /// # Errors
    /// A sentence that names the parameter and what is allowed.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Reads params, and checks them against the ranges in their schema.
///
/// # Errors
/// A sentence that names the parameter and what is allowed.
pub(crate) fn read<P: Params>(params: &Value) -> Result<P, String> {
    if !params.is_object() {
        return Err("params must be a JSON object".to_owned());
    }
    let read: P = serde_path_to_error::deserialize(params).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if path == "." { inner.to_string() } else { format!("{path}: {inner}") }
    })?;
    if let Some(sentence) = out_of_range(&schema::<P>(), params) {
        return Err(sentence);
    }
    read.check()?;
    Ok(read)
}

/// The JSON Schema of params: the one place of their ranges.
pub(crate) fn schema<P: JsonSchema>() -> Value {
    let mut schema = schemars::schema_for!(P);
    // The name of a Rust type tells nobody anything.
    schema.remove("title");
    schema.to_value()
}

/// Checks how many items a list has.
///
/// # Errors
/// A sentence that names the parameter and what is allowed.
pub(crate) fn check_count(name: &str, count: usize, most: usize) -> Result<(), String> {
    if count <= most { Ok(()) } else { Err(format!("{name} must have {most} items or fewer, not {count}")) }
}

/// The first parameter that is out of its range.
fn out_of_range(schema: &Value, params: &Value) -> Option<String> {
    schema.get("properties")?.as_object()?.iter().find_map(|(name, property)| {
        let number = params.get(name)?.as_f64()?;
        let limit = |key: &str| property.get(key).and_then(Value::as_f64);
        let (least, most) = (limit("minimum"), limit("maximum"));
        if least.is_none_or(|least| number >= least) && most.is_none_or(|most| number <= most) {
            return None;
        }
        Some(format!("{name} must be {}, not {number}", allowed(least, most)))
    })
}

fn allowed(least: Option<f64>, most: Option<f64>) -> String {
    let mut text = least.map_or_else(String::new, |least| least.to_string());
    // Writing to a string can't fail.
    let _ = match most {
        Some(most) => write!(text, " to {most}"),
        None => write!(text, " or more"),
    };
    text
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Example {
        #[schemars(range(min = 1, max = 1000))]
        #[serde(default)]
        limit: Option<u32>,
        #[schemars(range(min = 1))]
        message_id: i64,
    }

    impl Params for Example {}

    #[test]
    fn bad_params_name_the_parameter_and_what_is_allowed() {
        let cases = [
            (json!([]), "params must be a JSON object"),
            (json!({"message_id": 1, "limit": 1001}), "limit must be 1 to 1000, not 1001"),
            (json!({"message_id": 0}), "message_id must be 1 or more, not 0"),
            (json!({"message_id": "x"}), "message_id: invalid type: string \"x\", expected i64"),
            (json!({}), "missing field `message_id`"),
            (json!({"message_id": 1, "lim": 2}), "lim: unknown field `lim`, expected `limit` or `message_id`"),
        ];
        for (params, sentence) in cases {
            assert_eq!(read::<Example>(&params).unwrap_err(), sentence);
        }
        let params: Example = read(&json!({"message_id": 7, "limit": 1000})).unwrap();
        assert_eq!((params.limit, params.message_id), (Some(1000), 7));
    }
}
