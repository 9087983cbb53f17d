//! Every task type, as a table.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use serde_json::Value;
#[cfg(test)]
use serde_json::json;
use taskscope_wire::{Json, REGISTERED_TASK_TYPES, TaskType};

use crate::{
    WorkloadConfig,
    context::Context,
    failure::{Failure, TaskResult},
    params, tasks,
};

/// Short work on single messages.
pub(crate) const MESSAGES: &str = "messages";
/// Imports, which take minutes and must not hold up the rest.
pub(crate) const INGEST: &str = "ingest";
/// What runs by the clock.
pub(crate) const SCHEDULED: &str = "scheduled";
/// What asks a language model.
pub(crate) const KNOWLEDGE: &str = "knowledge";

/// A task type.
pub(crate) struct Definition {
    pub(crate) name: &'static str,
    description: &'static str,
    pub(crate) queue: &'static str,
    pub(crate) max_attempts: u16,
    time_limit: Duration,
    schedule: Option<&'static str>,
    pub(crate) body: Body,
}

/// What a task type does.
pub(crate) struct Body {
    schema: fn() -> Value,
    /// Reads params and throws them away.
    pub(crate) check: fn(&Value) -> Result<(), String>,
    pub(crate) run: fn(Arc<Context>, Value) -> BoxFuture<'static, TaskResult<Value>>,
    /// What is left to do when the task has failed for good, with the reason: for what waits for the task's end.
    pub(crate) give_up: Option<GiveUp>,
}

type GiveUp = fn(Arc<Context>, Value, String) -> BoxFuture<'static, TaskResult<()>>;

