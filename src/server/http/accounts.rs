//! Accounts, tokens and the audit log, and who asks.

use axum::{Extension, Json, extract::State, http::StatusCode};
use serde_json::{Value, json};
use taskscope_wire::{
    Account, AccountChange, AuditEntry, AuditQuery, CreatedToken, ErrorBody, Me, NewAccount, NewToken, Page, PasswordChange,
    Token,
};

use super::{
    admit::Doors,
    error::ApiError,
    extract::{Id, JsonBody, Params},
};
use crate::server::access::{AuditNote, Caller};

/// Who asks, and what they may do.
#[utoipa::path(get, path = "/api/v1/me", tag = "access", responses((status = 200, body = Me)))]
pub(super) async fn me(Extension(caller): Extension<Caller>) -> Json<Me> {
    Json(caller.me())
}

/// Change one's own password. All sessions of the account end, this one too.
#[utoipa::path(
    put, path = "/api/v1/me/password", tag = "access", request_body = PasswordChange,
    responses(
        (status = 200, description = "It is changed"),
        (status = 400, description = "The current one is wrong, or the new one is not allowed", body = ErrorBody),
        (status = 409, description = "Who asks has not logged in with a password", body = ErrorBody),
    ),
)]
pub(super) async fn change_password(
    State(doors): State<Doors>,
    Extension(caller): Extension<Caller>,
    JsonBody(change): JsonBody<PasswordChange>,
) -> Result<Json<Value>, ApiError> {
    doors.gate.change_password(&caller, change).await?;
    Ok(Json(json!({})))
}

/// The accounts, by name.
#[utoipa::path(get, path = "/api/v1/accounts", tag = "access", responses((status = 200, body = Vec<Account>)))]
pub(super) async fn list(State(doors): State<Doors>) -> Result<Json<Vec<Account>>, ApiError> {
    Ok(Json(doors.gate.accounts().await?))
}

/// Make an account.
#[utoipa::path(
    post, path = "/api/v1/accounts", tag = "access", request_body = NewAccount,
    responses(
        (status = 201, description = "Its id"),
        (status = 400, description = "A field is wrong", body = ErrorBody),
        (status = 409, description = "Another account has the name", body = ErrorBody),
    ),
)]
pub(super) async fn create(
    State(doors): State<Doors>,
    Extension(note): Extension<AuditNote>,
    JsonBody(new): JsonBody<NewAccount>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    note.set(new.in_words());
    let id = doors.gate.create_account(new).await?;
    Ok((StatusCode::CREATED, Json(json!({ "id": id }))))
}

/// Change an account. A new password ends its sessions; another role or `disabled` holds at once.
#[utoipa::path(
    put, path = "/api/v1/accounts/{id}", tag = "access", request_body = AccountChange,
    params(("id" = uuid::Uuid, Path, description = "The account")),
    responses(
        (status = 200, description = "It is changed"),
        (status = 400, description = "A field is wrong", body = ErrorBody),
        (status = 404, description = "There is no such account", body = ErrorBody),
        (status = 409, description = "No admin would be left", body = ErrorBody),
    ),
)]
pub(super) async fn change(
    State(doors): State<Doors>,
    Extension(note): Extension<AuditNote>,
    Id(id): Id,
    JsonBody(change): JsonBody<AccountChange>,
) -> Result<Json<Value>, ApiError> {
    note.set(change.in_words());
    doors.gate.change_account(id, change).await?;
    Ok(Json(json!({})))
}

/// Remove an account and its sessions.
#[utoipa::path(
    delete, path = "/api/v1/accounts/{id}", tag = "access", params(("id" = uuid::Uuid, Path, description = "The account")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "There is no such account", body = ErrorBody),
        (status = 409, description = "No admin would be left", body = ErrorBody),
    ),
)]
pub(super) async fn delete(State(doors): State<Doors>, Id(id): Id) -> Result<StatusCode, ApiError> {
    doors.gate.delete_account(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The tokens, by name.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "access", responses((status = 200, body = Vec<Token>)))]
pub(super) async fn tokens(State(doors): State<Doors>) -> Result<Json<Vec<Token>>, ApiError> {
    Ok(Json(doors.gate.tokens().await?))
}

/// Make a token. The answer is the only one that holds it.
#[utoipa::path(
    post, path = "/api/v1/tokens", tag = "access", request_body = NewToken,
    responses((status = 201, body = CreatedToken), (status = 400, description = "A field is wrong", body = ErrorBody)),
)]
pub(super) async fn create_token(
    State(doors): State<Doors>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<AuditNote>,
    JsonBody(new): JsonBody<NewToken>,
) -> Result<(StatusCode, Json<CreatedToken>), ApiError> {
    note.set(new.in_words());
    Ok((StatusCode::CREATED, Json(doors.gate.create_token(&caller, new).await?)))
}

/// Make a token worthless, at once.
#[utoipa::path(
    delete, path = "/api/v1/tokens/{id}", tag = "access", params(("id" = uuid::Uuid, Path, description = "The token")),
    responses(
        (status = 204, description = "It opens nothing any more"),
        (status = 404, description = "There is no such token", body = ErrorBody),
    ),
)]
pub(super) async fn revoke_token(State(doors): State<Doors>, Id(id): Id) -> Result<StatusCode, ApiError> {
    doors.gate.revoke_token(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What was done and by whom, newest first.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "access", params(AuditQuery),
    responses((status = 200, body = Page<AuditEntry>), (status = 400, description = "A parameter is wrong", body = ErrorBody)),
)]
pub(super) async fn audit(
    State(doors): State<Doors>,
    Params(query): Params<AuditQuery>,
) -> Result<Json<Page<AuditEntry>>, ApiError> {
    Ok(Json(doors.gate.audit(&query).await?))
}
