//! The place where a provider answers: requests, and what it means when they fail.

use std::{
    error::Error,
    time::{Duration, SystemTime},
};

use futures::{StreamExt, TryStreamExt};
use reqwest::{Client, RequestBuilder, Response, StatusCode, header::RETRY_AFTER};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::{LlmError, clean, settings::ProviderType};

/// The most that an answer may have, in bytes: a bound of memory.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;
/// The longest that anybody is left alone, whatever they want.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);
/// The most of a refusal that is told, in characters.
const LONGEST_MESSAGE: usize = 500;
/// The most of any other reason that is told, in characters.
const LONGEST_REASON: usize = 2000;

/// Where a provider answers, and with which key it is asked.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) provider: String,
    pub(super) base_url: String,
    pub(super) key: Option<SecretString>,
    pub(super) http: Client,
    /// How long any answer may take.
    pub(super) limit: Duration,
}

/// The base URL as it is kept: without a slash at its end, and as far as the version. OpenAI's convention is that `/v1` belongs to it, so it
/// is added where there is no path at all; Ollama's API lies beside `/v1`, so that and `/api` are taken off.
///
/// # Errors
/// A sentence that says what is allowed.
pub(crate) fn settle_base_url(kind: ProviderType, text: &str) -> Result<String, String> {
    let mut url = url::Url::parse(text.trim()).map_err(|error| format!("base_url must be a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("base_url must begin with http:// or https:// and name a host".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("base_url must not hold a name or a password: give the key as api_key".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("base_url must have no query and no fragment".to_owned());
    }
    let path = url.path().trim_end_matches('/').to_owned();
    let path = match kind {
        ProviderType::Openai if path.is_empty() => "/v1".to_owned(),
        ProviderType::Ollama => path.trim_end_matches("/v1").trim_end_matches("/api").to_owned(),
        _ => path,
    };
    url.set_path(&path);
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

impl Endpoint {
    /// Asks for a JSON value.
    pub(super) async fn get(&self, path: &str) -> Result<Value, LlmError> {
        let response = self.send(self.http.get(self.url(path))).await?;
        self.json(response).await
    }

    /// Posts, and reads the answer whole.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, LlmError> {
        let response = self.open(path, body).await?;
        self.json(response).await
    }

    /// Posts, and leaves the answer to be read.
    pub(super) async fn open(&self, path: &str, body: &Value) -> Result<Response, LlmError> {
        self.send(self.http.post(self.url(path)).json(body)).await
    }

    /// The provider's words in the middle of an answer.
    pub(super) fn broken_off(&self, message: &str) -> LlmError {
        self.refused(StatusCode::OK, message, None)
    }

    /// An answer that is not what the wire format promises.
    pub(super) fn unfit(&self, reason: impl Into<String>) -> LlmError {
        LlmError::Unfit { provider: self.provider.clone(), reason: self.told(&reason.into(), LONGEST_REASON) }
    }

    /// The connection broke, or took too long. The URL is left out: nobody needs it, and it may say more than it should.
    pub(super) fn unreachable(&self, error: &reqwest::Error) -> LlmError {
        let cause = if error.is_timeout() && !error.is_connect() {
            format!("no answer within {} s", self.limit.as_secs_f64())
        } else if error.is_timeout() {
            "no connection within the time for it".to_owned()
        } else {
            innermost(error)
        };
        self.cut(&cause)
    }

    /// The connection ended too early.
    pub(super) fn cut(&self, cause: &str) -> LlmError {
        LlmError::Unreachable { provider: self.provider.clone(), cause: self.told(cause, LONGEST_REASON) }
    }

    /// The bytes of an answer, bounded.
    pub(super) fn pieces(
        &self,
        response: Response,
    ) -> impl futures::Stream<Item = Result<bytes::Bytes, LlmError>> + Send + use<> {
        let (this, mut length) = (self.clone(), 0);
        response.bytes_stream().map(move |piece| {
            let piece = piece.map_err(|error| this.unreachable(&error))?;
            length += piece.len();
            if length > LARGEST_ANSWER { Err(this.unfit("it is larger than 16 MB")) } else { Ok(piece) }
        })
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.base_url)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, LlmError> {
        let request = request.timeout(self.limit);
        let request = match &self.key {
            Some(key) => request.bearer_auth(key.expose_secret()),
            None => request,
        };
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(self.refusal(response).await) }
    }

    async fn json(&self, response: Response) -> Result<Value, LlmError> {
        let body = self.read(response).await?;
        serde_json::from_slice(&body).map_err(|error| self.unfit(format!("its answer is no JSON: {error}")))
    }

    async fn read(&self, response: Response) -> Result<Vec<u8>, LlmError> {
        let append = |mut body: Vec<u8>, piece: bytes::Bytes| async move {
            body.extend_from_slice(&piece);
            Ok(body)
        };
        self.pieces(response).try_fold(Vec::new(), append).await
    }

    async fn refusal(&self, response: Response) -> LlmError {
        let status = response.status();
        let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let pause = header.and_then(|text| retry_after(text, SystemTime::now()));
        // What came of the body says more than that it was cut.
        let body = self.read(response).await.unwrap_or_default();
        self.refused(status, &message(&body, status), pause)
    }

    fn refused(&self, status: StatusCode, message: &str, retry_after: Option<Duration>) -> LlmError {
        let message = self.told(message, LONGEST_MESSAGE);
        LlmError::Refused { provider: self.provider.clone(), status: status.as_u16(), message, retry_after }
    }

    /// A text as it may be shown and kept. The key goes before the text is cut, which would leave a part of it.
    fn told(&self, text: &str, longest: usize) -> String {
        clean::text(&self.without_key(text)).chars().take(longest).collect()
    }

    /// A provider may repeat the key that it was asked with.
    pub(super) fn without_key(&self, text: &str) -> String {
        match self.key.as_ref().map(ExposeSecret::expose_secret) {
            Some(key) if !key.is_empty() => text.replace(key, "***"),
            _ => text.to_owned(),
        }
    }
}

