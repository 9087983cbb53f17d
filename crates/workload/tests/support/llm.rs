//! A server that speaks the wire formats of OpenAI and of Ollama, says what it is told to, and can be in trouble.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Instant,
};

use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A model that each of them has.
pub const MODEL: &str = "small-model";
/// The tokens of each answer.
pub const PROMPT_TOKENS: i64 = 120;
pub const COMPLETION_TOKENS: i64 = 30;

/// What becomes of a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// The model says this.
    Say(String),
    /// It is cut off here, at the most tokens.
    SayCutOff(String),
    /// A refusal: status, message, and when to come again.
    Refuse(u16, String, Option<String>),
    /// An answer with this body, whatever that is.
    Raw(String),
    /// The connection breaks in the middle of the answer.
    Cut(String),
    /// The answer ends too early, but in good order; only where it is streamed.
    EndEarly(String),
    /// An error in the middle of the answer; only where it is streamed.
    Break(String),
    /// Nothing comes.
    Hang,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    pub path: &'static str,
    pub authorization: Option<String>,
    pub body: Value,
    pub at: Instant,
}

#[derive(Clone)]
pub struct Llm {
    /// Without a path.
    pub url: String,
    state: Arc<Inner>,
}

type Answer = dyn Fn(&Value) -> String + Send + Sync;

#[derive(Default)]
struct Inner {
    script: Mutex<VecDeque<Reply>>,
    answer: Mutex<Option<Arc<Answer>>>,
    requests: Mutex<Vec<Request>>,
    key: Mutex<Option<String>>,
    /// Texts that can't be embedded have this in them.
    unembeddable: Mutex<Option<String>>,
    /// Whether OpenAI's list of models and its embeddings don't come.
    silent: Mutex<bool>,
    /// Requests that hung and whose client has gone.
    abandoned: Mutex<usize>,
}

impl Llm {
    pub async fn serve() -> Self {
        let state = Arc::<Inner>::default();
        let router = Router::new()
            .route("/v1/models", get(openai_models))
            .route("/v1/chat/completions", post(openai_chat))
            .route("/v1/embeddings", post(openai_embed))
            .route("/api/tags", get(ollama_models))
            .route("/api/chat", post(ollama_chat))
            .route("/api/embed", post(ollama_embed))
            .with_state(Arc::clone(&state));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { url, state }
    }

    /// What becomes of the next chats, in this order.
    pub fn script(&self, replies: impl IntoIterator<Item = Reply>) {
        self.state.script.lock().unwrap().extend(replies);
    }

    /// What the model says where the script says nothing: a function of the request's body.
    pub fn answer_with(&self, answer: impl Fn(&Value) -> String + Send + Sync + 'static) {
        *self.state.answer.lock().unwrap() = Some(Arc::new(answer));
    }

    /// From now on only this key opens.
    pub fn require_key(&self, key: &str) {
        *self.state.key.lock().unwrap() = Some(key.to_owned());
    }

    /// From now on texts with this in them are refused.
    pub fn refuse_to_embed(&self, text: &str) {
        *self.state.unembeddable.lock().unwrap() = Some(text.to_owned());
    }

    /// Whether OpenAI's list of models and its embeddings stay away from now on.
    pub fn be_silent(&self, silent: bool) {
        *self.state.silent.lock().unwrap() = silent;
    }

    /// The requests since the last time.
    pub fn taken(&self) -> Vec<Request> {
        std::mem::take(&mut *self.state.requests.lock().unwrap())
    }

    pub fn requests(&self) -> usize {
        self.state.requests.lock().unwrap().len()
    }

    pub fn abandoned(&self) -> usize {
        *self.state.abandoned.lock().unwrap()
    }
}

impl Inner {
    fn note(&self, path: &'static str, headers: &HeaderMap, body: &Value) {
        let authorization = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
        self.requests.lock().unwrap().push(Request { path, authorization, body: body.clone(), at: Instant::now() });
    }

    /// As OpenAI does, it repeats the key that does not open.
    fn refused(&self, headers: &HeaderMap) -> Option<Response> {
        let key = self.key.lock().unwrap().clone()?;
        let given = headers.get(header::AUTHORIZATION).map_or("", |value| value.to_str().unwrap());
        let given = given.trim_start_matches("Bearer ");
        (given != key).then(|| openai_error(401, &format!("Incorrect API key provided: {given}."), None))
    }

    fn next(&self, body: &Value) -> Reply {
        if body["model"] != MODEL {
            return Reply::Refuse(404, format!("model '{}' not found", body["model"].as_str().unwrap_or_default()), None);
        }
        let scripted = self.script.lock().unwrap().pop_front();
        let answer = || self.answer.lock().unwrap().clone().map_or_else(|| "{}".to_owned(), |answer| answer(body));
        scripted.unwrap_or_else(|| Reply::Say(answer()))
    }
}

/// The messages that a request shows.
pub fn shown(body: &Value) -> Vec<Value> {
    let turns = body["messages"].as_array().unwrap();
    let user = turns.iter().find(|turn| turn["role"] == "user").unwrap();
    let material: Value = serde_json::from_str(user["content"].as_str().unwrap()).unwrap();
    material["messages"].as_array().unwrap().clone()
}

