use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

use super::{LlmError, keys::Key};

/// How a provider is spoken to.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ProviderType {
    /// Ollama's own API.
    Ollama,
    /// OpenAI's chat completions, or a server that understands them.
    Openai,
    /// The rules that are built in: no model, no network.
    Keyword,
}

/// A provider as a row has it.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) kind: ProviderType,
    pub(crate) base_url: Option<String>,
    pub(crate) key: Key,
    /// The models that it is known to have.
    pub(crate) models: Vec<String>,
}

impl Settings {
    /// Those of the provider with this id, if it is there and active.
    pub(super) async fn load(pool: &PgPool, id: Uuid) -> Result<Self, LlmError> {
        let row = sqlx::query!(
            "select name, type as kind, base_url, api_key_sealed, api_key_env, is_active, models from providers where id = $1",
            id
        );
        let row = row.fetch_optional(pool).await?.ok_or_else(|| LlmError::Setup(format!("there is no provider {id}")))?;
        if !row.is_active {
            return Err(LlmError::Setup(format!("the provider {} is not active", row.name)));
        }
        let kind = row.kind.parse().map_err(|_| LlmError::Setup(format!("this version has no provider type {:?}", row.kind)))?;
        let key = Key::from_row(row.api_key_sealed, row.api_key_env);
        Ok(Self { id, name: row.name, kind, base_url: row.base_url, key, models: row.models })
    }
}
