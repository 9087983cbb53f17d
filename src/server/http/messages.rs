//! Messages that the workload works on.

use axum::{Json, extract::State, http::StatusCode};
use serde_json::Value;
use taskscope_wire::{ErrorBody, Message, MessageQuery, Page};
use taskscope_workload::messages::{self, InsertedMessage, NewMessage};

use super::{
    error::ApiError,
    extract::{JsonBody, Params},
};
use crate::server::workload::Workload;

/// The most messages in one request.
const MOST_MESSAGES: usize = 10_000;

/// A page of messages, newest first.
#[utoipa::path(
    get, path = "/api/v1/messages", tag = "messages", params(MessageQuery),
    responses(
        (status = 200, body = Page<Message>),
        (status = 400, description = "A parameter is wrong", body = ErrorBody),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn list(
    State(workload): State<Workload>,
    Params(query): Params<MessageQuery>,
) -> Result<Json<Page<Message>>, ApiError> {
    Ok(Json(messages::list(workload.pool(), &query).await?))
}

/// Keep messages, all or none: one object, or an array of them. The answer says of each, in their order, what became of it; one object
/// gets one answer. The same `external_id` twice is one message.
#[utoipa::path(
    post, path = "/api/v1/messages", tag = "messages",
    request_body(content((Vec<NewMessage> = "application/json"))),
    responses(
        (status = 201, description = "They are kept", body = Vec<InsertedMessage>),
        (status = 400, description = "A field is wrong; none was kept", body = ErrorBody),
        (status = 413, description = "The body is too large, or there are too many messages", body = ErrorBody),
        (status = 415, description = "The body is of another type", body = ErrorBody),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn insert(
    State(workload): State<Workload>,
    JsonBody(body): JsonBody<Value, true>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let (is_one, values) = match body {
        Value::Array(values) => (false, values),
        one @ Value::Object(_) => (true, vec![one]),
        _ => return Err(ApiError::Invalid("the body must be a message or an array of messages".to_owned())),
    };
    if values.len() > MOST_MESSAGES {
        return Err(ApiError::TooLarge(format!("at most {MOST_MESSAGES} messages at once, these are {}", values.len())));
    }
    let new = values.into_iter().enumerate().map(|(index, value)| read(index, value)).collect::<Result<Vec<_>, _>>()?;
    let inserted = messages::insert(workload.pool(), &new).await?;
    let answer = if is_one { serde_json::to_value(inserted.first()) } else { serde_json::to_value(&inserted) };
    Ok((StatusCode::CREATED, Json(answer.map_err(|error| ApiError::Internal(error.to_string()))?)))
}

fn read(index: usize, value: Value) -> Result<NewMessage, ApiError> {
    if value.is_array() {
        return Err(ApiError::Invalid(format!("messages[{index}] must be an object, not an array")));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let field = if path == "." { String::new() } else { format!(".{path}") };
        ApiError::Invalid(format!("messages[{index}]{field}: {}", error.into_inner()))
    })
}