// --- OpenAI ------------------------------------------------------------------------------------

async fn openai_models(State(state): State<Arc<Inner>>, headers: HeaderMap) -> Response {
    state.note("/v1/models", &headers, &Value::Null);
    if *state.silent.lock().unwrap() {
        return hang(state).await;
    }
    if let Some(refused) = state.refused(&headers) {
        return refused;
    }
    let model = |id: &str| json!({"id": id, "object": "model", "created": 1_700_000_000, "owned_by": "test"});
    Json(json!({"object": "list", "data": [model("text-embedding-3-small"), model(MODEL)]})).into_response()
}

async fn openai_chat(State(state): State<Arc<Inner>>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    state.note("/v1/chat/completions", &headers, &body);
    if let Some(refused) = state.refused(&headers) {
        return refused;
    }
    let streamed = body["stream"] == true;
    let (text, reason) = match state.next(&body) {
        Reply::Refuse(status, message, retry_after) => return openai_error(status, &message, retry_after),
        Reply::Raw(text) => return ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Reply::Hang => return hang(state).await,
        Reply::Cut(text) if streamed => return cut("text/event-stream", &openai_events(&text, "stop")[..2].concat()),
        Reply::Cut(text) => return cut("application/json", &openai_whole(&text, "stop")),
        Reply::EndEarly(text) => return whole("text/event-stream", openai_events(&text, "stop")[..2].concat()),
        Reply::Break(message) => {
            let error = json!({"error": {"message": message, "type": "server_error", "param": null, "code": null}});
            return whole("text/event-stream", format!("{}data: {error}\n\n", openai_events("half of", "stop")[1]));
        }
        Reply::Say(text) => (text, "stop"),
        Reply::SayCutOff(text) => (text, "length"),
    };
    if streamed {
        return pieces("text/event-stream", openai_events(&text, reason));
    }
    whole("application/json", openai_whole(&text, reason))
}

fn openai_whole(text: &str, reason: &str) -> String {
    let message = json!({"role": "assistant", "content": text, "refusal": null, "annotations": []});
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": MODEL,
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": reason}],
        "usage": openai_usage(), "service_tier": "default", "system_fingerprint": null,
    })
    .to_string()
}

fn openai_events(text: &str, reason: &str) -> Vec<String> {
    let event = |delta: Value, reason: Value, usage: Value| {
        let choices = if usage.is_null() {
            json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": reason}])
        } else {
            json!([])
        };
        let chunk = json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": MODEL, "choices": choices,
            "usage": usage, "obfuscation": "xK3",
        });
        format!("data: {chunk}\n\n")
    };
    let mut events = vec![event(json!({"role": "assistant", "content": "", "refusal": null}), Value::Null, Value::Null)];
    events.extend(halves(text).map(|piece| event(json!({"content": piece}), Value::Null, Value::Null)));
    events.push(event(json!({}), reason.into(), Value::Null));
    events.push(event(Value::Null, Value::Null, openai_usage()));
    events.push("data: [DONE]\n\n".to_owned());
    events
}

fn openai_usage() -> Value {
    json!({"prompt_tokens": PROMPT_TOKENS, "completion_tokens": COMPLETION_TOKENS, "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS,
           "prompt_tokens_details": {"cached_tokens": 0}})
}

fn openai_error(status: u16, message: &str, retry_after: Option<String>) -> Response {
    refusal(
        status,
        &json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}}),
        retry_after,
    )
}

async fn openai_embed(State(state): State<Arc<Inner>>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    state.note("/v1/embeddings", &headers, &body);
    if *state.silent.lock().unwrap() {
        return hang(state).await;
    }
    if let Some(refused) = state.refused(&headers) {
        return refused;
    }
    match vectors(&state, &body) {
        Err(message) => openai_error(400, &message, None),
        Ok(vectors) => {
            let data = vectors
                .iter()
                .enumerate()
                .map(|(index, vector)| json!({"object": "embedding", "index": index, "embedding": vector}));
            // The order is that of the index, and not that of the list.
            let data: Vec<_> = data.rev().collect();
            let usage = json!({"prompt_tokens": PROMPT_TOKENS, "total_tokens": PROMPT_TOKENS});
            Json(json!({"object": "list", "data": data, "model": body["model"], "usage": usage})).into_response()
        }
    }
}

// --- Ollama ------------------------------------------------------------------------------------

async fn ollama_models(State(state): State<Arc<Inner>>, headers: HeaderMap) -> Response {
    state.note("/api/tags", &headers, &Value::Null);
    let model = |name: &str| {
        json!({"name": name, "model": name, "modified_at": "2025-05-04T17:37:44.706015396-07:00", "size": 3_826_793_677_u64,
               "digest": "fe938a131f40e6f6d40083c9f0f430a515233eb2edaa6d72eb85c50d64f2300e",
               "details": {"format": "gguf", "family": "llama", "parameter_size": "7B", "quantization_level": "Q4_0"}})
    };
    Json(json!({"models": [model("nomic-embed-text:latest"), model(MODEL)]})).into_response()
}

