//! Asks for topics and atoms, a batch of messages at a time.

use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    answer::{self, FoundTopic, Topics},
    store::{self, Stored},
};
use crate::{
    context::Context,
    failure::{Failure, TaskResult},
    llm::{Ask, Provider, SourceMessage, Usage, Work},
};

/// Messages that are asked about at once: enough for a talk, and not too many to be answered in full.
const BATCH: usize = 40;
/// The most messages of one task.
pub(crate) const MOST_MESSAGES: usize = 1000;
/// The provider that is built in: rules.
const BUILT_IN: Uuid = Uuid::from_u128(0x0000_0000_0000_4000_8000_0000_0000_0001);

const SYSTEM: &str = "You read the messages of a software team and keep what is worth knowing later.";
const TEMPERATURE: f64 = 0.1;
const MAX_TOKENS: u32 = 8192;

/// What an extraction did.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Outcome {
    pub(crate) messages: usize,
    /// Topics that are new or have something new.
    pub(crate) topics: Vec<Uuid>,
    #[serde(skip)]
    pub(crate) atoms: Vec<Uuid>,
    pub(crate) atoms_created: usize,
    pub(crate) atoms_changed: usize,
    pub(crate) prompt_tokens: i64,
    pub(crate) completion_tokens: i64,
    /// US dollars, where that is known.
    pub(crate) cost: Option<f64>,
}

/// The provider of a knowledge task: the one that is named, else the configured one, else the built-in rules.
pub(crate) async fn provider(context: &Context, id: Option<Uuid>) -> TaskResult<Provider> {
    let id = id.or(context.config.llm.knowledge_provider).unwrap_or(BUILT_IN);
    let provider = Provider::load(&context.pool, &context.config, &context.http, id).await;
    provider.map_err(|error| error.into_failure())
}

/// Finds the topics of messages and their atoms, and keeps them.
pub(crate) async fn topics(context: &Context, provider: &Provider, ids: &[i64]) -> TaskResult<Outcome> {
    let schema = answer::topics_schema();
    let mut outcome = Outcome::default();
    for batch in batches(&context.pool, ids).await? {
        let (found, usage) = ask::<Topics>(provider, Work::Topics(&batch), &schema).await?;
        outcome.add(batch.len(), store::store(&context.pool, &batch, found.topics).await?, usage);
    }
    Ok(outcome)
}

/// Finds the atoms of one topic, which may have a name, and keeps them. Later batches belong to the topic of the first one.
pub(crate) async fn topic(context: &Context, provider: &Provider, ids: &[i64], name: Option<&str>) -> TaskResult<Outcome> {
    let schema = answer::topic_schema();
    let (mut outcome, mut name) = (Outcome::default(), name.map(str::to_owned));
    for batch in batches(&context.pool, ids).await? {
        let (mut found, usage) = ask::<FoundTopic>(provider, Work::Topic(name.as_deref(), &batch), &schema).await?;
        found.name = name.unwrap_or(found.name);
        found.message_ids = batch.iter().map(|message| message.id).collect();
        name = Some(found.name.clone());
        outcome.add(batch.len(), store::store(&context.pool, &batch, vec![found]).await?, usage);
    }
    Ok(outcome)
}

impl Outcome {
    fn add(&mut self, messages: usize, stored: Stored, usage: Usage) {
        self.messages += messages;
        self.atoms_created += stored.created.len();
        self.atoms_changed += stored.changed.len();
        add_new(&mut self.topics, stored.topics);
        add_new(&mut self.atoms, stored.created);
        add_new(&mut self.atoms, stored.changed);
        let mut sum = Usage { prompt_tokens: self.prompt_tokens, completion_tokens: self.completion_tokens, cost: self.cost };
        sum += usage;
        (self.prompt_tokens, self.completion_tokens, self.cost) = (sum.prompt_tokens, sum.completion_tokens, sum.cost);
    }
}

fn add_new(all: &mut Vec<Uuid>, new: Vec<Uuid>) {
    for id in new {
        if !all.contains(&id) {
            all.push(id);
        }
    }
}

/// The messages in batches, each of one channel and in the order of time.
async fn batches(pool: &PgPool, ids: &[i64]) -> TaskResult<Vec<Vec<SourceMessage>>> {
    if ids.is_empty() {
        return Err(Failure::permanent("No messages provided for extraction"));
    }
    let rows = sqlx::query_as!(
        MessageRow,
        "select id, channel, author, content, sent_at from messages where id = any($1) order by channel nulls first, sent_at, id",
        ids
    );
    let rows = rows.fetch_all(pool).await?;
    if rows.is_empty() {
        return Err(Failure::permanent("None of the messages to extract from is there"));
    }
    let talks = rows.chunk_by(|one, next| one.channel == next.channel);
    Ok(talks.flat_map(|talk| talk.chunks(BATCH)).map(|batch| batch.iter().map(MessageRow::source).collect()).collect())
}

struct MessageRow {
    id: i64,
    channel: Option<String>,
    author: String,
    content: String,
    sent_at: DateTime<Utc>,
}

impl MessageRow {
    fn source(&self) -> SourceMessage {
        SourceMessage { id: self.id, author: self.author.clone(), sent_at: self.sent_at, content: self.content.clone() }
    }
}

async fn ask<T: DeserializeOwned>(provider: &Provider, work: Work<'_>, schema: &Value) -> TaskResult<(T, Usage)> {
    let answer = say(provider, work, Some(schema)).await?;
    let value = serde_json::from_value(answer.value).map_err(|error| Failure::from(error).never_again())?;
    Ok((value, answer.usage))
}

/// Asks as all knowledge tasks do.
pub(super) async fn say(provider: &Provider, work: Work<'_>, schema: Option<&Value>) -> TaskResult<crate::llm::Answer> {
    let model = provider.chat_model().map_err(|error| error.into_failure())?;
    let ask = Ask { model: &model, system: SYSTEM, work, schema, temperature: TEMPERATURE, max_tokens: MAX_TOKENS };
    let told = |error: &_, pause| tracing::info!(%error, ?pause, "a model is asked again");
    provider.ask(&ask, &told).await.map_err(|error| error.into_failure())
}
