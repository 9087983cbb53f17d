use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::Json;

/// A task type of Taskscope's own worker, as `GET /api/v1/tasks` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskType {
    /// Its name.
    pub name: String,
    /// What it does, in a sentence.
    pub description: String,
    /// The queue that it goes to.
    pub queue: String,
    /// How often it is tried at the most.
    pub max_attempts: i32,
    /// Milliseconds that one attempt may take.
    pub time_limit_ms: u64,
    /// When it runs by itself: a cron expression of five fields, in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// The JSON Schema of its params: an object.
    pub params_schema: Json,
}

/// The body of `POST /api/v1/tasks/{name}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TriggerRequest {
    /// What the task is called with; without it an empty object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Json>,
}

/// The answer to a trigger: the task waits in its queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Triggered {
    /// The task's id on the queue: the `task_id` of its executions.
    pub task_id: String,
    /// Its task type.
    pub task_name: String,
    /// The queue.
    pub queue: String,
}

/// How far an import of messages has come, as `GET /api/v1/imports` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Import {
    /// The task that imports: the `task_id` of its executions.
    pub task_id: String,
    /// Where from: `bot_api`, `export` or `sample`.
    pub source: String,
    /// Which one: the file, or the bot.
    pub origin: String,
    /// How many messages there are, where that is known beforehand.
    pub total: Option<i64>,
    /// Messages looked at.
    pub done: i64,
    /// Of these, new.
    pub added: i64,
    /// Of these, edited since they were last read.
    pub updated: i64,
    /// Of these, no messages of people.
    pub skipped: i64,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it was done.
    pub finished_at: Option<DateTime<Utc>>,
}
