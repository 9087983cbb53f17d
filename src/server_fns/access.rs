//! Who asks, and what admins set up of who may come in.
#![expect(missing_docs, reason = "the macro makes public fields of the arguments, which the functions document")]

use leptos::{prelude::*, server_fn::codec::Json};
use taskscope_wire::{
    Account, AccountChange, AuditEntry, AuditQuery, CreatedToken, Me, NewAccount, NewToken, Page, PasswordChange, Token,
};
use uuid::Uuid;

use super::Caller;
use crate::error::AppError;

/// Who asks, and what they may do.
///
/// # Errors
/// The server is not reached.
#[server(prefix = "/api/fn", endpoint = "me", input = Json, client = Caller)]
pub async fn get_me() -> Result<Me, AppError> {
    Ok(crate::server::page_caller()?.me())
}

/// Changes one's own password. All sessions of the account end, this one too.
///
/// # Errors
/// The current one is wrong, the new one isn't allowed, or the database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "change_password", input = Json, client = Caller)]
pub async fn change_password(change: PasswordChange) -> Result<(), AppError> {
    use crate::server::access::Gate;
    Ok(expect_context::<Gate>().change_password(&crate::server::page_caller()?, change).await?)
}

/// The accounts, by name.
///
/// # Errors
/// Who asks is no admin, or the database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "accounts", input = Json, client = Caller)]
pub async fn get_accounts() -> Result<Vec<Account>, AppError> {
    Ok(crate::server::page_admin()?.accounts().await?)
}

/// Makes an account, and gives its id.
///
/// # Errors
/// Who asks is no admin, a field is wrong, the name is taken, or the database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "create_account", input = Json, client = Caller)]
pub async fn create_account(new: NewAccount) -> Result<Uuid, AppError> {
    crate::server::page_note(new.in_words());
    Ok(crate::server::page_admin()?.create_account(new).await?)
}

/// Changes what is given of an account.
///
/// # Errors
/// Who asks is no admin, a field is wrong, no admin would be left, or the database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "change_account", input = Json, client = Caller)]
pub async fn change_account(id: Uuid, change: AccountChange) -> Result<(), AppError> {
    crate::server::page_note(format!("{id}: {}", change.in_words()));
    Ok(crate::server::page_admin()?.change_account(id, change).await?)
}

/// Removes an account and its sessions.
///
/// # Errors
/// Who asks is no admin, no admin would be left, or the database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "delete_account", input = Json, client = Caller)]
pub async fn delete_account(id: Uuid) -> Result<(), AppError> {
    crate::server::page_note(id);
    Ok(crate::server::page_admin()?.delete_account(id).await?)
}

/// The tokens, by name.
///
/// # Errors
/// Who asks is no admin, or the database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "tokens", input = Json, client = Caller)]
pub async fn get_tokens() -> Result<Vec<Token>, AppError> {
    Ok(crate::server::page_admin()?.tokens().await?)
}

/// Makes a token, which only this answer holds.
///
/// # Errors
/// Who asks is no admin, a field is wrong, or the database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "create_token", input = Json, client = Caller)]
pub async fn create_token(new: NewToken) -> Result<CreatedToken, AppError> {
    crate::server::page_note(new.in_words());
    Ok(crate::server::page_admin()?.create_token(&crate::server::page_caller()?, new).await?)
}

/// Makes a token worthless, at once.
///
/// # Errors
/// Who asks is no admin, there is no such token, or the database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "revoke_token", input = Json, client = Caller)]
pub async fn revoke_token(id: Uuid) -> Result<(), AppError> {
    crate::server::page_note(id);
    Ok(crate::server::page_admin()?.revoke_token(id).await?)
}

/// A page of the audit log, newest first.
///
/// # Errors
/// Who asks is no admin, a parameter is wrong, or the database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "audit", input = Json, client = Caller)]
pub async fn get_audit(query: AuditQuery) -> Result<Page<AuditEntry>, AppError> {
    Ok(crate::server::page_admin()?.audit(&query).await?)
}
