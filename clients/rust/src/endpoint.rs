//! Taskscope, as seen from here: one request, and what its answer means.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT},
};
use serde_json::Value;
use taskscope_wire::{BatchOutcome, Heartbeat};

use crate::http_client::HttpClient;
#[cfg(feature = "nats")]
use crate::nats::EventStream;

const AGENT: &str = concat!("taskscope-client/", env!("CARGO_PKG_VERSION"));
/// A server that asks for more patience is asked again after this.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);
/// Characters of an answer that are logged.
const REASON: usize = 300;

/// Where events and heartbeats go.
#[derive(Clone)]
pub(crate) struct Endpoint {
    client: HttpClient,
    events: Uri,
    heartbeats: Uri,
    token: Option<HeaderValue>,
    #[cfg(feature = "nats")]
    stream: Option<EventStream>,
}

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Answer<T> {
    Taken(T),
    /// It will never be taken.
    Refused(String),
    TooLarge(String),
    Later(Later),
}

/// The same may be taken later.
#[derive(Debug)]
pub(crate) struct Later {
    pub(crate) reason: String,
    /// How long the server wants to be left alone.
    pub(crate) after: Option<Duration>,
}

impl Endpoint {
    /// The endpoint at the base URL of a Taskscope, which may have a path.
    ///
    /// # Errors
    /// Nothing can be appended to the URL.
    pub(crate) fn new(client: HttpClient, base: &str, token: Option<HeaderValue>) -> Result<Self, http::uri::InvalidUri> {
        let at = |name: &str| format!("{}/api/v1/{name}", base.trim_end_matches('/')).parse();
        Ok(Self {
            events: at("events")?,
            heartbeats: at("heartbeats")?,
            client,
            token,
            #[cfg(feature = "nats")]
            stream: None,
        })
    }

    /// From now on events go to a stream.
    #[cfg(feature = "nats")]
    pub(crate) fn with_stream(mut self, stream: Option<EventStream>) -> Self {
        self.stream = stream;
        self
    }

    /// Sends a JSON array of events.
    pub(crate) async fn send_events(&self, batch: Bytes) -> Answer<BatchOutcome> {
        #[cfg(feature = "nats")]
        if let Some(stream) = &self.stream {
            return stream.publish(batch).await;
        }
        match self.post(&self.events, batch).await {
            Ok(response) if response.status() == StatusCode::ACCEPTED => match serde_json::from_slice(response.body()) {
                Ok(outcome) => Answer::Taken(outcome),
                Err(error) => Answer::Later(Later { reason: format!("an answer that is none: {error}"), after: None }),
            },
            Ok(response) => unhappy(&response),
            Err(later) => Answer::Later(later),
        }
    }

    /// Sends a heartbeat.
    pub(crate) async fn send_heartbeat(&self, heartbeat: &Heartbeat) -> Answer<()> {
        let body = match serde_json::to_vec(heartbeat) {
            Ok(body) => body.into(),
            Err(error) => return Answer::Refused(error.to_string()),
        };
        match self.post(&self.heartbeats, body).await {
            Ok(response) if response.status().is_success() => Answer::Taken(()),
            Ok(response) => unhappy(&response),
            Err(later) => Answer::Later(later),
        }
    }

    async fn post(&self, uri: &Uri, body: Bytes) -> Result<Response<Bytes>, Later> {
        let mut request = Request::new(body.into());
        *request.method_mut() = Method::POST;
        request.uri_mut().clone_from(uri);
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.extend(self.token.clone().map(|token| (HeaderName::from_static("access-token"), token)));
        self.client.exchange(request).await.map_err(|error| Later { reason: reason(&*error), after: None })
    }
}

fn unhappy<T>(response: &Response<Bytes>) -> Answer<T> {
    let status = response.status();
    let reason = format!("{status}: {}", error_in(response.body()));
    match status {
        StatusCode::BAD_REQUEST => Answer::Refused(reason),
        StatusCode::PAYLOAD_TOO_LARGE => Answer::TooLarge(reason),
        _ => Answer::Later(Later { reason, after: retry_after(response.headers()) }),
    }
}

/// Taskscope's `error`, or the beginning of what another server says.
fn error_in(body: &[u8]) -> String {
    let said = serde_json::from_slice::<Value>(body).ok();
    let said = said.as_ref().and_then(|body| body.get("error")).and_then(Value::as_str);
    let text = said.map_or_else(|| String::from_utf8_lossy(body), Into::into);
    text.chars().take(REASON).collect()
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER))
}

/// The error and its causes in one line; the client's own text says only that there is one.
fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