/// The body of a task: `Params` and `run` of its module.
macro_rules! body {
    ($task:ident) => {
        Body {
            schema: params::schema::<tasks::$task::Params>,
            check: |params| params::read::<tasks::$task::Params>(params).map(drop),
            run: |context, params| {
                Box::pin(async move {
                    let params = params::read(&params).map_err(Failure::permanent)?;
                    Ok(serde_json::to_value(tasks::$task::run(&context, params).await?)?)
                })
            },
            give_up: None,
        }
    };
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

static DEFINITIONS: [Definition; 15] = [
    Definition {
        name: "ingest_telegram_messages_task",
        description: "Reads a Telegram chat, from the Bot API or an export, into the messages.",
        queue: INGEST,
        max_attempts: 5,
        time_limit: seconds(1800),
        schedule: None,
        body: body!(ingest_telegram_messages),
    },
    Definition {
        name: "save_telegram_message",
        description: "Saves the message of one update that Telegram sent to the webhook.",
        queue: MESSAGES,
        max_attempts: 5,
        time_limit: seconds(30),
        schedule: None,
        body: body!(save_telegram_message),
    },
    Definition {
        name: "embed_messages_batch_task",
        description: "Computes the embeddings of messages.",
        queue: KNOWLEDGE,
        max_attempts: 3,
        time_limit: seconds(300),
        schedule: None,
        body: body!(embed_messages_batch),
    },
    Definition {
        name: "embed_atoms_batch_task",
        description: "Computes the embeddings of atoms.",
        queue: KNOWLEDGE,
        max_attempts: 3,
        time_limit: seconds(300),
        schedule: None,
        body: body!(embed_atoms_batch),
    },
    Definition {
        name: "score_message_task",
        description: "Scores how important one message is, from 0 to 1.",
        queue: MESSAGES,
        max_attempts: 3,
        time_limit: seconds(30),
        schedule: None,
        body: body!(score_message),
    },
    Definition {
        name: "score_unscored_messages_task",
        description: "Scores the messages that have no score yet, oldest first.",
        queue: SCHEDULED,
        max_attempts: 3,
        time_limit: seconds(300),
        schedule: Some("* * * * *"),
        body: body!(score_unscored_messages),
    },
    Definition {
        name: "extract_knowledge_from_messages_task",
        description: "Extracts topics and atoms from messages.",
        queue: KNOWLEDGE,
        max_attempts: 3,
        time_limit: seconds(600),
        schedule: None,
        body: body!(extract_knowledge_from_messages),
    },
    Definition {
        name: "extract_topic_and_atoms_task",
        description: "Extracts one topic and its atoms.",
        queue: KNOWLEDGE,
        max_attempts: 3,
        time_limit: seconds(300),
        schedule: None,
        body: body!(extract_topic_and_atoms),
    },
    Definition {
        name: "generate_topic_summary_task",
        description: "Writes the summary of a topic.",
        queue: KNOWLEDGE,
        max_attempts: 3,
        time_limit: seconds(300),
        schedule: None,
        body: body!(generate_topic_summary),
    },
    Definition {
        name: "execute_analysis_run",
        description: "Runs an analysis: asks an agent for proposals, a batch of messages at a time.",
        queue: KNOWLEDGE,
        // A run goes on where it was; what fails in it fails it. So more attempts are for workers that die and databases that go away.
        max_attempts: 100,
        time_limit: seconds(6 * 3600),
        schedule: None,
        body: Body {
            give_up: Some(|context, params, reason| {
                Box::pin(async move {
                    let params = params::read(&params).map_err(Failure::permanent)?;
                    tasks::execute_analysis_run::give_up(&context, params, reason).await
                })
            }),
            ..body!(execute_analysis_run)
        },
    },
    Definition {
        name: "scheduled_knowledge_extraction_task",
        description: "Extracts knowledge from the messages that came since the last time.",
        queue: KNOWLEDGE,
        max_attempts: 1,
        time_limit: seconds(600),
        schedule: Some("*/5 * * * *"),
        body: body!(scheduled_knowledge_extraction),
    },
    Definition {
        name: "scheduled_auto_approval_task",
        description: "Approves atoms over a confidence threshold.",
        queue: SCHEDULED,
        max_attempts: 1,
        time_limit: seconds(60),
        schedule: Some("*/10 * * * *"),
        body: body!(scheduled_auto_approval),
    },
    Definition {
        name: "scheduled_notification_alert_task",
        description: "Posts one alert to the webhook for the failures since the last one.",
        queue: SCHEDULED,
        max_attempts: 5,
        time_limit: seconds(60),
        schedule: Some("* * * * *"),
        body: body!(scheduled_notification_alert),
    },
    Definition {
        name: "scheduled_daily_digest_task",
        description: "Sums up the last day: counts, slowest and failing tasks, top messages.",
        queue: SCHEDULED,
        max_attempts: 5,
        time_limit: seconds(120),
        schedule: Some("0 8 * * *"),
        body: body!(scheduled_daily_digest),
    },
    Definition {
        name: "cleanup_old_task_logs",
        description: "Archives where told to, and deletes, executions older than the retention.",
        queue: SCHEDULED,
        max_attempts: 3,
        time_limit: seconds(3600),
        schedule: Some("0 3 * * *"),
        body: body!(cleanup_old_task_logs),
    },
];

impl Definition {
    /// The cron expression that it runs by.
    pub(crate) fn schedule<'a>(&'a self, config: &'a WorkloadConfig) -> Option<&'a str> {
        config.schedule(self.name, self.schedule)
    }

    /// How long one attempt may take.
    pub(crate) fn time_limit(&self, config: &WorkloadConfig) -> Duration {
        config.time_limit(self.name, self.time_limit)
    }

    #[cfg(test)]
    pub(crate) fn for_test(run: fn(Arc<Context>, Value) -> BoxFuture<'static, TaskResult<Value>>) -> &'static Self {
        let body = Body { schema: || json!({"type": "object"}), check: |_| Ok(()), run, give_up: None };
        let (queue, time_limit) = (MESSAGES, seconds(60));
        Box::leak(Box::new(Self { name: "test", description: "", queue, max_attempts: 3, time_limit, schedule: None, body }))
    }

    fn describe(&self, config: &WorkloadConfig) -> TaskType {
        TaskType {
            name: self.name.to_owned(),
            description: self.description.to_owned(),
            queue: self.queue.to_owned(),
            max_attempts: self.max_attempts.into(),
            time_limit_ms: u64::try_from(self.time_limit(config).as_millis()).unwrap_or(u64::MAX),
            schedule: self.schedule(config).map(str::to_owned),
            params_schema: Json::from((self.body.schema)()),
        }
    }
}

/// Every task type, in the order of [`REGISTERED_TASK_TYPES`].
#[must_use]
pub fn task_types(config: &WorkloadConfig) -> Vec<TaskType> {
    DEFINITIONS.iter().map(|definition| definition.describe(config)).collect()
}

/// The queues that a worker takes tasks from.
#[must_use]
pub fn queues() -> Vec<&'static str> {
    let mut queues: Vec<_> = definitions().map(|definition| definition.queue).collect();
    queues.sort_unstable();
    queues.dedup();
    queues
}

pub(crate) fn definitions() -> impl Iterator<Item = &'static Definition> {
    DEFINITIONS.iter()
}

pub(crate) fn find(name: &str) -> Option<&'static Definition> {
    definitions().find(|definition| definition.name == name)
}

pub(crate) fn names() -> &'static [&'static str] {
    &REGISTERED_TASK_TYPES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_registered_task_types_in_their_order() {
        let types = task_types(&WorkloadConfig::default());
        let names: Vec<_> = types.iter().map(|task| task.name.as_str()).collect();
        assert_eq!(names, REGISTERED_TASK_TYPES);
        assert_eq!(queues(), [INGEST, KNOWLEDGE, MESSAGES, SCHEDULED]);
    }

    /// What runs by the clock is called without params.
    #[test]
    fn scheduled_tasks_take_an_empty_object() {
        for definition in definitions() {
            if let Some(schedule) = definition.schedule {
                assert_eq!((definition.body.check)(&json!({})), Ok(()), "{} at {schedule}", definition.name);
            }
        }
    }
}
