//! OpenAI's wire format, which many servers understand.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Ask, LlmError, Usage,
    endpoint::Endpoint,
    prompt::Turn,
    provider::{Reply, Vectors},
    stream,
};

/// What these models' names begin with: they count what they think as part of the answer, and take no temperature.
const REASONING: [&str; 6] = ["gpt-5", "gpt-6", "o1", "o3", "o4", "o5"];

pub(super) async fn models(endpoint: &Endpoint) -> Result<Vec<String>, LlmError> {
    let answer = endpoint.get("models").await?;
    let models = answer["data"].as_array().ok_or_else(|| endpoint.unfit("its list of models has no \"data\""))?;
    Ok(models.iter().filter_map(|model| Some(model["id"].as_str()?.to_owned())).collect())
}

pub(super) async fn chat(endpoint: &Endpoint, ask: &Ask<'_>, talk: &[Turn], streaming: bool) -> Result<Reply, LlmError> {
    let body = request(ask, talk, streaming);
    if streaming {
        return streamed(endpoint, &body).await;
    }
    let answer = read::<Completion>(endpoint, endpoint.post("chat/completions", &body).await?)?;
    let mut reply = Reply { usage: answer.usage.unwrap_or_default().into(), ..Reply::default() };
    let choice = answer.choices.into_iter().next().ok_or_else(|| endpoint.unfit("its answer has no choice"))?;
    take(&mut reply, choice.message, choice.finish_reason);
    Ok(reply)
}

pub(super) async fn embed(endpoint: &Endpoint, model: &str, texts: &[String]) -> Result<Vectors, LlmError> {
    let answer = endpoint.post("embeddings", &json!({"model": model, "input": texts, "encoding_format": "float"})).await?;
    let mut answer = read::<Embeddings>(endpoint, answer)?;
    answer.data.sort_by_key(|vector| vector.index);
    let vectors = answer.data.into_iter().map(|vector| vector.embedding).collect();
    Ok(Vectors { vectors, usage: answer.usage.unwrap_or_default().into() })
}

fn request(ask: &Ask<'_>, talk: &[Turn], streaming: bool) -> Value {
    let mut body = json!({"model": ask.model, "messages": talk, "stream": streaming});
    if REASONING.iter().any(|prefix| ask.model.starts_with(prefix)) {
        body["max_completion_tokens"] = ask.max_tokens.into();
    } else {
        body["max_tokens"] = ask.max_tokens.into();
        body["temperature"] = ask.temperature.into();
    }
    if let Some(schema) = ask.schema {
        // Not strict: that takes only a part of JSON Schema, and the answer is checked here anyway.
        let schema = json!({"name": "answer", "schema": schema, "strict": false});
        body["response_format"] = json!({"type": "json_schema", "json_schema": schema});
    }
    if streaming {
        body["stream_options"] = json!({"include_usage": true});
    }
    body
}

async fn streamed(endpoint: &Endpoint, body: &Value) -> Result<Reply, LlmError> {
    let response = endpoint.open("chat/completions", body).await?;
    let (mut reply, mut ended) = (Reply::default(), false);
    let done = stream::events(endpoint, response, |value| {
        let chunk = read::<Completion>(endpoint, value)?;
        if let Some(usage) = chunk.usage {
            reply.usage = usage.into();
        }
        if let Some(choice) = chunk.choices.into_iter().next() {
            ended |= choice.finish_reason.is_some();
            take(&mut reply, choice.delta, choice.finish_reason);
        }
        Ok(())
    });
    // Some servers leave out the last word.
    if done.await? || ended { Ok(reply) } else { Err(endpoint.cut("the connection ended in the middle of the answer")) }
}

fn take(reply: &mut Reply, message: Option<Message>, finish_reason: Option<String>) {
    let message = message.unwrap_or_default();
    reply.text.push_str(&message.content.unwrap_or_default());
    reply.declined.push_str(&message.refusal.unwrap_or_default());
    reply.cut_off |= finish_reason.as_deref() == Some("length");
}

fn error_in(value: &Value) -> Option<String> {
    let error = value.get("error").filter(|error| !error.is_null())?;
    let said = error.get("message").unwrap_or(error);
    Some(said.as_str().map_or_else(|| said.to_string(), str::to_owned))
}

/// An answer, or a piece of one, that may be a refusal after all, whatever its status.
fn read<T: for<'a> Deserialize<'a>>(endpoint: &Endpoint, value: Value) -> Result<T, LlmError> {
    if let Some(message) = error_in(&value) {
        return Err(endpoint.broken_off(&message));
    }
    serde_json::from_value(value).map_err(|error| endpoint.unfit(format!("its answer is not as OpenAI's: {error}")))
}

/// An answer, or a piece of one.
#[derive(Deserialize)]
struct Completion {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Choice {
    message: Option<Message>,
    delta: Option<Message>,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Message {
    content: Option<String>,
    refusal: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Tokens {
    prompt_tokens: i64,
    completion_tokens: i64,
}

impl From<Tokens> for Usage {
    fn from(tokens: Tokens) -> Self {
        Self::counted(tokens.prompt_tokens, tokens.completion_tokens)
    }
}

#[derive(Deserialize)]
struct Embeddings {
    data: Vec<Vector>,
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Vector {
    index: usize,
    embedding: Vec<f32>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::Work;

    #[test]
    fn models_that_think_are_asked_in_their_way() {
        let body = |model: &str| {
            let ask = Ask { model, system: "", work: Work::Summary("x", &[]), schema: None, temperature: 0.5, max_tokens: 9 };
            request(&ask, &[], true)
        };
        let (plain, thinking) = (body("gpt-4o"), body("gpt-5-mini"));
        assert_eq!((&plain["max_tokens"], &plain["temperature"]), (&json!(9), &json!(0.5)));
        assert_eq!(
            (&thinking["max_completion_tokens"], thinking.get("max_tokens"), thinking.get("temperature")),
            (&json!(9), None, None)
        );
        assert_eq!((&plain["stream_options"], plain.get("response_format")), (&json!({"include_usage": true}), None));
    }
}
