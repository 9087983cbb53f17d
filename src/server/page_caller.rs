//! Who asks for a page or calls a server function. A page is drawn by calling server functions directly, past their routes, so that those which are not
//! for everybody who may look ask here themselves.

use axum::http::request::Parts;
use leptos::prelude::{expect_context, use_context};
use taskscope_wire::{Replayed, Role};

use super::{
    access::{AuditNote, Caller, Gate},
    recorder::Recorder,
};
use crate::error::AppError;

/// Who asks.
///
/// # Errors
/// Nobody was let in.
pub fn page_caller() -> Result<Caller, AppError> {
    let parts = use_context::<Parts>();
    let caller = parts.and_then(|parts| parts.extensions.get::<Caller>().cloned());
    caller.ok_or_else(|| AppError::LoginNeeded.with_status())
}

/// What who asks may do; nobody may least.
pub fn page_role() -> Role {
    let parts = use_context::<Parts>();
    parts.and_then(|parts| parts.extensions.get::<Caller>().map(|caller| caller.role)).unwrap_or(Role::Viewer)
}

/// Sends all dead letters again.
///
/// # Errors
/// The database doesn't answer, or too much waits already.
pub async fn page_replay() -> Result<Replayed, AppError> {
    Ok(expect_context::<Recorder>().replay_dead_letters().await?)
}

/// The gate, for an admin.
///
/// # Errors
/// Who asks is none.
pub fn page_admin() -> Result<Gate, AppError> {
    let role = page_caller()?.role;
    if role >= Role::Admin {
        return Ok(expect_context::<Gate>());
    }
    Err(AppError::NotAllowed(format!("the role {} is needed for this, and yours is {role}", Role::Admin)).with_status())
}

/// Says in the audit log on what something was done.
pub fn page_note(text: impl ToString) {
    let parts = use_context::<Parts>();
    if let Some(note) = parts.and_then(|parts| parts.extensions.get::<AuditNote>().cloned()) {
        note.set(text.to_string());
    }
}
