//! Providers as rows have them, and what may become of them.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{Provider, ProviderChange, ProviderType};
use crate::{
    Service, ServiceError,
    llm::{Settings, keys::Key, settle_base_url},
};

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

/// A provider as a row has it.
pub(super) struct Row {
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
    pub(super) updated_at: DateTime<Utc>,
}

/// A provider as it is to be.
pub(super) struct Changed {
    pub(super) settings: Settings,
    pub(super) is_active: bool,
}

impl Row {
    fn kind(&self) -> Result<ProviderType, ServiceError> {
        let unknown = || sqlx::Error::Decode(format!("this version has no provider type {:?}", self.kind).into());
        self.kind.parse().map_err(|_| ServiceError::Database(unknown()))
    }

    pub(super) fn settings(&self) -> Result<Settings, ServiceError> {
        Ok(Settings {
            id: self.id,
            name: self.name.clone(),
            kind: self.kind()?,
            base_url: self.base_url.clone(),
            key: Key::from_row(self.api_key_sealed.clone(), self.api_key_env.clone()),
            models: self.models.clone(),
        })
    }

    pub(super) fn shown(self) -> Result<Provider, ServiceError> {
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

/// All rows, by name.
pub(super) async fn rows(pool: &PgPool) -> Result<Vec<Row>, ServiceError> {
    Ok(select!("order by lower(name), id").fetch_all(pool).await?)
}

pub(super) async fn row(pool: &PgPool, id: Uuid) -> Result<Row, ServiceError> {
    let row = select!("where id = $1", id);
    row.fetch_optional(pool).await?.ok_or_else(|| not_found(id))
}

/// The row, which nobody else changes until the transaction ends.
pub(super) async fn locked(db: &mut PgConnection, id: Uuid) -> Result<Row, ServiceError> {
    let row = select!("where id = $1 for update", id);
    row.fetch_optional(db).await?.ok_or_else(|| not_found(id))
}

/// What a change makes of a provider. Models that another place has are not known to be here.
pub(super) fn changed(service: &Service, row: Row, change: ProviderChange) -> Result<Changed, ServiceError> {
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

pub(super) fn check_name(name: &str) -> Result<(), ServiceError> {
    let length = name.trim().chars().count();
    if (1..=200).contains(&length) && !name.contains('\0') {
        return Ok(());
    }
    Err(ServiceError::Invalid("name must be 1 to 200 characters without a NUL character".to_owned()))
}

/// Where it answers: as given, or the usual place of its type.
pub(super) fn place(kind: ProviderType, given: Option<&str>) -> Result<Option<String>, ServiceError> {
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

pub(super) fn key(service: &Service, id: Uuid, kind: ProviderType, given: Option<&SecretString>) -> Result<Key, ServiceError> {
    let Some(given) = given.filter(|given| !given.expose_secret().trim().is_empty()) else { return Ok(Key::None) };
    if kind == ProviderType::Keyword {
        return Err(ServiceError::Invalid("api_key must not be given for a keyword provider, which needs none".to_owned()));
    }
    Key::keep(&service.config().llm, id, given).map_err(ServiceError::Invalid)
}

pub(super) fn not_found(id: Uuid) -> ServiceError {
    ServiceError::NotFound(format!("provider {id}"))
}
