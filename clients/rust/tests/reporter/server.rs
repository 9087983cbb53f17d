use std::{
    collections::VecDeque,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    time::Instant,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, Response, StatusCode, header},
    routing::post,
};
use chrono::Utc;
use serde_json::{Value, json, value::RawValue};
use taskscope_client::Json;
use taskscope_wire::{BatchItem, BatchOutcome, EventKind, Finish, Heartbeat, NativeEvent, TaskEvent, clean};
use tokio::runtime::{self, Runtime};

/// A server in a runtime of its own, so that it and all its connections can go away at once.
pub(crate) struct Server {
    address: SocketAddr,
    runtime: Option<Runtime>,
    state: Arc<Log>,
}

/// What came in, and what is to be answered.
#[derive(Default)]
pub(crate) struct Log {
    /// Events that were accepted, in their order.
    events: Mutex<Vec<TaskEvent>>,
    /// The same as they were sent.
    texts: Mutex<Vec<Value>>,
    batches: Mutex<Vec<Request>>,
    heartbeats: Mutex<Vec<Heartbeat>>,
    /// For the next batches; when there is none, the batch is taken.
    replies: Mutex<VecDeque<Reply>>,
    token: Mutex<Option<String>>,
    /// More events in a batch, or more bytes in an event, are answered by 413.
    most_events: Mutex<Option<usize>>,
}

/// A request with events, whatever became of it.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) at: Instant,
    pub(crate) body: Bytes,
    pub(crate) events: usize,
}

/// What a batch is answered.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// This status, and the seconds of Retry-After.
    Status(u16, Option<u32>),
    /// A redirect to this place.
    Redirect(String),
    /// The events are taken, but nobody is told.
    TakeAndSayNothingUseful,
    /// Nothing, for ever.
    Hang,
}

impl Server {
    pub(crate) fn start() -> Self {
        let mut server = Self::away();
        server.come_back();
        server
    }

    /// The place of a server that isn't there.
    pub(crate) fn away() -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self { address, runtime: None, state: Arc::default() }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn come_back(&mut self) {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = TcpListener::bind(self.address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let router = router(Arc::clone(&self.state));
        runtime.spawn(async move { axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), router).await });
        self.runtime = Some(runtime);
    }

    /// Once it returns, nobody listens and no connection is open.
    pub(crate) fn go_away(&mut self) {
        let runtime = self.runtime.take().unwrap();
        // It waits for its threads, which a test's own runtime doesn't allow.
        std::thread::spawn(move || drop(runtime)).join().unwrap();
    }

    pub(crate) fn reply(&self, replies: impl IntoIterator<Item = Reply>) {
        self.state.replies.lock().unwrap().extend(replies);
    }

    pub(crate) fn ask_for_token(&self, token: &str) {
        *self.state.token.lock().unwrap() = Some(token.to_owned());
    }

    pub(crate) fn take_at_most(&self, events: usize) {
        *self.state.most_events.lock().unwrap() = Some(events);
    }

    pub(crate) fn events(&self) -> Vec<TaskEvent> {
        self.state.events.lock().unwrap().clone()
    }

    pub(crate) fn texts(&self) -> Vec<Value> {
        self.state.texts.lock().unwrap().clone()
    }

    pub(crate) fn task_ids(&self) -> Vec<String> {
        self.state.task_ids()
    }

    pub(crate) fn ends(&self) -> Vec<Finish> {
        let end = |event: TaskEvent| match event.kind {
            EventKind::Finished(finish) => Some(finish),
            EventKind::Queued | EventKind::Started => None,
        };
        self.events().into_iter().filter_map(end).collect()
    }

    pub(crate) fn batches(&self) -> Vec<Request> {
        self.state.batches.lock().unwrap().clone()
    }

    pub(crate) fn heartbeats(&self) -> Vec<Heartbeat> {
        self.state.heartbeats.lock().unwrap().clone()
    }
}

