//! The description of the HTTP API, made from the handlers.

use taskscope_wire::{LiveEvent, ServerState};
use utoipa::OpenApi;

use super::{health, ingest, monitoring, socket, tasks, telegram, workers};

#[derive(OpenApi)]
#[openapi(
    info(title = "Taskscope", description = "A real-time monitor for background tasks.", license(name = "MIT OR Apache-2.0")),
    paths(
        ingest::native, ingest::taskiq, monitoring::metrics, monitoring::history, monitoring::execution, monitoring::events,
        workers::heartbeat, workers::workers, tasks::imports, tasks::list, tasks::trigger, telegram::webhook,
        socket::watch, health::healthz, health::readyz, health::metrics,
    ),
    components(schemas(LiveEvent, ServerState)),
    tags(
        (name = "ingest", description = "For workers"),
        (name = "monitoring", description = "For people and programs that watch"),
        (name = "tasks", description = "The product's own tasks"),
        (name = "operations", description = "For those who run it"),
    ),
)]
struct Api;

/// The OpenAPI 3.1 document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}
