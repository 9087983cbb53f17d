use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use anyhow::{Context, bail, ensure};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::{llm::LlmConfig, registry, scheduler};

/// What can be set of the worker and its task types. Secrets are never shown by `Debug`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkloadConfig {
    /// Tasks that run at once in each queue: 1 to 256.
    pub concurrency: usize,
    /// Seconds that running tasks have to end in when the worker stops; after that they fail, and are retried.
    pub stop_seconds: u64,
    /// Milliseconds before a failed task is tried again; each further attempt waits twice as long, up to 15 minutes.
    pub retry_pause_ms: u64,
    /// Cron expressions (five fields, UTC) of task types, in place of their own; an empty one or `off` disables.
    pub schedules: BTreeMap<String, String>,
    /// Seconds that one attempt may take, by task type, in place of its own limit.
    pub time_limits: BTreeMap<String, u64>,
    /// The Telegram bot.
    pub telegram: TelegramConfig,
    /// Where alerts of failures go.
    pub alert: AlertConfig,
    /// Where the daily digest goes.
    pub digest: WebhookConfig,
    /// How long the execution log is kept.
    pub retention: RetentionConfig,
    /// How analysis runs choose messages and put them together.
    pub analysis: AnalysisConfig,
    /// How language models are asked.
    pub llm: LlmConfig,
    /// Whether sample work trickles in for as long as the worker runs; by itself only where there is sample data.
    pub demo: Option<bool>,
}

impl Default for WorkloadConfig {
    fn default() -> Self {
        Self {
            concurrency: 4,
            stop_seconds: 20,
            retry_pause_ms: 5000,
            schedules: BTreeMap::new(),
            time_limits: BTreeMap::new(),
            telegram: TelegramConfig::default(),
            alert: AlertConfig::default(),
            digest: WebhookConfig::default(),
            retention: RetentionConfig::default(),
            analysis: AnalysisConfig::default(),
            llm: LlmConfig::default(),
            demo: None,
        }
    }
}

/// The Telegram bot that messages are read with.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelegramConfig {
    /// The server of the Bot API.
    pub base_url: String,
    /// The bot's token, `123456:ABC…`.
    pub token: Option<SecretString>,
    /// The one chat whose messages are kept; without it those of every chat that the bot is in.
    pub chat_id: Option<i64>,
    /// What Telegram must send in `X-Telegram-Bot-Api-Secret-Token`; without it the webhook is closed.
    pub webhook_secret: Option<SecretString>,
    /// The one directory that exports may be read from; without it any file that the worker may read.
    pub export_dir: Option<PathBuf>,
}

impl Default for TelegramConfig {
    fn default() -> Self {
        Self {
            base_url: "https://api.telegram.org".to_owned(),
            token: None,
            chat_id: None,
            webhook_secret: None,
            export_dir: None,
        }
    }
}

/// A webhook that things are posted to.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookConfig {
    /// Its URL; a URL may hold a secret.
    pub webhook_url: Option<SecretString>,
    /// The key of the signature in `X-Taskscope-Signature`.
    pub secret: Option<SecretString>,
}

/// Where alerts of failures go, and how often.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertConfig {
    /// The webhook's URL; without it alerts are only recorded.
    pub webhook_url: Option<SecretString>,
    /// The key of the signature in `X-Taskscope-Signature`.
    pub secret: Option<SecretString>,
    /// Seconds in which failures of one kind are told once.
    pub cooldown_seconds: u32,
}

impl Default for AlertConfig {
    fn default() -> Self {
        Self { webhook_url: None, secret: None, cooldown_seconds: 300 }
    }
}

impl AlertConfig {
    /// The webhook alone.
    pub(crate) fn webhook(&self) -> WebhookConfig {
        WebhookConfig { webhook_url: self.webhook_url.clone(), secret: self.secret.clone() }
    }
}

/// How long the execution log is kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Days that executions are kept: 1 to 3650.
    pub days: u32,
    /// Where days are archived before they are deleted; without it they are only deleted.
    pub archive_dir: Option<PathBuf>,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self { days: 30, archive_dir: None }
    }
}

/// How analysis runs choose messages and put them together. A run goes by what this was when it began.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnalysisConfig {
    /// Words that make a message worth a question, also at the beginning of longer ones; those of a project take their place. None at all
    /// lets every message pass that is long enough.
    pub keywords: Vec<String>,
    /// The fewest characters of a message that has a keyword; one that addresses somebody with @ passes whatever its length.
    pub min_length: usize,
    /// The most messages that are asked about at once: 1 to 1000.
    pub batch_messages: usize,
    /// The most tokens of messages that are asked about at once, a quarter of their characters: 100 to 1000000.
    pub batch_tokens: usize,
}

/// What a team says when there is something to do, in English and Ukrainian.
const KEYWORDS: &str = "bug, error, exception, crash, fail, broken, regression, timeout, timed out, leak, wrong, incident, outage, alert, \
    is down, does not work, doesn't work, not working, data loss, blocked, slow, typo, urgent, asap, deadline, security, \
    vulnerab, feature, please, can we, could we, can you, should, must, need, would like, it would be, idea, add, \
    decided, decision, agreed, let's, we will, docs, document, readme, changelog, wiki, refactor, clean up, cleanup, \
    technical debt, tech debt, legacy, deprecat, workaround, split, todo, fixme, помилк, баг, не працю, впав, падає, \
    зламал, терміново, негайно, вирішили, рішення, домовил, треба, потрібно, необхідно, додати, додай, пропоную, \
    документ, опис, інструкц, рефактор, борг, дедлайн";