impl Log {
    pub(crate) fn task_ids(&self) -> Vec<String> {
        self.events.lock().unwrap().iter().map(|event| event.task_id.clone()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Taskscope's routes for reporters.
pub(crate) fn router(log: Arc<Log>) -> Router {
    Router::new()
        .route("/api/v1/events", post(events))
        .route("/api/v1/heartbeats", post(heartbeats))
        .layer(DefaultBodyLimit::max(8 * 1024 * 1024))
        .with_state(log)
}

async fn events(State(log): State<Arc<Log>>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let text = clean(&body);
    let Ok(events) = serde_json::from_str::<Vec<&RawValue>>(&text) else {
        return answer(StatusCode::BAD_REQUEST, &json!({ "error": "no batch" }));
    };
    assert_eq!(headers.get(header::CONTENT_TYPE).unwrap(), "application/json");
    log.batches.lock().unwrap().push(Request { at: Instant::now(), body: body.clone(), events: events.len() });
    if let Some(refusal) = check_token(&log, &headers) {
        return refusal;
    }
    let reply = log.replies.lock().unwrap().pop_front();
    match reply {
        Some(Reply::Hang) => std::future::pending().await,
        Some(Reply::Status(status, retry_after)) => {
            let mut response = answer(StatusCode::from_u16(status).unwrap(), &json!({ "error": "not now" }));
            response.headers_mut().extend(retry_after.map(|seconds| (header::RETRY_AFTER, seconds.into())));
            return response;
        }
        Some(Reply::Redirect(place)) => {
            let mut response = answer(StatusCode::TEMPORARY_REDIRECT, &json!({}));
            response.headers_mut().insert(header::LOCATION, place.parse().unwrap());
            return response;
        }
        Some(Reply::TakeAndSayNothingUseful) | None => {}
    }
    if log.most_events.lock().unwrap().is_some_and(|most| events.len() > most) {
        return answer(StatusCode::PAYLOAD_TOO_LARGE, &json!({ "error": "too large" }));
    }
    let response = take(&log, &events);
    if reply.is_some() { answer(StatusCode::ACCEPTED, &json!("thanks")) } else { response }
}

fn take(log: &Log, events: &[&RawValue]) -> Response<Body> {
    let mut results = Vec::new();
    for (index, text) in events.iter().map(|event| event.get()).enumerate() {
        let error = match NativeEvent::decode(text, Utc::now()) {
            Ok(event) => {
                log.texts.lock().unwrap().push(serde_json::from_str(text).unwrap());
                log.events.lock().unwrap().push(event);
                None
            }
            Err(error) => Some(error),
        };
        results.push(BatchItem { index, event_id: None, accepted: error.is_none(), error });
    }
    let rejected = results.iter().filter(|item| !item.accepted).count();
    if rejected == results.len() {
        return answer(StatusCode::BAD_REQUEST, &json!({ "error": "no event was accepted", "results": results }));
    }
    answer(StatusCode::ACCEPTED, &BatchOutcome { accepted: results.len() - rejected, rejected, results })
}

async fn heartbeats(State(log): State<Arc<Log>>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    if let Some(refusal) = check_token(&log, &headers) {
        return refusal;
    }
    match Heartbeat::decode(&clean(&body)) {
        Ok(heartbeat) => {
            log.heartbeats.lock().unwrap().push(heartbeat);
            answer(StatusCode::ACCEPTED, &json!({}))
        }
        Err(error) => answer(StatusCode::BAD_REQUEST, &json!({ "error": error })),
    }
}

fn check_token(log: &Log, headers: &HeaderMap) -> Option<Response<Body>> {
    let token = log.token.lock().unwrap();
    let given = headers.get("access-token").map(|value| value.to_str().unwrap());
    let wrong = token.as_deref().is_some_and(|token| given != Some(token));
    wrong.then(|| answer(StatusCode::UNAUTHORIZED, &json!({ "error": "the token is wrong" })))
}

fn answer(status: StatusCode, body: &impl serde::Serialize) -> Response<Body> {
    let body = serde_json::to_vec(body).unwrap();
    Response::builder().status(status).header(header::CONTENT_TYPE, "application/json").body(body.into()).unwrap()
}

/// A short JSON value.
pub(crate) fn value(value: Value) -> Json {
    value.into()
}
