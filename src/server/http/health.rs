//! How the server is, for those who run it.

use axum::{extract::State, http::StatusCode, response::IntoResponse};

use super::Figures;
use crate::server::{hub::Hub, recorder::Recorder};

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "operations", responses((status = 200, body = String)))]
pub(super) async fn healthz() -> &'static str {
    "ok"
}

/// The database answers too. Events are taken even while it doesn't. After the first line come the notices: what those who run the server should know.
#[utoipa::path(
    get, path = "/readyz", tag = "operations",
    responses((status = 200, body = String), (status = 503, description = "The database is not reachable", body = String)),
)]
pub(super) async fn readyz(State(hub): State<Hub>) -> impl IntoResponse {
    let server = hub.server();
    let (status, first) = match server.database_up {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "the database is not reachable; events are taken and kept"),
    };
    let lines: Vec<&str> = std::iter::once(first).chain(server.notices.iter().map(String::as_str)).collect();
    (status, lines.join("\n"))
}

/// Figures about the server itself, in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "operations", responses((status = 200, body = String)))]
pub(super) async fn metrics(State(figures): State<Figures>, State(recorder): State<Recorder>, State(hub): State<Hub>) -> String {
    metrics::gauge!("taskscope_spool_events").set(recorder.waiting() as f64);
    metrics::gauge!("taskscope_spool_bytes").set(recorder.waiting_bytes() as f64);
    metrics::gauge!("taskscope_live_watchers").set(hub.watchers() as f64);
    metrics::gauge!("taskscope_live_seq").set(hub.position().seq as f64);
    metrics::gauge!("taskscope_database_up").set(f64::from(u8::from(hub.server().database_up)));
    figures.0.render()
}
