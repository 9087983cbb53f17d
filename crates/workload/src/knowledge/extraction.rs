//! Asks for topics and atoms, a batch of messages at a time.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

use super::{
    answer::{self, FoundTopic, Topics},
    batch::Batch,
    store::{self, Stored},
};
use crate::{
    context::Context,
    failure::{Failure, TaskResult},
    llm::{Answer, Ask, LlmError, Provider, Usage, Work},
};

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
    provider.map_err(LlmError::into_failure)
}

/// The provider of an extraction of these messages. What is wrong with either is found when the task runs, so that it can be seen and
/// investigated like any failure.
pub(crate) async fn begin(context: &Context, ids: &[i64], provider_id: Option<&str>) -> TaskResult<Provider> {
    if ids.is_empty() {
        return Err(Failure::permanent("No messages provided for extraction"));
    }
    let id = provider_id.map(Uuid::parse_str).transpose();
    let id = id.map_err(|_| {
        Failure::permanent(format!("provider_id must be the id of a provider, not {:?}", provider_id.unwrap_or_default()))
    })?;
    provider(context, id).await
}

/// Finds the topics of messages and their atoms, and keeps them.
pub(crate) async fn topics(context: &Context, provider: &Provider, ids: &[i64]) -> TaskResult<Outcome> {
    let mut outcome = Outcome::default();
    for batch in Batch::all(&context.pool, ids).await? {
        let (stored, usage) = topics_of(context, provider, &batch).await.map_err(LlmError::into_failure)?;
        outcome.add(batch.messages.len(), stored, usage);
    }
    Ok(outcome)
}

/// What came of messages of which some may give no answer of use.
pub(crate) struct Passed {
    pub(crate) outcome: Outcome,
    /// Messages about which there was none. They count as looked through.
    pub(crate) unfit: usize,
    /// Why, where there was none at all.
    pub(crate) failure: Option<Failure>,
}

/// The same, going on where it is the messages that give no answer of use. They would be asked about for ever, and hold up what comes
/// after them, so they are passed over for good.
pub(crate) async fn topics_that_fit(context: &Context, provider: &Provider, ids: &[i64]) -> TaskResult<Passed> {
    let (mut outcome, mut unfit, mut last) = (Outcome::default(), 0, None);
    for batch in Batch::all(&context.pool, ids).await? {
        match topics_of(context, provider, &batch).await {
            Ok((stored, usage)) => outcome.add(batch.messages.len(), stored, usage),
            Err(error) if error.is_about_question() => {
                tracing::warn!(%error, messages = batch.messages.len(), "messages give no knowledge");
                batch.mark(&context.pool).await?;
                unfit += batch.messages.len();
                last = Some(error);
            }
            Err(error) => return Err(error.into_failure()),
        }
    }
    let failure = last.filter(|_| outcome.messages == 0).map(LlmError::into_failure);
    Ok(Passed { outcome, unfit, failure })
}

async fn topics_of(context: &Context, provider: &Provider, batch: &Batch) -> Result<(Stored, Usage), LlmError> {
    let (found, usage) = ask::<Topics>(provider, Work::Topics(&batch.messages), &answer::topics_schema()).await?;
    Ok((store::store(&context.pool, batch, found.topics).await?, usage))
}

/// Finds the atoms of one topic, which may have a name, and keeps them. Later batches belong to the topic of the first one.
pub(crate) async fn topic(context: &Context, provider: &Provider, ids: &[i64], name: Option<&str>) -> TaskResult<Outcome> {
    let schema = answer::topic_schema();
    let (mut outcome, mut name) = (Outcome::default(), name.map(str::to_owned));
    for batch in Batch::all(&context.pool, ids).await? {
        let (mut found, usage) = ask::<FoundTopic>(provider, Work::Topic(name.as_deref(), &batch.messages), &schema)
            .await
            .map_err(LlmError::into_failure)?;
        found.name = name.unwrap_or(found.name);
        found.message_ids = batch.ids();
        name = Some(found.name.clone());
        outcome.add(batch.messages.len(), store::store(&context.pool, &batch, vec![found]).await?, usage);
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

async fn ask<T: DeserializeOwned>(provider: &Provider, work: Work<'_>, schema: &Value) -> Result<(T, Usage), LlmError> {
    let answer = say(provider, work, Some(schema)).await?;
    // What fits the schema can be read, but for numbers beyond any.
    let unfit = |error: serde_json::Error| LlmError::Unfit { provider: provider.name().to_owned(), reason: error.to_string() };
    Ok((serde_json::from_value(answer.value).map_err(unfit)?, answer.usage))
}

/// Asks as all knowledge tasks do.
pub(super) async fn say(provider: &Provider, work: Work<'_>, schema: Option<&Value>) -> Result<Answer, LlmError> {
    let model = provider.chat_model()?;
    let ask = Ask { model: &model, system: SYSTEM, work, schema, temperature: TEMPERATURE, max_tokens: MAX_TOKENS };
    let told = |error: &LlmError, pause| tracing::info!(%error, ?pause, "a model is asked again");
    provider.ask(&ask, &told).await
}
