use taskscope_wire::RunStatus;

use crate::{failure::Failure, llm::LlmError};

/// Why an attempt goes no further.
#[derive(Debug)]
pub(super) enum Stop {
    /// The run fails.
    Failed(Failure),
    /// The attempt fails, and the run goes on with the next one: the database doesn't answer.
    Again(Failure),
    /// The run is over: cancelled, or brought to its end by an attempt that could not tell the queue.
    Over(RunStatus),
    /// Another attempt has taken this one's place.
    Replaced,
}

/// The step that an attempt is in.
#[derive(Debug, Default)]
pub(super) struct Place {
    pub(super) step: &'static str,
    pub(super) batch: Option<i64>,
}

impl Place {
    pub(super) fn is(&mut self, step: &'static str) {
        *self = Self { step, batch: None };
    }

    pub(super) fn is_in_batch(&mut self, step: &'static str, batch: i64) {
        *self = Self { step, batch: Some(batch) };
    }
}

impl From<sqlx::Error> for Stop {
    #[track_caller]
    fn from(error: sqlx::Error) -> Self {
        let refused = is_refusal(&error);
        let failure = Failure::from(error);
        if refused { Self::Failed(failure) } else { Self::Again(failure) }
    }
}

impl From<LlmError> for Stop {
    #[track_caller]
    fn from(error: LlmError) -> Self {
        match error {
            LlmError::Database(cause) => cause.into(),
            other => Self::Failed(Failure::from(other)),
        }
    }
}

/// Whether Postgres answers and refuses the data, as it would again: it is wrong (22), against a constraint (23), or more than fits (54).
fn is_refusal(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| ["22", "23", "54"].iter().any(|class| code.starts_with(class)))
}