/// The provider's own words: `error.message` of OpenAI, `error` of Ollama, `message` or `detail` of others, else the whole text.
fn message(body: &[u8], status: StatusCode) -> String {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let said = ["/error/message", "/error", "/message", "/detail"].iter().find_map(|path| value.pointer(path)?.as_str());
    let text = said.map_or_else(|| String::from_utf8_lossy(body).into_owned(), str::to_owned);
    let text = text.trim();
    if text.is_empty() { status.canonical_reason().unwrap_or("no reason").to_owned() } else { text.to_owned() }
}

/// How long to wait: seconds, or until a date.
fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds).min(LONGEST_PAUSE));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default().min(LONGEST_PAUSE))
}

/// What it comes down to: the outer errors only repeat that a request failed.
fn innermost(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_are_settled() {
        for (kind, given, kept) in [
            (ProviderType::Openai, "https://api.openai.com", "https://api.openai.com/v1"),
            (ProviderType::Openai, "https://api.openai.com/v1/", "https://api.openai.com/v1"),
            (ProviderType::Openai, "http://localhost:8080/proxy/v3", "http://localhost:8080/proxy/v3"),
            (ProviderType::Ollama, "http://localhost:11434/", "http://localhost:11434"),
            (ProviderType::Ollama, "http://localhost:11434/v1", "http://localhost:11434"),
            (ProviderType::Ollama, "http://gate/ollama/api/", "http://gate/ollama"),
        ] {
            assert_eq!(settle_base_url(kind, given).as_deref(), Ok(kept), "{given}");
        }
        for given in ["localhost:11434", "ftp://a/", "https://me:pass@host/v1", "http://host/v1?key=1", ""] {
            let sentence = settle_base_url(ProviderType::Openai, given).unwrap_err();
            assert!(sentence.starts_with("base_url must ") && !sentence.contains("pass@"), "{given}: {sentence}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_767);
        assert_eq!(retry_after("7", now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(Duration::from_secs(10)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("99999999999", now), Some(LONGEST_PAUSE));
        assert_eq!(retry_after("soon", now), None);
    }

    #[test]
    fn the_providers_words_are_found() {
        let status = StatusCode::BAD_GATEWAY;
        for (body, words) in [
            (r#"{"error": {"message": "no such model", "code": null}}"#, "no such model"),
            (r#"{"error": "model not found"}"#, "model not found"),
            (r#"{"detail": "Not Found"}"#, "Not Found"),
            ("<html>nginx</html>", "<html>nginx</html>"),
            ("", "Bad Gateway"),
        ] {
            assert_eq!(message(body.as_bytes(), status), words);
        }
    }
}
