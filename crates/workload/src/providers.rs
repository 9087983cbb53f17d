//! Providers of language models, as the API keeps them. Keys go in and never come out.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

pub use crate::llm::ProviderType;
use crate::{
    Service, ServiceError,
    llm::{self, Settings, keys::Key, settle_base_url},
};

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
    /// `TASKSCOPE_LLM_KEY`.
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

/// Rows of providers; which, and in which order.
macro_rules! select {
    ($rest:literal $(, $id:ident)?) => {
        sqlx::query_as!(
            Row,
            "select id, name, type as kind, base_url, api_key_sealed, api_key_env, is_active, validation_status, last_validation_error,
                    last_validated_at, models, created_at, updated_at
             from providers " + $rest
            $(, $id)?
        )
    };
}

/// All providers, by name.
///
/// # Errors
/// Postgres doesn't answer.
pub async fn list(service: &Service) -> Result<Vec<Provider>, ServiceError> {
    let rows = select!("order by lower(name), id");
    rows.fetch_all(service.pool()).await?.into_iter().map(Row::shown).collect()
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
    let settings = row.settings()?;
    let outcome = match llm::Provider::new(settings, &service.config().llm, &service.http) {
        Ok(provider) => provider.check().await,
        Err(error) => Err(error),
    };
    let (status, error, models) = match outcome {
        Ok(models) => ("connected", None, Some(models)),
        Err(error) => ("error", Some(error.to_string().replace('\0', "")), None),
    };
    sqlx::query!(
        "update providers set validation_status = $2, last_validation_error = $3, last_validated_at = now(), models = coalesce($4, models)
         where id = $1",
        id,
        status,
        error,
        models.as_deref(),
    )
    .execute(service.pool())
    .await?;
    get(service, id).await
}

/// A provider as a row has it.
struct Row {
    id: Uuid,
    name: String,
    kind: String,
    base_url: Option<String>,
    api_key_sealed: Option<Vec<u8>>,
    api_key_env: Option<String>,
    is_active: bool,
    validation_status: String,
    last_validation_error: Option<String>,
    last_validated_at: Option<DateTime<Utc>>,
    models: Vec<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// A provider as it is to be.
struct Changed {
    settings: Settings,
    is_active: bool,
}

impl Row {
    fn kind(&self) -> Result<ProviderType, ServiceError> {
        let unknown = || sqlx::Error::Decode(format!("this version has no provider type {:?}", self.kind).into());
        self.kind.parse().map_err(|_| ServiceError::Database(unknown()))
    }

    fn settings(&self) -> Result<Settings, ServiceError> {
        Ok(Settings {
            id: self.id,
            name: self.name.clone(),
            kind: self.kind()?,
            base_url: self.base_url.clone(),
            key: Key::from_row(self.api_key_sealed.clone(), self.api_key_env.clone()),
            models: self.models.clone(),
        })
    }

    fn shown(self) -> Result<Provider, ServiceError> {
        Ok(Provider {
            id: self.id,
            kind: self.kind()?,
            name: self.name,
            base_url: self.base_url,
            has_api_key: self.api_key_sealed.is_some() || self.api_key_env.is_some(),
            is_active: self.is_active,
            validation_status: self.validation_status,
            last_validation_error: self.last_validation_error,
            last_validated_at: self.last_validated_at,
            models: self.models,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

async fn row(pool: &PgPool, id: Uuid) -> Result<Row, ServiceError> {
    let row = select!("where id = $1", id);
    row.fetch_optional(pool).await?.ok_or_else(|| not_found(id))
}

/// The row, which nobody else changes until the transaction ends.
async fn locked(db: &mut PgConnection, id: Uuid) -> Result<Row, ServiceError> {
    let row = select!("where id = $1 for update", id);
    row.fetch_optional(db).await?.ok_or_else(|| not_found(id))
}

/// What a change makes of a provider. Models that another place has are not known to be here.
fn changed(service: &Service, row: Row, change: ProviderChange) -> Result<Changed, ServiceError> {
    let old = row.settings()?;
    let kind = change.kind.unwrap_or(old.kind);
    let name = change.name.unwrap_or(old.name);
    check_name(&name)?;
    // Another type has another place; only where the type stays does the old one stand.
    let given = change.base_url.as_deref().or(old.base_url.as_deref().filter(|_| kind == old.kind));
    let base_url = place(kind, given)?;
    let moved = kind != old.kind || base_url != old.base_url;
    let key = match &change.api_key {
        Some(given) => key(service, row.id, kind, Some(given))?,
        None if moved && old.key != Key::None => return Err(ServiceError::Invalid(KEY_MUST_FOLLOW.to_owned())),
        None => old.key,
    };
    let models = if moved { Vec::new() } else { old.models };
    let name = name.trim().to_owned();
    let is_active = change.is_active.unwrap_or(row.is_active);
    Ok(Changed { settings: Settings { id: row.id, name, kind, base_url, key, models }, is_active })
}

const KEY_MUST_FOLLOW: &str = "api_key must be given again where type or base_url changes, since the stored key was meant for the other \
    place; an empty one takes it away";

fn check_name(name: &str) -> Result<(), ServiceError> {
    let length = name.trim().chars().count();
    if (1..=200).contains(&length) && !name.contains('\0') {
        return Ok(());
    }
    Err(ServiceError::Invalid("name must be 1 to 200 characters without a NUL character".to_owned()))
}

/// Where it answers: as given, or the usual place of its type.
fn place(kind: ProviderType, given: Option<&str>) -> Result<Option<String>, ServiceError> {
    let usual = match kind {
        ProviderType::Keyword if given.is_some() => {
            return Err(ServiceError::Invalid("base_url must not be given for a keyword provider, which is built in".to_owned()));
        }
        ProviderType::Keyword => return Ok(None),
        ProviderType::Openai => "https://api.openai.com/v1",
        ProviderType::Ollama => "http://localhost:11434",
    };
    settle_base_url(kind, given.unwrap_or(usual)).map(Some).map_err(ServiceError::Invalid)
}

fn key(service: &Service, id: Uuid, kind: ProviderType, given: Option<&SecretString>) -> Result<Key, ServiceError> {
    let Some(given) = given.filter(|given| !given.expose_secret().trim().is_empty()) else { return Ok(Key::None) };
    if kind == ProviderType::Keyword {
        return Err(ServiceError::Invalid("api_key must not be given for a keyword provider, which needs none".to_owned()));
    }
    Key::keep(&service.config().llm, id, given).map_err(ServiceError::Invalid)
}

fn not_found(id: Uuid) -> ServiceError {
    ServiceError::NotFound(format!("provider {id}"))
}
