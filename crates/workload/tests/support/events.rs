//! A server that takes events as Taskscope does, and keeps them.

use std::sync::{Arc, Mutex};

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use taskscope_wire::{BatchItem, BatchOutcome, Heartbeat, NativeEvent, NativeKind};
use tokio::net::TcpListener;

use super::until;

#[derive(Clone)]
pub struct Events {
    pub url: String,
    events: Arc<Mutex<Vec<NativeEvent>>>,
}

impl Events {
    pub async fn serve() -> Self {
        let events = Arc::<Mutex<Vec<NativeEvent>>>::default();
        let router = Router::new()
            .route("/api/v1/events", post(take))
            .route("/api/v1/heartbeats", post(async |Json(_): Json<Heartbeat>| StatusCode::ACCEPTED))
            .with_state(Arc::clone(&events));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { url, events }
    }

    pub fn all(&self) -> Vec<NativeEvent> {
        self.events.lock().unwrap().clone()
    }

    /// The events of a task, by attempt and then by what comes first in a life.
    pub fn of(&self, task_id: &str) -> Vec<NativeEvent> {
        let mut events: Vec<_> = self.all().into_iter().filter(|event| event.task_id == task_id).collect();
        events.sort_by_key(|event| (event.attempt, event.kind as u8));
        events
    }

    /// Attempt and kind of the events of a task.
    pub fn story(&self, task_id: &str) -> Vec<(i32, NativeKind)> {
        self.of(task_id).into_iter().map(|event| (event.attempt, event.kind)).collect()
    }

    pub async fn until(&self, what: &str, holds: impl Fn(&[NativeEvent]) -> bool) {
        until(what, async || holds(&self.events.lock().unwrap())).await;
    }
}

async fn take(State(events): State<Arc<Mutex<Vec<NativeEvent>>>>, body: String) -> (StatusCode, Json<BatchOutcome>) {
    let batch: Vec<NativeEvent> = match body.trim_start().starts_with('[') {
        true => serde_json::from_str(&body).unwrap(),
        false => body.lines().filter(|line| !line.trim().is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect(),
    };
    let item = |(index, event): (usize, &NativeEvent)| BatchItem {
        index,
        event_id: event.event_id.clone(),
        accepted: true,
        error: None,
    };
    let results = batch.iter().enumerate().map(item).collect();
    let outcome = BatchOutcome { accepted: batch.len(), rejected: 0, results };
    events.lock().unwrap().extend(batch);
    (StatusCode::ACCEPTED, Json(outcome))
}
