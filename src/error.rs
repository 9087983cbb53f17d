//! The error that a page may show: what a reader can do something about, and nothing of our insides.

use leptos::server_fn::{
    codec::JsonEncoding,
    error::{FromServerFnError, ServerFnErrorErr},
};
use serde::{Deserialize, Serialize};
use taskscope_wire::InvalidQuery;

/// Why a server function gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum AppError {
    /// Postgres doesn't answer. Events are kept in the spool meanwhile.
    #[error("The database is not reachable. Events are being kept and will appear when it is back.")]
    DatabaseAway,
    /// It is not known who asks: the session is over, or there was none.
    #[error("Log in to see this.")]
    LoginNeeded,
    /// It is known who asks, and they may not; the sentence says what is needed.
    #[error("{0}")]
    NotAllowed(String),
    /// There is no such thing.
    #[error("There is no {0}.")]
    NotFound(String),
    /// A parameter is wrong.
    #[error("{0}")]
    Invalid(InvalidQuery),
    /// What was asked for can't be done as it was asked; the sentence says what is allowed.
    #[error("{0}")]
    Refused(String),
    /// The server failed; the cause stands in its log under this id.
    #[error("The server could not answer. Its log says why, under request {0}.")]
    Internal(String),
    /// The server was not reached, or its answer was not understood.
    #[error("The server is not reachable: {0}")]
    Unreachable(String),
}

impl FromServerFnError for AppError {
    type Encoder = JsonEncoding;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        Self::Unreachable(error.to_string())
    }
}

impl From<InvalidQuery> for AppError {
    fn from(error: InvalidQuery) -> Self {
        Self::Invalid(error)
    }
}
