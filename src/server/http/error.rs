//! Answers that are errors: a sentence for the caller; an internal cause goes to the log under an id that the caller gets.

use std::any::Any;

use axum::{
    Json,
    http::{
        HeaderValue, StatusCode,
        header::{RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use taskscope_wire::{BatchError, ErrorBody, InvalidQuery};
use taskscope_workload::{ServiceError, TriggerError};

use crate::server::{
    access::AccessError,
    new_request_id,
    recorder::{ReplayError, SpoolError},
    redaction::RedactionError,
    store::StoreError,
};

/// Seconds after which a caller that was refused for load should come again.
const RETRY_AFTER_SECONDS: &str = "1";

/// Why a request was not done. Nothing of it was done then.
#[derive(Debug)]
pub(super) enum ApiError {
    /// A parameter or the body is wrong: the sentence names it.
    Invalid(String),
    /// The token is missing or wrong.
    Unauthorized,
    /// Another secret is missing or wrong.
    Forbidden(String),
    /// It is not known who asks.
    LoginNeeded,
    /// It is known who asks, and they may not: the sentence says what is needed.
    NotAllowed(String),
    /// Who asks can't be known before the database was read.
    CantSay,
    /// A page of another site asked.
    CrossSite,
    /// The request names a host that isn't this server.
    StrangeHost(String),
    /// There is no such thing.
    NotFound(String),
    /// The same, in a whole sentence.
    Unknown(String),
    /// It can't be done as things are.
    Conflict(String),
    /// Another server that was asked for it gave no answer; in its own words.
    BadGateway(String),
    /// The body is too large.
    TooLarge(String),
    /// The body is of another type.
    UnsupportedType(&'static str),
    /// The body is packed, and may unpack to anything.
    Packed,
    /// It can't be done now; later it can.
    Unavailable(String),
    /// The server failed.
    Internal(String),
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, error) = match self {
            Self::Invalid(error) => (StatusCode::BAD_REQUEST, error),
            Self::Unauthorized => (
                StatusCode::UNAUTHORIZED,
                "the ingest token is missing or wrong: send it in the header access-token, or as a bearer token".to_owned(),
            ),
            Self::Forbidden(error) => (StatusCode::UNAUTHORIZED, error),
            Self::LoginNeeded => (
                StatusCode::UNAUTHORIZED,
                "who asks is not known: log in at /login, or send an API token as a bearer token".to_owned(),
            ),
            Self::NotAllowed(error) => (StatusCode::FORBIDDEN, error),
            Self::CantSay => (
                StatusCode::SERVICE_UNAVAILABLE,
                "the database was not reachable since the server started, so that nobody can be recognised yet".to_owned(),
            ),
            Self::CrossSite => (StatusCode::FORBIDDEN, "pages of other sites may not call this".to_owned()),
            Self::StrangeHost(host) => (
                StatusCode::FORBIDDEN,
                format!("{host:?} is no name of this server; one that a proxy passes on must be in TASKSCOPE_HOST_NAMES"),
            ),
            Self::NotFound(what) => (StatusCode::NOT_FOUND, format!("there is no {what}")),
            Self::Unknown(error) => (StatusCode::NOT_FOUND, error),
            Self::Conflict(error) => (StatusCode::CONFLICT, error),
            Self::BadGateway(error) => (StatusCode::BAD_GATEWAY, error),
            Self::TooLarge(error) => (StatusCode::PAYLOAD_TOO_LARGE, error),
            Self::UnsupportedType(allowed) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("the content-type must be {allowed}")),
            Self::Packed => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "content-encoding must be left out: bodies are taken as they are, not packed".to_owned(),
            ),
            Self::Unavailable(error) => (StatusCode::SERVICE_UNAVAILABLE, error),
            Self::Internal(cause) => return internal(&cause),
        };
        let mut response = (status, Json(ErrorBody { error, request_id: None })).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Logs the cause and gives the caller its id.
fn internal(cause: &str) -> Response {
    let request_id = new_request_id();
    tracing::error!(request_id, cause, "a request failed");
    let body = ErrorBody { error: "the server failed; its log says why".to_owned(), request_id: Some(request_id) };
    (StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response()
}

pub(super) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    internal(text.unwrap_or("a panic without a text"))
}

pub(super) async fn no_such_path() -> ApiError {
    ApiError::NotFound("such path; /api/docs lists them".to_owned())
}

pub(super) async fn method_not_allowed() -> Response {
    let body = ErrorBody { error: "this path exists, but not for this method".to_owned(), request_id: None };
    (StatusCode::METHOD_NOT_ALLOWED, Json(body)).into_response()
}

impl From<InvalidQuery> for ApiError {
    fn from(error: InvalidQuery) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<BatchError> for ApiError {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Invalid(sentence) => Self::Invalid(sentence),
            BatchError::TooLarge(_) => Self::TooLarge(error.to_string()),
        }
    }
}

impl From<ReplayError> for ApiError {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Spool(error) => error.into(),
            ReplayError::Store(error) => error.into(),
        }
    }
}

impl From<RedactionError> for ApiError {
    fn from(error: RedactionError) -> Self {
        match error {
            RedactionError::Invalid(error) => Self::Invalid(error.to_string()),
            RedactionError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(cause) => {
                tracing::warn!(cause, "the database is not reachable");
                Self::Unavailable("the database is not reachable; events are kept meanwhile".to_owned())
            }
            StoreError::Refused(_) | StoreError::Failed(_) => Self::Internal(error.to_string()),
        }
    }
}

impl From<AccessError> for ApiError {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Invalid(sentence) => Self::Invalid(sentence),
            AccessError::NotFound(what) => Self::NotFound(what),
            AccessError::Conflict(sentence) => Self::Conflict(sentence.to_owned()),
            AccessError::Store(error) => error.into(),
            AccessError::Failed(cause) => Self::Internal(format!("{cause:#}")),
        }
    }
}

impl From<TriggerError> for ApiError {
    fn from(error: TriggerError) -> Self {
        match error {
            TriggerError::UnknownTask { .. } => Self::Unknown(error.to_string()),
            TriggerError::Database(cause) => StoreError::from(cause).into(),
            other => Self::Invalid(other.to_string()),
        }
    }
}

impl From<ServiceError> for ApiError {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::NotFound(what) => Self::NotFound(what),
            ServiceError::Conflict(sentence) => Self::Conflict(sentence),
            ServiceError::Provider(sentence) => Self::BadGateway(sentence),
            ServiceError::Database(cause) => StoreError::from(cause).into(),
            other => Self::Invalid(other.to_string()),
        }
    }
}

impl From<SpoolError> for ApiError {
    fn from(error: SpoolError) -> Self {
        match error {
            SpoolError::Full => Self::Unavailable(error.to_string()),
            SpoolError::Disk(cause) => {
                tracing::error!(cause, "events could not be made durable");
                Self::Unavailable("events can't be made durable now; send them again later".to_owned())
            }
        }
    }
}
