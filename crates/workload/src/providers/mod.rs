//! Providers of language models, as the API keeps them. Keys go in and never come out.

mod row;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use self::row::{changed, check_name, key, locked, not_found, place, row, rows};
pub use crate::llm::ProviderType;
use crate::{Service, ServiceError, llm};

/// A provider, without its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Provider {
    /// Its id.
    pub id: Uuid,
    /// Its name, unique.
    pub name: String,
    /// How it is spoken to: `ollama`, `openai` or `keyword`.
    #[serde(rename = "type")]
    pub kind: ProviderType,
    /// Where it answers; the keyword rules have none.
    pub base_url: Option<String>,
    /// Whether it is asked with a key.
    pub has_api_key: bool,
    /// Whether it may be asked.
    pub is_active: bool,
    /// What the last check said: `pending`, `connected` or `error`.
    pub validation_status: String,
    /// Why that was an error.
    pub last_validation_error: Option<String>,
    /// When it was last checked.
    pub last_validated_at: Option<DateTime<Utc>>,
    /// The models that it had when it was last reached.
    pub models: Vec<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When somebody last changed it.
    pub updated_at: DateTime<Utc>,
}

/// The body of `POST /api/v1/providers`.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewProvider {
    /// Its name, unique: 1 to 200 characters.
    pub name: String,
    /// How it is spoken to: `ollama`, `openai` or `keyword`.
    #[serde(rename = "type")]
    pub kind: ProviderType,
    /// Where it answers. OpenAI's convention is that the version belongs to it: `https://api.openai.com/v1`, which is also what is taken
    /// where none is given; `/v1` is added where there is no path. Of Ollama it is the server alone, else `http://localhost:11434`.
    #[serde(default)]
    pub base_url: Option<String>,
    /// Its key, which is stored encrypted, or `env:NAME` for that variable of the server's environment, which must begin with
    /// `TASKSCOPE_LLM_KEY`. Such a key is sent to OpenAI, or to the server that the variable `NAME_URL` names, and nowhere else.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, write_only))]
    pub api_key: Option<SecretString>,
    /// Whether it may be asked.
    #[serde(default = "active")]
    pub is_active: bool,
}

const fn active() -> bool {
    true
}

/// The body of `PUT /api/v1/providers/{id}`: what is given is changed.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ProviderChange {
    /// Its name, unique: 1 to 200 characters.
    pub name: Option<String>,
    /// How it is spoken to.
    #[serde(rename = "type")]
    pub kind: Option<ProviderType>,
    /// Where it answers. A key that is kept was meant for the old place, and must be given again.
    pub base_url: Option<String>,
    /// Its key, as for a new provider; an empty one takes the key away.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, write_only))]
    pub api_key: Option<SecretString>,
    /// Whether it may be asked.
    pub is_active: Option<bool>,
}

/// All providers, by name.
///
/// # Errors
/// Postgres doesn't answer.
pub async fn list(service: &Service) -> Result<Vec<Provider>, ServiceError> {
    rows(service.pool()).await?.into_iter().map(row::Row::shown).collect()
}

/// One provider.
///
/// # Errors
/// There is no such provider, or Postgres doesn't answer.
pub async fn get(service: &Service, id: Uuid) -> Result<Provider, ServiceError> {
    row(service.pool(), id).await?.shown()
}

/// Keeps a new provider, and checks whether it can be reached. One that can't is kept all the same, with the reason.
///
/// # Errors
/// A field is wrong, the name is taken, or Postgres doesn't answer.
pub async fn create(service: &Service, new: NewProvider) -> Result<Provider, ServiceError> {
    let id = Uuid::new_v4();
    check_name(&new.name)?;
    let base_url = place(new.kind, new.base_url.as_deref())?;
    let key = key(service, id, new.kind, new.api_key.as_ref())?;
    let (sealed, env) = key.columns();
    sqlx::query!(
        "insert into providers (id, name, type, base_url, api_key_sealed, api_key_env, is_active) values ($1, $2, $3, $4, $5, $6, $7)",
        id,
        new.name.trim(),
        new.kind.to_string(),
        base_url,
        sealed,
        env,
        new.is_active,
    )
    .execute(service.pool())
    .await?;
    check(service, id).await
}

/// Changes what is given, and checks whether the provider can be reached.
///
/// # Errors
/// There is no such provider, a field is wrong, the name is taken, or Postgres doesn't answer.
pub async fn change(service: &Service, id: Uuid, change: ProviderChange) -> Result<Provider, ServiceError> {
    let mut tx = service.pool().begin().await?;
    let changed = changed(service, locked(&mut tx, id).await?, change)?;
    let (sealed, env) = changed.settings.key.columns();
    sqlx::query!(
        "update providers set name = $2, type = $3, base_url = $4, api_key_sealed = $5, api_key_env = $6, is_active = $7, models = $8,
                updated_at = now()
         where id = $1",
        id,
        changed.settings.name,
        changed.settings.kind.to_string(),
        changed.settings.base_url,
        sealed,
        env,
        changed.is_active,
        &changed.settings.models,
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    check(service, id).await
}

/// Forgets a provider.
///
/// # Errors
/// There is no such provider, an agent uses it, or Postgres doesn't answer.
pub async fn delete(service: &Service, id: Uuid) -> Result<(), ServiceError> {
    let deleted = sqlx::query!("delete from providers where id = $1", id).execute(service.pool()).await?;
    if deleted.rows_affected() == 0 { Err(not_found(id)) } else { Ok(()) }
}

/// Checks whether a provider can be reached and which models it has, within five seconds, and keeps what came of it.
///
/// # Errors
/// There is no such provider, or Postgres doesn't answer.
pub async fn check(service: &Service, id: Uuid) -> Result<Provider, ServiceError> {
    let row = row(service.pool(), id).await?;
    let (settings, updated_at) = (row.settings()?, row.updated_at);
    let outcome = match llm::Provider::new(settings, &service.config().llm, &service.http) {
        Ok(provider) => provider.check().await,
        Err(error) => Err(error),
    };
    // What was found out about a provider that somebody has changed meanwhile says nothing: that change makes a check of its own.
    let (status, error, models) = match outcome {
        Ok(models) => ("connected", None, Some(models)),
        Err(error) => ("error", Some(error.to_string().replace('\0', "")), None),
    };
    sqlx::query!(
        "update providers set validation_status = $2, last_validation_error = $3, last_validated_at = now(), models = coalesce($4, models)
         where id = $1 and updated_at = $5",
        id,
        status,
        error,
        models.as_deref(),
        updated_at,
    )
    .execute(service.pool())
    .await?;
    get(service, id).await
}
