//! Telegram: its Bot API, its webhook, and the exports of its desktop program.

pub(crate) mod bot_api;
pub(crate) mod export;
mod export_message;
pub(crate) mod update;
mod webhook;

pub use webhook::{SavedUpdate, WebhookError, save_from_webhook};

/// The name of a message outside, the same from every source.
pub(crate) fn external_id(chat: i64, message: i64) -> String {
    format!("telegram:{chat}:{message}")
}

/// The text as Postgres takes it.
pub(crate) fn clean(text: &str) -> String {
    text.replace('\0', "")
}
