//! Telegram's way in: updates of the bot.

use axum::{
    Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::HeaderMap,
};
use serde_json::{Value, json};
use taskscope_wire::{ErrorBody, clean};
use taskscope_workload::telegram::{SavedUpdate, WebhookError, save_from_webhook};

use super::{error::ApiError, extract::refused_body};
use crate::server::workload::Workload;

/// Take an update of the Telegram bot: a task saves its message.
#[utoipa::path(
    post, path = "/api/v1/telegram/webhook", tag = "tasks",
    params(("X-Telegram-Bot-Api-Secret-Token" = String, Header, description = "The secret that the webhook was set with")),
    request_body(content = Object, description = "An Update of the Bot API"),
    responses(
        (status = 200, description = "It was taken, was known, or holds no message"),
        (status = 400, description = "The body is no update", body = ErrorBody),
        (status = 401, description = "The secret is missing or wrong, or the webhook is closed", body = ErrorBody),
        (status = 413, description = "The body is too large", body = ErrorBody),
        (status = 503, description = "The database is not reachable: Telegram sends the update again", body = ErrorBody),
    ),
)]
pub(super) async fn webhook(
    State(workload): State<Workload>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let secret = headers.get("x-telegram-bot-api-secret-token").and_then(|value| value.to_str().ok());
    let body = body.map_err(refused_body)?;
    let saved = save_from_webhook(workload.queue().await?, &workload.config().telegram, secret, clean(&body).as_bytes()).await;
    match saved {
        Ok(SavedUpdate::Queued(triggered)) => Ok(Json(json!({ "task_id": triggered.task_id }))),
        Ok(SavedUpdate::Known | SavedUpdate::Ignored) => Ok(Json(json!({}))),
        Err(WebhookError::Queue(error)) => Err(error.into()),
        Err(error @ (WebhookError::Closed | WebhookError::Forbidden)) => Err(ApiError::Forbidden(error.to_string())),
        Err(error) => Err(ApiError::Invalid(error.to_string())),
    }
}
