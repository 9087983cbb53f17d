//! What a page may know of a failure, and the status that its answer gets.

use axum::http::StatusCode;
use leptos::prelude::use_context;
use leptos_axum::ResponseOptions;

use super::{access::AccessError, new_request_id, recorder::ReplayError, store::StoreError};
use crate::error::AppError;

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::DatabaseAway.with_status(),
            StoreError::Refused(_) | StoreError::Failed(_) => {
                let request_id = new_request_id();
                tracing::error!(request_id, cause = %error, "a page's request failed");
                Self::Internal(request_id).with_status()
            }
        }
    }
}

impl From<ReplayError> for AppError {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Store(error) => error.into(),
            full @ ReplayError::Spool(_) => Self::Refused(full.to_string()).with_status(),
        }
    }
}

impl From<AccessError> for AppError {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::NotFound(what) => Self::NotFound(what).with_status(),
            AccessError::Store(error) => error.into(),
            AccessError::Failed(cause) => {
                let request_id = new_request_id();
                tracing::error!(request_id, cause = format!("{cause:#}"), "a page's request failed");
                Self::Internal(request_id).with_status()
            }
            refused => Self::Refused(refused.to_string()).with_status(),
        }
    }
}

impl AppError {
    /// Gives the answer that is being made, a page or a server function's, the status of this error.
    #[must_use]
    pub fn with_status(self) -> Self {
        if let Some(response) = use_context::<ResponseOptions>() {
            response.set_status(self.status());
        }
        self
    }

    /// The HTTP status that says the same.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::DatabaseAway => StatusCode::SERVICE_UNAVAILABLE,
            Self::LoginNeeded => StatusCode::UNAUTHORIZED,
            Self::NotAllowed(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            // The server itself makes `Unreachable` only of arguments that it can't read.
            Self::Invalid(_) | Self::Refused(_) | Self::Unreachable(_) => StatusCode::BAD_REQUEST,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}
