//! Agents: a model, and who it is to be.

use std::time::Instant;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

use super::checks;
use crate::{
    Service, ServiceError,
    llm::{Ask, LlmError, Provider, Work},
};

/// An agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Agent {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The provider that it asks.
    pub provider_id: Uuid,
    /// The provider's name for the model.
    pub model_name: String,
    /// Who the model is to be.
    pub system_prompt: String,
    /// How freely it answers, from 0 to 2.
    pub temperature: f64,
    /// The most tokens of an answer.
    pub max_tokens: i32,
    /// Whether runs may use it.
    pub is_active: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// The body of `POST /api/v1/agents`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewAgent {
    /// Its name, 1 to 200 characters; no other agent has it.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// The provider that it asks.
    pub provider_id: Uuid,
    /// The provider's name for the model.
    pub model_name: String,
    /// Who the model is to be.
    pub system_prompt: String,
    /// How freely it answers, from 0 to 2; 0.2 if not given.
    #[serde(default = "usual_temperature")]
    pub temperature: f64,
    /// The most tokens of an answer, 1 to 200000; 4096 if not given.
    #[serde(default = "usual_max_tokens")]
    pub max_tokens: i32,
    /// Whether runs may use it.
    #[serde(default = "active")]
    pub is_active: bool,
}

/// The body of `PUT /api/v1/agents/{id}`: what is not given stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct AgentChange {
    /// Its name, 1 to 200 characters; no other agent has it.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The provider that it asks.
    pub provider_id: Option<Uuid>,
    /// The provider's name for the model.
    pub model_name: Option<String>,
    /// Who the model is to be.
    pub system_prompt: Option<String>,
    /// How freely it answers, from 0 to 2.
    pub temperature: Option<f64>,
    /// The most tokens of an answer, 1 to 200000.
    pub max_tokens: Option<i32>,
    /// Whether runs may use it.
    pub is_active: Option<bool>,
}

/// The body of `POST /api/v1/agents/{id}/test`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AgentPrompt {
    /// What to ask, 1 to 20000 characters.
    pub prompt: String,
}

/// What an agent answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AgentTest {
    /// Its answer.
    pub answer: String,
    /// Tokens asked.
    pub prompt_tokens: i64,
    /// Tokens answered.
    pub completion_tokens: i64,
    /// What that cost, in US dollars; none where the model has no price in the configuration.
    pub cost: Option<f64>,
    /// How long it took.
    pub duration_ms: i64,
}

const fn usual_temperature() -> f64 {
    0.2
}

const fn usual_max_tokens() -> i32 {
    4096
}

const fn active() -> bool {
    true
}

impl AgentChange {
    fn check(&self) -> Result<(), ServiceError> {
        checks::given(self.name.as_deref(), |name| checks::name("name", name))?;
        checks::given(self.description.as_deref(), |text| checks::text("description", text, 0..=10_000))?;
        checks::given(self.model_name.as_deref(), |name| checks::name("model_name", name))?;
        checks::given(self.system_prompt.as_deref(), |text| checks::text("system_prompt", text, 1..=100_000))?;
        if let Some(temperature) = self.temperature.filter(|temperature| !(0.0..=2.0).contains(temperature)) {
            return Err(ServiceError::Invalid(format!("temperature must be 0 to 2, not {temperature}")));
        }
        if let Some(tokens) = self.max_tokens.filter(|tokens| !(1..=200_000).contains(tokens)) {
            return Err(ServiceError::Invalid(format!("max_tokens must be 1 to 200000, not {tokens}")));
        }
        Ok(())
    }
}

/// The agents, by name.
///
/// # Errors
/// Postgres doesn't answer.
pub async fn list(pool: &PgPool) -> Result<Vec<Agent>, ServiceError> {
    Ok(sqlx::query_as!(Agent, "select * from agents order by name, id").fetch_all(pool).await?)
}

/// One agent.
///
/// # Errors
/// There is no such agent, or Postgres doesn't answer.
pub async fn get(pool: &PgPool, id: Uuid) -> Result<Agent, ServiceError> {
    let found = sqlx::query_as!(Agent, "select * from agents where id = $1", id).fetch_optional(pool).await?;
    found.ok_or_else(|| not_found(id))
}