impl Default for AnalysisConfig {
    fn default() -> Self {
        Self {
            keywords: KEYWORDS.split(", ").map(str::to_owned).collect(),
            min_length: 10,
            batch_messages: 15,
            batch_tokens: 3000,
        }
    }
}

impl AnalysisConfig {
    fn check(&self) -> anyhow::Result<()> {
        let (messages, tokens) = (self.batch_messages, self.batch_tokens);
        ensure!((1..=1000).contains(&messages), "analysis.batch_messages must be 1 to 1000, not {messages}");
        ensure!((100..=1_000_000).contains(&tokens), "analysis.batch_tokens must be 100 to 1000000, not {tokens}");
        Ok(())
    }
}

impl WorkloadConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// A sentence that names the setting and what is allowed.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!((1..=256).contains(&self.concurrency), "concurrency must be 1 to 256, not {}", self.concurrency);
        let days = self.retention.days;
        ensure!((1..=3650).contains(&days), "retention.days must be 1 to 3650, not {days}");
        self.analysis.check()?;
        self.llm.check()?;
        check_url("telegram.base_url", &self.telegram.base_url)?;
        for (name, url) in [("alert.webhook_url", &self.alert.webhook_url), ("digest.webhook_url", &self.digest.webhook_url)] {
            if let Some(url) = url {
                check_url(name, url.expose_secret())?;
            }
        }
        let named = self.schedules.keys().map(|name| ("schedules", name));
        for (setting, name) in named.chain(self.time_limits.keys().map(|name| ("time_limits", name))) {
            if registry::find(name).is_none() {
                bail!("{setting} names {name:?}, which is no task type: they are {}", registry::names().join(", "));
            }
        }
        if let Some((name, _)) = self.time_limits.iter().find(|(_, limit)| **limit == 0) {
            bail!("time_limits.{name} must be 1 second or more");
        }
        scheduler::plan(self).map(drop)
    }

    /// The schedule of a task type: its own, or the one set here.
    pub(crate) fn schedule<'a>(&'a self, name: &str, own: Option<&'a str>) -> Option<&'a str> {
        let set = self.schedules.get(name).map(|text| text.trim());
        set.or(own).filter(|text| !text.is_empty() && !text.eq_ignore_ascii_case("off"))
    }

    /// The time limit of a task type: its own, or the one set here.
    pub(crate) fn time_limit(&self, name: &str, own: Duration) -> Duration {
        self.time_limits.get(name).map_or(own, |seconds| Duration::from_secs(*seconds))
    }

    pub(crate) fn retry_pause(&self) -> Duration {
        Duration::from_millis(self.retry_pause_ms)
    }
}

/// The URL itself may be a secret and is not told.
fn check_url(name: &str, text: &str) -> anyhow::Result<()> {
    let url = url::Url::parse(text).with_context(|| format!("{name} is no URL"))?;
    ensure!(matches!(url.scheme(), "http" | "https"), "{name} must begin with http:// or https://");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> WorkloadConfig {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn wrong_values_are_sentences() {
        let cases = [
            (r#"{"concurrency": 0}"#, "concurrency must be 1 to 256, not 0"),
            (r#"{"retention": {"days": 0}}"#, "retention.days must be 1 to 3650"),
            (r#"{"analysis": {"batch_messages": 0}}"#, "analysis.batch_messages must be 1 to 1000, not 0"),
            (r#"{"analysis": {"batch_tokens": 1}}"#, "analysis.batch_tokens must be 100 to 1000000, not 1"),
            (r#"{"alert": {"webhook_url": "ftp://a"}}"#, "alert.webhook_url must begin with http"),
            (r#"{"llm": {"timeout_seconds": 0}}"#, "llm.timeout_seconds must be 1 to 3600, not 0"),
            (r#"{"llm": {"attempts": 11}}"#, "llm.attempts must be 1 to 10, not 11"),
            (r#"{"llm": {"models": {"keyword": "x"}}}"#, "llm.models names \"keyword\", which must be openai or ollama"),
            (r#"{"llm": {"embedding_models": {"ollama": " "}}}"#, "llm.embedding_models.ollama must not be empty"),
            (
                r#"{"llm": {"prices": {"m": {"prompt": -1, "completion": 0}}}}"#,
                "llm.prices.m must have a prompt and a completion price",
            ),
            (r#"{"llm": {"secret_key": "short"}}"#, "llm.secret_key must have 16 characters or more"),
            (r#"{"schedules": {"score_everything": "* * * * *"}}"#, "\"score_everything\", which is no task type"),
            (r#"{"schedules": {"cleanup_old_task_logs": "* * * *"}}"#, "schedule of cleanup_old_task_logs"),
            (r#"{"schedules": {"cleanup_old_task_logs": "1 * * * * *"}}"#, "schedule of cleanup_old_task_logs"),
        ];
        for (text, sentence) in cases {
            let error = format!("{:#}", config(text).check().unwrap_err());
            assert!(error.contains(sentence), "{text}: {error}");
        }
        config(r#"{"schedules": {"cleanup_old_task_logs": "off", "score_unscored_messages_task": ""}}"#).check().unwrap();
    }

    #[test]
    fn debug_shows_no_secret() {
        let text = r#"{"telegram": {"token": "123:s3cret", "webhook_secret": "s3cret"}, "alert": {"webhook_url": "http://h/s3cret", "secret": "s3cret"}, "llm": {"secret_key": "s3cret"}}"#;
        let shown = format!("{:?}", config(text));
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}
