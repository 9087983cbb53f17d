//! The search of the history: what each key finds among rows that could be confused, how long it may take, and its indexes.

mod budget;
mod index;
mod language;

use std::collections::BTreeSet;

use reqwest::{Response, StatusCode};
use serde_json::Value;

use crate::support::TestServer;

/// The answer to a search.
async fn search(server: &TestServer, q: &str) -> Response {
    let q: String = form_urlencoded::byte_serialize(q.as_bytes()).collect();
    server.get(&format!("/api/v1/monitoring/history?q={q}")).await
}

/// The task ids that a search finds, each once, in their order.
async fn found(server: &TestServer, q: &str) -> Vec<String> {
    let response = search(server, q).await;
    let status = response.status();
    let page: Value = response.json().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{q}: {page}");
    let items = page["items"].as_array().unwrap();
    assert_eq!(page["total_count"], items.len(), "{q}");
    let ids: BTreeSet<String> = items.iter().map(|item| item["task_id"].as_str().unwrap().to_owned()).collect();
    ids.into_iter().collect()
}

/// Why a search is refused.
async fn refused(server: &TestServer, q: &str) -> String {
    let response = search(server, q).await;
    let status = response.status();
    let body: Value = response.json().await.unwrap();
    assert_eq!(status, StatusCode::BAD_REQUEST, "{q}: {body}");
    body["error"].as_str().unwrap().to_owned()
}
