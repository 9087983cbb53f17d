//! Task configs: what agents are asked for, as a JSON Schema of the answer.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use super::checks;
use crate::ServiceError;

/// The most bytes of a schema.
const LARGEST_SCHEMA: usize = 100_000;

/// A task config.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskConfig {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The JSON Schema that answers must fit.
    pub response_schema: Value,
    /// Whether runs may use it.
    pub is_active: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// The body of `POST /api/v1/task-configs`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewTaskConfig {
    /// Its name, 1 to 200 characters; no other task config has it.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// The JSON Schema that answers must fit: an object with an array `proposals`.
    pub response_schema: Value,
    /// Whether runs may use it.
    #[serde(default = "active")]
    pub is_active: bool,
}

/// The body of `PUT /api/v1/task-configs/{id}`: what is not given stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct TaskConfigChange {
    /// Its name, 1 to 200 characters; no other task config has it.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The JSON Schema that answers must fit: an object with an array `proposals`.
    pub response_schema: Option<Value>,
    /// Whether runs may use it.
    pub is_active: Option<bool>,
}

const fn active() -> bool {
    true
}

/// The task configs, by name.
///
/// # Errors
/// Postgres doesn't answer.
pub async fn list(pool: &PgPool) -> Result<Vec<TaskConfig>, ServiceError> {
    Ok(sqlx::query_as!(TaskConfig, "select * from task_configs order by name, id").fetch_all(pool).await?)
}

/// One task config.
///
/// # Errors
/// There is no such task config, or Postgres doesn't answer.
pub async fn get(pool: &PgPool, id: Uuid) -> Result<TaskConfig, ServiceError> {
    let found = sqlx::query_as!(TaskConfig, "select * from task_configs where id = $1", id).fetch_optional(pool).await?;
    found.ok_or_else(|| not_found(id))
}

/// Makes a task config.
///
/// # Errors
/// A field is wrong, the name is taken, or Postgres doesn't answer.
pub async fn create(pool: &PgPool, new: &NewTaskConfig) -> Result<TaskConfig, ServiceError> {
    check(Some(&new.name), Some(&new.description), Some(&new.response_schema))?;
    let created = sqlx::query_as!(
        TaskConfig,
        "insert into task_configs (name, description, response_schema, is_active) values (trim($1), $2, $3, $4) returning *",
        new.name,
        new.description,
        new.response_schema,
        new.is_active,
    );
    Ok(created.fetch_one(pool).await?)
}

/// Changes a task config. Runs that have begun go by what it was.
///
/// # Errors
/// There is no such task config, a field is wrong, the name is taken, or Postgres doesn't answer.
pub async fn change(pool: &PgPool, id: Uuid, change: &TaskConfigChange) -> Result<TaskConfig, ServiceError> {
    check(change.name.as_deref(), change.description.as_deref(), change.response_schema.as_ref())?;
    let changed = sqlx::query_as!(
        TaskConfig,
        "update task_configs set updated_at = now(), name = coalesce(trim($2), name), description = coalesce($3, description),
             response_schema = coalesce($4, response_schema), is_active = coalesce($5, is_active)
         where id = $1 returning *",
        id,
        change.name.as_deref() as Option<&str>,
        change.description.as_deref() as Option<&str>,
        change.response_schema.as_ref() as Option<&Value>,
        change.is_active as Option<bool>,
    );
    changed.fetch_optional(pool).await?.ok_or_else(|| not_found(id))
}

/// Deletes a task config.
///
/// # Errors
/// There is no such task config, an assignment uses it, or Postgres doesn't answer.
pub async fn delete(pool: &PgPool, id: Uuid) -> Result<(), ServiceError> {
    let deleted = sqlx::query!("delete from task_configs where id = $1", id).execute(pool).await?;
    if deleted.rows_affected() == 0 { Err(not_found(id)) } else { Ok(()) }
}

fn check(name: Option<&str>, description: Option<&str>, schema: Option<&Value>) -> Result<(), ServiceError> {
    checks::given(name, |name| checks::name("name", name))?;
    checks::given(description, |text| checks::text("description", text, 0..=10_000))?;
    checks::given(schema, |schema| {
        check_schema(schema).map_err(|reason| ServiceError::Invalid(format!("response_schema {reason}")))
    })
}

/// The executor reads `proposals`, whatever else an answer has.
fn check_schema(schema: &Value) -> Result<(), String> {
    if !schema.is_object() {
        return Err("must be a JSON Schema, which is an object".to_owned());
    }
    let text = schema.to_string();
    if text.len() > LARGEST_SCHEMA || text.contains(r"\u0000") {
        return Err(format!("must be at most {LARGEST_SCHEMA} bytes without a NUL character"));
    }
    jsonschema::validator_for(schema).map_err(|error| format!("must be a JSON Schema: {error}"))?;
    if schema.pointer("/properties/proposals/type") != Some(&Value::from("array")) {
        return Err("must have a property `proposals` of type `array`".to_owned());
    }
    Ok(())
}

fn not_found(id: Uuid) -> ServiceError {
    ServiceError::NotFound(format!("task config {id}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_that_is_none_or_has_no_proposals_is_refused_with_the_reason() {
        let cases = [
            (json!("object"), "must be a JSON Schema, which is an object"),
            (json!({"type": "thing"}), "must be a JSON Schema: "),
            (json!({"$ref": "https://schemas.example/a.json"}), "must be a JSON Schema: "),
            (json!({"type": "object"}), "must have a property `proposals` of type `array`"),
            (json!({"properties": {"proposals": {"type": "object"}}}), "must have a property `proposals`"),
        ];
        for (schema, reason) in cases {
            let error = check_schema(&schema).unwrap_err();
            assert!(error.starts_with(reason), "{schema}: {error}");
        }
        check_schema(&json!({"type": "object", "properties": {"proposals": {"type": "array"}}})).unwrap();
    }
}
