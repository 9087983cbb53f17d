/// Why something that people or programs ask of the workload was not done. Nothing of it was done then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// A sentence that names the field and what is allowed.
    #[error("{0}")]
    Invalid(String),
    /// There is no such thing: its kind, and the name that was asked for.
    #[error("there is no {0}")]
    NotFound(String),
    /// It can't be done as things are; the sentence says why.
    #[error("{0}")]
    Conflict(String),
    /// A provider of language models gave no answer; in its own words.
    #[error("{0}")]
    Provider(String),
    /// Postgres didn't answer.
    #[error("the database can't be reached")]
    Database(#[source] sqlx::Error),
}

/// What it means that a named constraint was hurt.
const CONSTRAINTS: [(&str, Meaning); 11] = [
    ("provider_name_unique", Meaning::Conflict("a provider of this name is there already")),
    ("agent_name_unique", Meaning::Conflict("an agent of this name is there already")),
    ("task_config_name_unique", Meaning::Conflict("a task config of this name is there already")),
    ("project_name_unique", Meaning::Conflict("a project of this name is there already")),
    ("assignment_unique", Meaning::Conflict("the agent has this task already")),
    ("agent_provider_exists", Meaning::Reference("provider_id", "a provider", "an agent uses this provider")),
    ("assignment_agent_exists", Meaning::Reference("agent_id", "an agent", "an assignment uses this agent")),
    ("assignment_task_config_exists", Meaning::Reference("task_id", "a task config", "an assignment uses this task config")),
    ("run_project_exists", Meaning::Reference("project_config_id", "a project", "an analysis run uses this project")),
    ("proposal_project_exists", Meaning::Reference("project_config_id", "a project", "a proposal belongs to this project")),
    ("run_window_ordered", Meaning::Invalid("time_window_end must be later than time_window_start")),
];

#[derive(Clone, Copy)]
enum Meaning {
    Conflict(&'static str),
    Invalid(&'static str),
    /// A field that must name something; what must be there; and why that can't be deleted.
    Reference(&'static str, &'static str, &'static str),
}

impl From<sqlx::Error> for ServiceError {
    fn from(error: sqlx::Error) -> Self {
        let Some(cause) = error.as_database_error() else { return Self::Database(error) };
        let known = CONSTRAINTS.iter().find(|(name, _)| Some(*name) == cause.constraint());
        match known.map(|(_, meaning)| *meaning) {
            Some(Meaning::Conflict(sentence)) => Self::Conflict(sentence.to_owned()),
            Some(Meaning::Invalid(sentence)) => Self::Invalid(sentence.to_owned()),
            // Postgres names the same constraint when a row is deleted that others refer to.
            Some(Meaning::Reference(_, _, sentence)) if cause.message().starts_with("update or delete") => {
                Self::Conflict(sentence.to_owned())
            }
            Some(Meaning::Reference(field, what, _)) => Self::Invalid(format!("{field} must be the id of {what} that is there")),
            None => Self::Database(error),
        }
    }
}
