//! A webhook's receiver that checks signatures, and can be in trouble.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use tokio::{net::TcpListener, sync::Notify};

pub const SECRET: &str = "the receiver's secret";

#[derive(Clone, Default)]
pub struct Receiver {
    pub url: String,
    state: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Requests that are answered with 500 from now on.
    failing: AtomicU32,
    /// Requests that are not answered from now on, unless they are let go.
    hanging: AtomicU32,
    let_go: Notify,
    /// Deliveries and bodies that were taken.
    taken: Mutex<Vec<(String, Value)>>,
    requests: AtomicU32,
}

impl Receiver {
    pub async fn serve() -> Self {
        let state = Arc::<Inner>::default();
        let router = Router::new().route("/hook/s3cret", post(take)).with_state(Arc::clone(&state));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook/s3cret", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { url, state }
    }

    pub fn fail(&self, requests: u32) {
        self.state.failing.store(requests, Ordering::SeqCst);
    }

    pub fn hang(&self, requests: u32) {
        self.state.hanging.store(requests, Ordering::SeqCst);
    }

    /// Answers the request that hangs.
    pub fn let_go(&self) {
        self.state.let_go.notify_waiters();
    }

    pub fn taken(&self) -> Vec<(String, Value)> {
        self.state.taken.lock().unwrap().clone()
    }

    pub fn requests(&self) -> u32 {
        self.state.requests.load(Ordering::SeqCst)
    }

    /// The setting of a webhook that leads here.
    pub fn config(&self) -> Value {
        serde_json::json!({"webhook_url": self.url, "secret": SECRET})
    }
}

async fn take(State(state): State<Arc<Inner>>, headers: HeaderMap, body: String) -> StatusCode {
    state.requests.fetch_add(1, Ordering::SeqCst);
    let less = |left: u32| left.checked_sub(1);
    if state.hanging.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
        state.let_go.notified().await;
    }
    if state.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{}.{body}", header("x-taskscope-timestamp")).as_bytes());
    let signature = header("x-taskscope-signature");
    if mac.verify_slice(&hex::decode(signature.trim_start_matches("sha256=")).unwrap_or_default()).is_err() {
        return StatusCode::FORBIDDEN;
    }
    state.taken.lock().unwrap().push((header("x-taskscope-delivery"), serde_json::from_str(&body).unwrap()));
    StatusCode::NO_CONTENT
}
