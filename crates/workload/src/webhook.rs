//! Posts to a webhook, signed so that the receiver can tell them from anybody else's.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use chrono::Utc;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use sha2::Sha256;

use crate::{
    WebhookConfig,
    failure::{Failure, TaskResult},
};

/// What a post is about: `X-Taskscope-Event`, and an id in `X-Taskscope-Delivery` by which the receiver knows it again.
pub(crate) struct Post<'a> {
    pub(crate) event: &'a str,
    pub(crate) delivery: String,
    pub(crate) body: &'a Value,
}

impl Post<'_> {
    /// Sends it, some times within a few seconds where the receiver is away or in trouble. With a secret,
    /// `X-Taskscope-Signature: sha256=…` is the HMAC of `X-Taskscope-Timestamp`, a dot and the body.
    pub(crate) async fn send(&self, http: &Client, config: &WebhookConfig) -> TaskResult<()> {
        let url = config.webhook_url.as_ref().ok_or_else(|| Failure::permanent("no webhook is configured"))?;
        let body = self.body.to_string();
        let retries = ExponentialBuilder::default().with_min_delay(Duration::from_millis(500)).with_max_times(2).with_jitter();
        let send = || self.send_once(http, url.expose_secret(), config.secret.as_ref(), &body);
        let status = send.retry(retries).when(Refused::may_pass).await.map_err(Refused::into_failure)?;
        tracing::debug!(event = self.event, %status, "a webhook was called");
        Ok(())
    }

    async fn send_once(
        &self,
        http: &Client,
        url: &str,
        secret: Option<&SecretString>,
        body: &str,
    ) -> Result<StatusCode, Refused> {
        let timestamp = Utc::now().timestamp().to_string();
        let mut request = http
            .post(url)
            .header("content-type", "application/json")
            .header("x-taskscope-event", self.event)
            .header("x-taskscope-delivery", &self.delivery)
            .header("x-taskscope-timestamp", &timestamp);
        if let Some(secret) = secret {
            request = request.header("x-taskscope-signature", sign(secret, &timestamp, body));
        }
        // The URL may hold a secret, so it is taken out of every error.
        let response = request.body(body.to_owned()).send().await.map_err(|error| Refused::Unreachable(error.without_url()))?;
        if response.status().is_success() { Ok(response.status()) } else { Err(Refused::Status(response.status())) }
    }
}

fn sign(secret: &SecretString, timestamp: &str, body: &str) -> String {
    // A key may have any length, so the first arm is always the one.
    match Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()) {
        Ok(mut mac) => {
            mac.update(format!("{timestamp}.{body}").as_bytes());
            format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
        }
        Err(_) => String::new(),
    }
}

enum Refused {
    Unreachable(reqwest::Error),
    Status(StatusCode),
}

impl Refused {
    fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Status(status) => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
        }
    }

    fn into_failure(self) -> Failure {
        match self {
            Self::Unreachable(error) => Failure::from(error).explained("the webhook can't be reached"),
            Self::Status(status) => Failure::new(format!("the webhook answered {status}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Worked out with `printf '1700000000.{}' | openssl dgst -sha256 -hmac key`.
    #[test]
    fn the_signature_is_what_others_compute() {
        let signature = sign(&SecretString::from("key"), "1700000000", "{}");
        assert_eq!(signature, "sha256=9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae");
    }
}
