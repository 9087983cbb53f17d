use std::{path::PathBuf, time::Duration};

use chrono::{TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    context::Context,
    failure::{Explain, Failure, TaskResult},
    ingest_run::IngestRun,
    params, sample,
    telegram::{
        bot_api::BotApi,
        export::{self, Batch, Input},
        update::Update,
    },
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Params {
    /// Where from.
    source: Source,
    /// For an export: Telegram Desktop's `result.json`.
    path: Option<PathBuf>,
    /// For the Bot API: updates to ask for at once.
    #[schemars(range(min = 1, max = 100))]
    limit: u8,
    /// For the Bot API: seconds that Telegram may wait for the first update.
    #[schemars(range(min = 0, max = 50))]
    wait_seconds: u8,
    /// Whether a task of its own scores each new message.
    score_each: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Source {
    /// Updates from the Bot API.
    #[default]
    BotApi,
    /// An export of Telegram Desktop.
    Export,
    /// The export that comes with the program, moved to the last days.
    Sample,
}

impl Default for Params {
    fn default() -> Self {
        Self { source: Source::default(), path: None, limit: 100, wait_seconds: 0, score_each: false }
    }
}

impl params::Params for Params {
    fn check(&self) -> Result<(), String> {
        match (self.source, &self.path) {
            (Source::Export, None) => Err("path must be given for the source export: where its result.json is".to_owned()),
            (Source::BotApi | Source::Sample, Some(_)) => Err("path is for the source export only".to_owned()),
            _ => Ok(()),
        }
    }
}

/// What was looked at, and what became of it; the rest was there already.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    done: i64,
    added: i64,
    updated: i64,
    skipped: i64,
}

pub(crate) async fn run(context: &Context, params: Params) -> TaskResult<Outcome> {
    let run = match params.source {
        Source::BotApi => from_bot_api(context, &params).await?,
        Source::Export => {
            let path = params.path.clone().ok_or_else(|| Failure::permanent("path must be given"))?;
            from_export(context, &params, Input::File(allowed(context, path)?), "export").await?
        }
        Source::Sample => from_export(context, &params, Input::Bundled(sample::EXPORT), "sample").await?,
    };
    Ok(Outcome { done: run.done, added: run.added, updated: run.updated, skipped: run.skipped })
}

/// The path, if exports may be read there.
fn allowed(context: &Context, path: PathBuf) -> TaskResult<PathBuf> {
    let Some(directory) = &context.config.telegram.export_dir else { return Ok(path) };
    let place = |path: &PathBuf| path.canonicalize().explain(|| format!("{} can't be read", path.display()));
    let found = place(&directory.join(path))?;
    if found.starts_with(place(directory)?) {
        return Ok(found);
    }
    Err(Failure::permanent(format!("exports may be read from {} only", directory.display())))
}

async fn from_export(context: &Context, params: &Params, input: Input, source: &str) -> TaskResult<IngestRun> {
    let counted = input.clone();
    let total = tokio::task::spawn_blocking(move || export::count(&counted))
        .await?
        .map_err(|error| Failure::from(error).never_again())?;
    let mut run = IngestRun::begin(context, source, &input.to_string(), Some(total)).await?;
    let moved = if source == "sample" { Utc::now() - sample::end() } else { TimeDelta::zero() };
    let mut batches = export::read(input);
    while let Some(batch) = batches.recv().await {
        let batch = batch.map_err(|error| Failure::from(error).never_again())?.later(moved);
        let added = run.store(context, source, batch, None).await?;
        score(context, params, added).await?;
    }
    run.finish(context).await?;
    Ok(run)
}

/// Reads until a page is not full. A page and the place where reading goes on are kept together.
async fn from_bot_api(context: &Context, params: &Params) -> TaskResult<IngestRun> {
    let config = &context.config.telegram;
    let api = BotApi::new(&context.http, config)?;
    let mut run = IngestRun::begin(context, "bot_api", api.bot(), None).await?;
    let mut offset = run.offset(context, api.bot()).await?;
    loop {
        let page = api.updates(offset, params.limit, Duration::from_secs(params.wait_seconds.into())).await?;
        let full = page.len() >= usize::from(params.limit);
        let mut batch = Batch::default();
        for update in page {
            // Telegram sends one that is passed over for ever, so even one that can't be read moves the place.
            offset = offset.max(update["update_id"].as_i64().unwrap_or(offset - 1) + 1);
            let message = serde_json::from_value::<Update>(update).ok().and_then(|update| update.into_message(config.chat_id));
            match message {
                Some(message) => batch.messages.push(message),
                None => batch.skipped += 1,
            }
        }
        let added = run.store(context, "bot_api", batch, Some((api.bot(), offset))).await?;
        score(context, params, added).await?;
        if !full {
            // Asking once more, without waiting, tells Telegram that what was kept may be forgotten.
            api.updates(offset, 1, Duration::ZERO).await?;
            run.finish(context).await?;
            return Ok(run);
        }
    }
}

async fn score(context: &Context, params: &Params, added: Vec<i64>) -> TaskResult<()> {
    for id in added.into_iter().filter(|_| params.score_each) {
        context.later("score_message_task", json!({"message_id": id})).await?;
    }
    Ok(())
}