async fn ollama_chat(State(state): State<Arc<Inner>>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    state.note("/api/chat", &headers, &body);
    // Ollama streams unless it is told not to.
    let streamed = body["stream"] != false;
    let (text, reason) = match state.next(&body) {
        Reply::Refuse(status, message, retry_after) => return refusal(status, &json!({"error": message}), retry_after),
        Reply::Raw(text) => return whole("application/json", text),
        Reply::Hang => return hang(state).await,
        Reply::Cut(text) if streamed => return cut("application/x-ndjson", &ollama_lines(&text, "stop")[..1].concat()),
        Reply::Cut(text) => return cut("application/json", &ollama_line(&text, Some("stop"))),
        Reply::EndEarly(text) => return whole("application/x-ndjson", ollama_lines(&text, "stop")[..1].concat()),
        Reply::Break(message) => {
            return whole("application/x-ndjson", format!("{}{}\n", ollama_line("half of", None), json!({"error": message})));
        }
        Reply::Say(text) => (text, "stop"),
        Reply::SayCutOff(text) => (text, "length"),
    };
    if streamed {
        return pieces("application/x-ndjson", ollama_lines(&text, reason));
    }
    whole("application/json", ollama_line(&text, Some(reason)))
}

fn ollama_lines(text: &str, reason: &str) -> Vec<String> {
    halves(text).map(|piece| ollama_line(piece, None)).chain([ollama_line("", Some(reason))]).collect()
}

fn ollama_line(text: &str, done_reason: Option<&str>) -> String {
    let mut line = json!({"model": MODEL, "created_at": "2025-12-12T14:13:43.416799Z", "message": {"role": "assistant", "content": text},
                          "done": done_reason.is_some()});
    if let Some(reason) = done_reason {
        let durations = json!({"done_reason": reason, "total_duration": 5_191_566_416_u64, "load_duration": 2_154_458,
            "prompt_eval_count": PROMPT_TOKENS, "prompt_eval_duration": 383_809_000, "eval_count": COMPLETION_TOKENS,
            "eval_duration": 4_799_921_000_u64});
        line.as_object_mut().unwrap().extend(durations.as_object().unwrap().clone());
    }
    format!("{line}\n")
}

async fn ollama_embed(State(state): State<Arc<Inner>>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    state.note("/api/embed", &headers, &body);
    match vectors(&state, &body) {
        Err(message) => refusal(400, &json!({"error": message}), None),
        Ok(vectors) => {
            Json(json!({"model": body["model"], "embeddings": vectors, "total_duration": 14_143_917, "load_duration": 1_019_500,
                                   "prompt_eval_count": PROMPT_TOKENS}))
            .into_response()
        }
    }
}

// --- both --------------------------------------------------------------------------------------

/// A vector by the length of the text, so that a test can tell whose it is.
fn vectors(state: &Inner, body: &Value) -> Result<Vec<[f32; 3]>, String> {
    let texts: Vec<_> = body["input"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    let refused = state.unembeddable.lock().unwrap().clone();
    if texts.iter().any(|text| text.is_empty() || refused.as_deref().is_some_and(|refused| text.contains(refused))) {
        return Err("the input length exceeds the context length".to_owned());
    }
    #[expect(clippy::cast_precision_loss, reason = "texts of tests are short")]
    Ok(texts.iter().map(|text| [text.len() as f32, 1.0, 0.5]).collect())
}

fn halves(text: &str) -> impl Iterator<Item = &str> {
    let middle = (text.len() / 2..=text.len()).find(|index| text.is_char_boundary(*index)).unwrap();
    let (one, other) = text.split_at(middle);
    [one, other].into_iter()
}

fn refusal(status: u16, body: &Value, retry_after: Option<String>) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    let mut response = (status, Json(body.clone())).into_response();
    if let Some(when) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, when.parse().unwrap());
    }
    response
}

fn whole(content_type: &'static str, body: String) -> Response {
    ([(header::CONTENT_TYPE, content_type)], body).into_response()
}

fn pieces(content_type: &'static str, pieces: Vec<String>) -> Response {
    let body = Body::from_stream(stream::iter(pieces.into_iter().map(Ok::<_, Infallible>)));
    ([(header::CONTENT_TYPE, content_type)], body).into_response()
}

/// Half of a body, and then the connection breaks.
fn cut(content_type: &'static str, body: &str) -> Response {
    let half = halves(body).next().unwrap().to_owned();
    let parts = [Ok(half), Err(std::io::Error::other("the test cuts the connection"))];
    ([(header::CONTENT_TYPE, content_type)], Body::from_stream(stream::iter(parts))).into_response()
}

/// Never answers, and notes when nobody waits any more.
async fn hang(state: Arc<Inner>) -> Response {
    struct Waiting(Arc<Inner>);
    impl Drop for Waiting {
        fn drop(&mut self) {
            *self.0.abandoned.lock().unwrap() += 1;
        }
    }
    let _waiting = Waiting(state);
    std::future::pending().await
}
