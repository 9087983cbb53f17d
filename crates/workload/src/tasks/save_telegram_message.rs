use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    context::Context,
    failure::{Failure, TaskResult},
    messages, params,
    telegram::update::Update,
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    /// The update, as Telegram sent it.
    update: serde_json::Map<String, Value>,
    /// Whether it is sample data.
    #[serde(default)]
    sample: bool,
}

impl params::Params for Params {
    fn check(&self) -> Result<(), String> {
        self.read().map(drop)
    }
}

impl Params {
    fn read(&self) -> Result<Update, String> {
        serde_path_to_error::deserialize(&Value::Object(self.update.clone()))
            .map_err(|error| format!("update.{}: {}", error.path(), error.inner()))
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Added {
        message_id: i64,
    },
    Updated {
        message_id: i64,
    },
    /// It was there already, or is not to be kept.
    Unchanged,
}

/// Saves the message, and has it scored.
pub(crate) async fn run(context: &Context, params: Params) -> TaskResult<Outcome> {
    let update = params.read().map_err(Failure::permanent)?;
    let Some(message) = update.into_message(context.config.telegram.chat_id.filter(|_| !params.sample)) else {
        return Ok(Outcome::Unchanged);
    };
    let source = if params.sample { "sample" } else { "webhook" };
    let mut db = context.pool.acquire().await?;
    let stored = messages::store(&mut db, source, vec![message]).await?;
    let (message_id, outcome) = match (stored.added.first(), stored.updated.first()) {
        (Some(&message_id), _) => (message_id, Outcome::Added { message_id }),
        (None, Some(&message_id)) => (message_id, Outcome::Updated { message_id }),
        (None, None) => return Ok(Outcome::Unchanged),
    };
    context.later("score_message_task", json!({"message_id": message_id})).await?;
    Ok(outcome)
}
