use secrecy::ExposeSecret;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;
use taskscope_wire::Triggered;

use super::update::Update;
use crate::{Queue, TelegramConfig, TriggerError};

/// What became of an update that Telegram sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SavedUpdate {
    /// A task saves its message.
    Queued(Triggered),
    /// Telegram had sent it before.
    Known,
    /// There is no message in it that is kept.
    Ignored,
}

/// Why an update was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// No secret is configured, so nobody may use it.
    #[error("the Telegram webhook is closed: set telegram.webhook_secret, and give Telegram the same secret_token")]
    Closed,
    /// The secret is missing or wrong.
    #[error("X-Telegram-Bot-Api-Secret-Token is missing or wrong")]
    Forbidden,
    /// The body is no update.
    #[error("the body is no update of Telegram: {0}")]
    Invalid(String),
    /// The task can't be queued.
    #[error(transparent)]
    Queue(#[from] TriggerError),
}

/// Takes the body of `POST /api/v1/telegram/webhook`, with its header `X-Telegram-Bot-Api-Secret-Token`, and queues
/// `save_telegram_message`.
///
/// # Errors
/// The webhook is closed, the secret or the body is wrong, or the queue can't be reached. Telegram sends the update again then.
pub async fn save_from_webhook(
    queue: &Queue,
    config: &TelegramConfig,
    secret_token: Option<&str>,
    body: &[u8],
) -> Result<SavedUpdate, WebhookError> {
    let secret = config.webhook_secret.as_ref().map(ExposeSecret::expose_secret).filter(|secret| !secret.is_empty());
    let secret = secret.ok_or(WebhookError::Closed)?;
    // As long as they differ only in their bytes, a comparison takes the same time.
    if !bool::from(secret_token.unwrap_or_default().as_bytes().ct_eq(secret.as_bytes())) {
        return Err(WebhookError::Forbidden);
    }
    let value: Value = serde_json::from_slice(body).map_err(|error| WebhookError::Invalid(error.to_string()))?;
    let update: Update = serde_path_to_error::deserialize(&value).map_err(|error| WebhookError::Invalid(error.to_string()))?;
    let key = format!("update@{}", update.update_id);
    if update.into_message(config.chat_id).is_none() {
        return Ok(SavedUpdate::Ignored);
    }
    let queued = queue.push_once("save_telegram_message", json!({"update": value}), &key).await?;
    Ok(queued.map_or(SavedUpdate::Known, SavedUpdate::Queued))
}
