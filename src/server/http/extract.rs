//! What handlers take from a request, refused with a sentence that names what is wrong.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request, rejection::BytesRejection},
    http::{
        HeaderMap, StatusCode,
        header::{CONTENT_ENCODING, CONTENT_TYPE},
        request::Parts,
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::de::DeserializeOwned;
use taskscope_wire::clean;
use uuid::Uuid;

use super::{LARGEST_BODY, error::ApiError};

/// A body of JSON: an object, and an array only where it says so. serde would read an array as the fields of a struct in their order.
pub(super) struct JsonBody<T, const ARRAYS: bool = false>(pub(super) T);

/// A body of JSON that may be left out.
pub(super) struct OptionalJsonBody<T>(pub(super) T);

/// The parameters of the query.
pub(super) struct Params<T>(pub(super) T);

/// The `{id}` of the path.
pub(super) struct Id(pub(super) Uuid);

impl<S: Send + Sync, T: DeserializeOwned, const ARRAYS: bool> FromRequest<S> for JsonBody<T, ARRAYS> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        check_json(request.headers())?;
        let body = Bytes::from_request(request, state).await.map_err(refused_body)?;
        if !ARRAYS {
            refuse_array(&body)?;
        }
        read(&body).map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for OptionalJsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let is_json = check_json(request.headers());
        let body = Bytes::from_request(request, state).await.map_err(refused_body)?;
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self(T::default()));
        }
        is_json?;
        refuse_array(&body)?;
        read(&body).map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => {
                let text = rejection.body_text();
                let sentence = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
                Err(ApiError::Invalid(sentence.to_owned()))
            }
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| ApiError::Invalid(rejection.body_text()))?;
        text.parse().map(Self).map_err(|_| ApiError::Invalid(format!("the id in the path must be a UUID, not {text:?}")))
    }
}

fn refuse_array(body: &[u8]) -> Result<(), ApiError> {
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(ApiError::Invalid("the body must be a JSON object, not an array".to_owned()));
    }
    Ok(())
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let text = clean(body);
    let mut reader = serde_json::Deserializer::from_str(&text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        ApiError::Invalid(match path.as_str() {
            _ if inner.is_syntax() || inner.is_eof() => format!("the body is no JSON: {inner}"),
            "." => format!("the body is wrong: {inner}"),
            field => format!("{field}: {inner}"),
        })
    })?;
    reader.end().map_err(|error| ApiError::Invalid(format!("the body is no JSON: {error}")))?;
    Ok(value)
}

/// Refuses bodies that would have to be unpacked: some kilobytes become gigabytes then.
pub(super) async fn refuse_packed(request: Request, next: Next) -> Response {
    match request.headers().get(CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => ApiError::Packed.into_response(),
        _ => next.run(request).await,
    }
}

/// Refuses a body that is not said to be JSON.
pub(super) fn check_json(headers: &HeaderMap) -> Result<(), ApiError> {
    if content_type(headers) == "application/json" { Ok(()) } else { Err(ApiError::UnsupportedType("application/json")) }
}

/// What the body is said to be, without its parameters.
pub(super) fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

/// Why a body could not be read.
pub(super) fn refused_body(rejection: BytesRejection) -> ApiError {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        ApiError::TooLarge(format!("the body must be at most {LARGEST_BODY} bytes long"))
    } else {
        ApiError::Invalid(format!("the body could not be read: {rejection}"))
    }
}
