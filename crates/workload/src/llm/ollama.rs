//! Ollama's own wire format, which takes a JSON Schema and says what a model can hold.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Ask, LlmError, Usage,
    endpoint::Endpoint,
    prompt::{self, Turn},
    provider::{Reply, Vectors},
    stream,
};

/// Room for a talk that is asked for, in tokens. What doesn't fit Ollama's own room is cut off without a word.
const LEAST_ROOM: usize = 8192;
const MOST_ROOM: usize = 128 * 1024;

pub(super) async fn models(endpoint: &Endpoint) -> Result<Vec<String>, LlmError> {
    let answer = endpoint.get("api/tags").await?;
    let models = answer["models"].as_array().ok_or_else(|| endpoint.unfit("its list of models has no \"models\""))?;
    Ok(models.iter().filter_map(|model| Some(model["name"].as_str()?.to_owned())).collect())
}

pub(super) async fn chat(endpoint: &Endpoint, ask: &Ask<'_>, talk: &[Turn], streaming: bool) -> Result<Reply, LlmError> {
    let body = request(ask, talk, streaming);
    let (mut reply, mut done) = (Reply::default(), false);
    let take = |value: Value| {
        if let Some(message) = value["error"].as_str() {
            return Err(endpoint.broken_off(message));
        }
        let piece = read::<Piece>(endpoint, value)?;
        reply.text.push_str(&piece.message.unwrap_or_default().content);
        if piece.done {
            done = true;
            reply.cut_off = piece.done_reason.as_deref() == Some("length");
            reply.usage = Usage::counted(piece.prompt_eval_count, piece.eval_count);
        }
        Ok(())
    };
    if streaming {
        stream::lines(endpoint, endpoint.open("api/chat", &body).await?, take).await?;
    } else {
        let mut take = take;
        take(endpoint.post("api/chat", &body).await?)?;
    }
    if done { Ok(reply) } else { Err(endpoint.cut("the connection ended in the middle of the answer")) }
}

pub(super) async fn embed(endpoint: &Endpoint, model: &str, texts: &[String]) -> Result<Vectors, LlmError> {
    let answer = endpoint.post("api/embed", &json!({"model": model, "input": texts})).await?;
    let answer = read::<Embeddings>(endpoint, answer)?;
    Ok(Vectors { vectors: answer.embeddings, usage: Usage::counted(answer.prompt_eval_count, 0) })
}

fn request(ask: &Ask<'_>, talk: &[Turn], streaming: bool) -> Value {
    let answer = usize::try_from(ask.max_tokens).unwrap_or(MOST_ROOM);
    let room = (prompt::tokens(talk) + answer).next_power_of_two().clamp(LEAST_ROOM, MOST_ROOM);
    let options = json!({"temperature": ask.temperature, "num_predict": ask.max_tokens, "num_ctx": room});
    let mut body = json!({"model": ask.model, "messages": talk, "stream": streaming, "options": options});
    if let Some(schema) = ask.schema {
        body["format"] = schema.clone();
    }
    body
}

fn read<T: for<'a> Deserialize<'a>>(endpoint: &Endpoint, value: Value) -> Result<T, LlmError> {
    serde_json::from_value(value).map_err(|error| endpoint.unfit(format!("its answer is not as Ollama's: {error}")))
}

/// An answer, or a piece of one.
#[derive(Deserialize)]
struct Piece {
    message: Option<Message>,
    done: bool,
    done_reason: Option<String>,
    #[serde(default)]
    prompt_eval_count: i64,
    #[serde(default)]
    eval_count: i64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message {
    content: String,
}

#[derive(Deserialize)]
struct Embeddings {
    embeddings: Vec<Vec<f32>>,
    #[serde(default)]
    prompt_eval_count: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::Work;

    #[test]
    fn room_is_made_for_the_whole_talk() {
        let room = |length: usize| {
            let text = "x".repeat(length);
            let ask = Ask {
                model: "m",
                system: "",
                work: Work::Topic(Some(&text), &[]),
                schema: None,
                temperature: 0.0,
                max_tokens: 4096,
            };
            request(&ask, &prompt::talk(&ask), false)["options"]["num_ctx"].as_u64()
        };
        assert_eq!((room(10), room(40_000), room(10_000_000)), (Some(8192), Some(32768), Some(131_072)));
    }
}