/// Makes an agent.
///
/// # Errors
/// A field is wrong, the name is taken, or Postgres doesn't answer.
pub async fn create(pool: &PgPool, new: &NewAgent) -> Result<Agent, ServiceError> {
    AgentChange {
        name: Some(new.name.clone()),
        description: Some(new.description.clone()),
        provider_id: None,
        model_name: Some(new.model_name.clone()),
        system_prompt: Some(new.system_prompt.clone()),
        temperature: Some(new.temperature),
        max_tokens: Some(new.max_tokens),
        is_active: None,
    }
    .check()?;
    let created = sqlx::query_as!(
        Agent,
        "insert into agents (name, description, provider_id, model_name, system_prompt, temperature, max_tokens, is_active)
         values (trim($1), $2, $3, trim($4), $5, $6, $7, $8) returning *",
        new.name,
        new.description,
        new.provider_id,
        new.model_name,
        new.system_prompt,
        new.temperature,
        new.max_tokens,
        new.is_active,
    );
    Ok(created.fetch_one(pool).await?)
}

/// Changes an agent. Runs that have begun go by what it was.
///
/// # Errors
/// There is no such agent, a field is wrong, the name is taken, or Postgres doesn't answer.
pub async fn change(pool: &PgPool, id: Uuid, change: &AgentChange) -> Result<Agent, ServiceError> {
    change.check()?;
    let changed = sqlx::query_as!(
        Agent,
        "update agents set updated_at = now(), name = coalesce(trim($2), name), description = coalesce($3, description),
             provider_id = coalesce($4, provider_id), model_name = coalesce(trim($5), model_name),
             system_prompt = coalesce($6, system_prompt), temperature = coalesce($7, temperature),
             max_tokens = coalesce($8, max_tokens), is_active = coalesce($9, is_active)
         where id = $1 returning *",
        id,
        change.name.as_deref() as Option<&str>,
        change.description.as_deref() as Option<&str>,
        change.provider_id as Option<Uuid>,
        change.model_name.as_deref() as Option<&str>,
        change.system_prompt.as_deref() as Option<&str>,
        change.temperature as Option<f64>,
        change.max_tokens as Option<i32>,
        change.is_active as Option<bool>,
    );
    changed.fetch_optional(pool).await?.ok_or_else(|| not_found(id))
}

/// Deletes an agent.
///
/// # Errors
/// There is no such agent, an assignment uses it, or Postgres doesn't answer.
pub async fn delete(pool: &PgPool, id: Uuid) -> Result<(), ServiceError> {
    let deleted = sqlx::query!("delete from agents where id = $1", id).execute(pool).await?;
    if deleted.rows_affected() == 0 { Err(not_found(id)) } else { Ok(()) }
}

/// Asks an agent once, whether it is active or not.
///
/// # Errors
/// There is no such agent, the prompt is empty or too long, the provider can't be used or gives no answer, or Postgres doesn't answer.
pub async fn test(service: &Service, id: Uuid, prompt: &str) -> Result<AgentTest, ServiceError> {
    checks::text("prompt", prompt, 1..=20_000)?;
    let agent = get(&service.pool, id).await?;
    let provider = Provider::load(&service.pool, &service.config, &service.http, agent.provider_id).await.map_err(refusal)?;
    let ask = Ask {
        model: &agent.model_name,
        system: &agent.system_prompt,
        work: Work::Free(prompt),
        schema: None,
        temperature: agent.temperature,
        max_tokens: u32::try_from(agent.max_tokens).unwrap_or(1),
    };
    let begun = Instant::now();
    let answer = provider.ask(&ask, &|_, _| {}).await.map_err(refusal)?;
    Ok(AgentTest {
        answer: answer.value.as_str().map_or_else(|| answer.value.to_string(), str::to_owned),
        prompt_tokens: answer.usage.prompt_tokens,
        completion_tokens: answer.usage.completion_tokens,
        cost: answer.usage.cost,
        duration_ms: i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX),
    })
}

fn refusal(error: LlmError) -> ServiceError {
    match error {
        LlmError::Database(cause) => cause.into(),
        LlmError::Setup(_) => ServiceError::Conflict(error.to_string()),
        _ => ServiceError::Provider(error.to_string()),
    }
}

fn not_found(id: Uuid) -> ServiceError {
    ServiceError::NotFound(format!("agent {id}"))
}
