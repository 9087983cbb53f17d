//! What is redacted.
#![expect(missing_docs, reason = "the macro makes public fields of the arguments, which the function documents")]

use leptos::{prelude::*, server_fn::codec::Json};
use taskscope_wire::{Redaction, RedactionPreview, RedactionRules};

use super::Caller;
use crate::error::AppError;

/// The rules as they are, with what holds always.
///
/// # Errors
/// The database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "redaction", input = Json, client = Caller)]
pub async fn get_redaction() -> Result<Redaction, AppError> {
    Ok(expect_context::<crate::server::redaction::Redaction>().rules().await?)
}

/// What rules would redact in the newest executions.
///
/// # Errors
/// Who asks is no admin, a rule can't hold, or the database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "preview_redaction", input = Json, client = Caller)]
pub async fn preview_redaction(rules: RedactionRules) -> Result<RedactionPreview, AppError> {
    crate::server::page_admin()?;
    Ok(expect_context::<crate::server::redaction::Redaction>().preview(&rules).await?)
}

/// Puts other rules in force.
///
/// # Errors
/// Who asks is no admin, a rule can't hold, or the database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "change_redaction", input = Json, client = Caller)]
pub async fn change_redaction(rules: RedactionRules) -> Result<Redaction, AppError> {
    crate::server::page_admin()?;
    Ok(expect_context::<crate::server::redaction::Redaction>().change(&rules).await?)
}
