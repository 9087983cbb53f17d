//! A server that speaks Telegram's Bot API, as far as getUpdates.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::post,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub const TOKEN: &str = "123456:s3cret-token";

#[derive(Clone, Default)]
pub struct BotApi {
    pub url: String,
    state: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    updates: Vec<Value>,
    /// Status and answer that come before anything else.
    refusals: VecDeque<(u16, Value)>,
    /// Until when nobody may ask, and how often somebody did.
    closed_until: Option<Instant>,
    too_early: u32,
    questions: Vec<Value>,
    silent: bool,
}

impl BotApi {
    pub async fn serve() -> Self {
        let state = Arc::<Mutex<Inner>>::default();
        let router = Router::new().route("/{bot}/getUpdates", post(get_updates)).with_state(Arc::clone(&state));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { url, state }
    }

    pub fn config(&self) -> Value {
        json!({"base_url": self.url, "token": TOKEN})
    }

    /// Somebody writes something.
    pub fn add(&self, update: Value) {
        self.state.lock().unwrap().updates.push(update);
    }

    /// The next question is refused, as Telegram does it.
    pub fn refuse(&self, code: u16, description: &str, parameters: Value) {
        let answer = json!({"ok": false, "error_code": code, "description": description, "parameters": parameters});
        self.state.lock().unwrap().refusals.push_back((code, answer));
    }

    /// Whether questions from now on are left without an answer.
    pub fn be_silent(&self, silent: bool) {
        self.state.lock().unwrap().silent = silent;
    }

    pub fn questions(&self) -> Vec<Value> {
        self.state.lock().unwrap().questions.clone()
    }

    /// How often it was asked before the pause that it had asked for was over.
    pub fn too_early(&self) -> u32 {
        self.state.lock().unwrap().too_early
    }

    pub fn waiting(&self) -> usize {
        self.state.lock().unwrap().updates.len()
    }
}

async fn get_updates(
    State(state): State<Arc<Mutex<Inner>>>,
    Path(bot): Path<String>,
    Json(question): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let silent = {
        let mut state = state.lock().unwrap();
        state.questions.push(question.clone());
        state.silent
    };
    if silent {
        std::future::pending::<()>().await;
    }
    let mut state = state.lock().unwrap();
    if bot != format!("bot{TOKEN}") {
        return (StatusCode::UNAUTHORIZED, Json(json!({"ok": false, "error_code": 401, "description": "Unauthorized"})));
    }
    if state.closed_until.is_some_and(|time| Instant::now() < time) {
        state.too_early += 1;
    }
    if let Some((code, answer)) = state.refusals.pop_front() {
        let pause = answer["parameters"]["retry_after"].as_u64();
        state.closed_until = pause.map(|seconds| Instant::now() + Duration::from_secs(seconds));
        return (StatusCode::from_u16(code).unwrap(), Json(answer));
    }
    let offset = question["offset"].as_i64().unwrap();
    let limit = usize::try_from(question["limit"].as_u64().unwrap()).unwrap();
    state.updates.retain(|update| update["update_id"].as_i64().unwrap() >= offset);
    let page: Vec<_> = state.updates.iter().take(limit).cloned().collect();
    (StatusCode::OK, Json(json!({"ok": true, "result": page})))
}
