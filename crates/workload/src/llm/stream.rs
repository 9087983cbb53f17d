//! Answers that come piece by piece: server-sent events of OpenAI, lines of JSON of Ollama.

use eventsource_stream::Eventsource;
use futures::{Stream, StreamExt, TryStreamExt};
use reqwest::Response;
use serde_json::Value;
use tokio_util::{
    codec::{FramedRead, LinesCodec},
    io::StreamReader,
};

use super::{LlmError, endpoint::Endpoint};

/// The values of an answer in server-sent events, without the `[DONE]` at its end, and whether that came.
pub(super) async fn events(
    endpoint: &Endpoint,
    response: Response,
    mut take: impl FnMut(Value) -> Result<(), LlmError>,
) -> Result<bool, LlmError> {
    let mut events = Box::pin(kept(endpoint, response).eventsource());
    while let Some(event) = events.next().await {
        let event = event.map_err(|error| failed(endpoint, error))?;
        if event.data.trim() == "[DONE]" {
            return Ok(true);
        }
        take(parse(endpoint, &event.data)?)?;
    }
    Ok(false)
}

/// The values of an answer in lines.
pub(super) async fn lines(
    endpoint: &Endpoint,
    response: Response,
    mut take: impl FnMut(Value) -> Result<(), LlmError>,
) -> Result<(), LlmError> {
    let reader = StreamReader::new(Box::pin(kept(endpoint, response)).map_err(std::io::Error::other));
    let mut lines = FramedRead::new(reader, LinesCodec::new());
    while let Some(line) = lines.next().await {
        let line = line.map_err(|error| failed_line(endpoint, error))?;
        if !line.trim().is_empty() {
            take(parse(endpoint, &line)?)?;
        }
    }
    Ok(())
}

/// The bytes, with an error that the adapters of streams can carry.
fn kept(endpoint: &Endpoint, response: Response) -> impl Stream<Item = Result<bytes::Bytes, LlmError>> + Send + use<> {
    endpoint.pieces(response)
}

fn failed(endpoint: &Endpoint, error: eventsource_stream::EventStreamError<LlmError>) -> LlmError {
    match error {
        eventsource_stream::EventStreamError::Transport(error) => error,
        other => endpoint.unfit(format!("its events can't be read: {other}")),
    }
}

fn failed_line(endpoint: &Endpoint, error: tokio_util::codec::LinesCodecError) -> LlmError {
    let error = match error {
        tokio_util::codec::LinesCodecError::Io(error) => error,
        other @ tokio_util::codec::LinesCodecError::MaxLineLengthExceeded => {
            return endpoint.unfit(format!("its lines can't be read: {other}"));
        }
    };
    error.downcast().unwrap_or_else(|error| endpoint.unfit(format!("its lines can't be read: {error}")))
}

fn parse(endpoint: &Endpoint, text: &str) -> Result<Value, LlmError> {
    serde_json::from_str(text).map_err(|error| endpoint.unfit(format!("a piece of its answer is no JSON: {error}")))
}
