//! A client of the Bot API, as far as it is needed.

use std::time::Duration;

use reqwest::StatusCode;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    TelegramConfig,
    failure::{Explain, Failure, TaskResult},
};

/// What the network may take on top of the time for which Telegram holds an answer back.
const NETWORK: Duration = Duration::from_secs(15);
/// The longest pause that Telegram may ask for and still be waited for within an attempt.
const PATIENCE: Duration = Duration::from_secs(60);

/// The Bot API, with the token of one bot.
pub(crate) struct BotApi<'a> {
    http: &'a reqwest::Client,
    base_url: &'a str,
    token: &'a str,
}

/// Every answer of the Bot API.
#[derive(Debug, Deserialize)]
struct Answer {
    ok: bool,
    #[serde(default)]
    result: Vec<Value>,
    error_code: Option<u16>,
    description: Option<String>,
    parameters: Option<Parameters>,
}

#[derive(Debug, Deserialize)]
struct Parameters {
    retry_after: Option<u64>,
}

impl<'a> BotApi<'a> {
    /// The API of the configured bot.
    pub(crate) fn new(http: &'a reqwest::Client, config: &'a TelegramConfig) -> TaskResult<Self> {
        let token = config.token.as_ref().map(ExposeSecret::expose_secret).filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| Failure::permanent("telegram.token is not set: without it the Bot API can't be read"))?;
        Ok(Self { http, base_url: config.base_url.trim_end_matches('/'), token })
    }

    /// The part of the token that is no secret.
    pub(crate) fn bot(&self) -> &'a str {
        self.token.split(':').next().unwrap_or_default()
    }

    /// Up to `limit` updates from `offset` on, which tells Telegram to forget those before. Waits `wait` for the first one.
    pub(crate) async fn updates(&self, offset: i64, limit: u8, wait: Duration) -> TaskResult<Vec<Value>> {
        let question = json!({
            "offset": offset, "limit": limit, "timeout": wait.as_secs(),
            "allowed_updates": ["message", "edited_message", "channel_post", "edited_channel_post"],
        });
        loop {
            let (status, answer) = self.ask(&question, wait + NETWORK).await?;
            if answer.ok {
                return Ok(answer.result);
            }
            match answer.pause(status) {
                Some(pause) if pause <= PATIENCE => tokio::time::sleep(pause).await,
                _ => return Err(answer.into_failure(status)),
            }
        }
    }

    async fn ask(&self, question: &Value, limit: Duration) -> TaskResult<(StatusCode, Answer)> {
        let url = format!("{}/bot{}/getUpdates", self.base_url, self.token);
        // The URL holds the token, so it is taken out of every error.
        let unreachable = || "the Bot API of Telegram can't be reached".to_owned();
        let sent = self.http.post(url).json(question).timeout(limit).send().await;
        let response = sent.map_err(reqwest::Error::without_url).explain(unreachable)?;
        let status = response.status();
        let body = response.bytes().await.map_err(reqwest::Error::without_url).explain(unreachable)?;
        let answer = serde_json::from_slice(&body)
            .explain(|| format!("the Bot API of Telegram answered {status} with no answer of its own"))?;
        Ok((status, answer))
    }
}

impl Answer {
    /// How long Telegram wants to be left alone.
    fn pause(&self, status: StatusCode) -> Option<Duration> {
        let seconds = self.parameters.as_ref().and_then(|parameters| parameters.retry_after);
        (self.code(status) == 429).then(|| Duration::from_secs(seconds.unwrap_or(1)))
    }

    fn code(&self, status: StatusCode) -> u16 {
        self.error_code.unwrap_or(status.as_u16())
    }

    fn into_failure(self, status: StatusCode) -> Failure {
        let (code, pause) = (self.code(status), self.pause(status));
        let description = self.description.unwrap_or_default();
        let failure = Failure::new(format!("the Bot API of Telegram answered {code}: {description}"));
        match (code, pause) {
            (_, Some(pause)) => failure.retry_after(pause),
            // A wrong token or request stays wrong. 409 is another reader or a webhook, which may go away.
            (400..=499, None) if code != 409 => failure.never_again(),
            _ => failure,
        }
    }
}
