//! What the world may ask: one table of routes, each with who may call it.

mod access;
mod analysis;
mod dead_letters;
mod error;
mod extract;
mod health;
mod ingest;
mod knowledge;
mod messages;
mod monitoring;
mod openapi;
mod pages;
mod redaction;
mod setup;
mod socket;
mod tasks;
mod telegram;
mod workers;

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRef},
    http::{HeaderName, HeaderValue},
    middleware,
    routing::{MethodRouter, any, delete, get, post, put},
};
use leptos::config::LeptosOptions;
use metrics_exporter_prometheus::PrometheusHandle;
use tower_http::{
    catch_panic::CatchPanicLayer,
    request_id::{MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer},
    set_header::SetResponseHeaderLayer,
};

pub use access::HostNames;
pub use openapi::openapi;

use super::{hub::Hub, new_request_id, recorder::Recorder, redaction::Redaction, store::Store, workload::Workload};

/// Bytes of the largest body: a batch of native events, or of messages.
const LARGEST_BODY: usize = 8 * 1024 * 1024;

/// What handlers work with.
#[derive(Clone, Debug, FromRef)]
pub struct AppState {
    /// Where the site is.
    pub leptos: LeptosOptions,
    /// Reads.
    pub store: Store,
    /// Writes.
    pub recorder: Recorder,
    /// What is redacted.
    pub redaction: Redaction,
    /// Live messages.
    pub hub: Hub,
    /// The product's own tasks.
    pub workload: Workload,
    /// What reporters must present.
    pub ingest_token: IngestToken,
    /// Under which names it may be asked.
    pub host_names: HostNames,
    /// Figures about the server itself.
    pub figures: Figures,
}

/// The token that reporters must present, if any.
#[derive(Clone, Debug)]
pub struct IngestToken(pub Option<Arc<str>>);

/// Figures about the server itself, for Prometheus.
#[derive(Clone)]
pub struct Figures(pub PrometheusHandle);

impl std::fmt::Debug for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Figures")
    }
}

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody who can reach the server: on loopback that is this machine.
    Anyone,
    /// Whoever has the ingest token, where one is configured.
    Reporter,
    /// Telegram, by the secret of the webhook; nobody where none is configured.
    Telegram,
}

/// A route and who may call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteInfo {
    /// The method.
    pub method: &'static str,
    /// The path, with its parameters in braces.
    pub path: String,
    /// Who may call it.
    pub access: Access,
}

/// Collects routes with who may call them, so that none can be added without saying.
struct Table {
    router: Router<AppState>,
    routes: Vec<RouteInfo>,
}

impl Table {
    fn route(mut self, method: &'static str, path: &str, access: Access, handler: MethodRouter<AppState>) -> Self {
        self.router = self.router.route(path, handler.layer(DefaultBodyLimit::max(LARGEST_BODY)));
        self.routes.push(RouteInfo { method, path: path.to_owned(), access });
        self
    }

    /// The routes of a kind of resource: two for all of them, three for one.
    fn resource(self, path: &str, [list, create, show, change, delete]: [(&'static str, MethodRouter<AppState>); 5]) -> Self {
        let one = format!("{path}/{{id}}");
        let places = [(path, list), (path, create), (&one, show), (&one, change), (&one, delete)];
        places.into_iter().fold(self, |table, (path, (method, handler))| table.route(method, path, Access::Anyone, handler))
    }
}

/// The handlers of a kind of resource.
macro_rules! resource_routes {
    ($($module:ident)::+) => {{
        use $($module)::+::{change, create, delete as remove, list, show};
        [("GET", get(list)), ("POST", post(create)), ("GET", get(show)), ("PUT", put(change)), ("DELETE", delete(remove))]
    }};
}

/// The whole service, and the inventory of its routes.
pub fn router(state: AppState) -> (Router, Vec<RouteInfo>) {
    use Access::{Anyone, Reporter, Telegram};
    let table = Table { router: Router::new(), routes: Vec::new() }
        .route("GET", "/healthz", Anyone, get(health::healthz))
        .route("GET", "/readyz", Anyone, get(health::readyz))
        .route("GET", "/metrics", Anyone, get(health::metrics))
        .route("POST", "/api/v1/events", Reporter, post(ingest::native))
        .route("POST", "/api/v1/heartbeats", Reporter, post(workers::heartbeat))
        .route("POST", "/api/tasks/{*rest}", Reporter, post(ingest::taskiq))
        .route("POST", "/api/api/tasks/{*rest}", Reporter, post(ingest::taskiq))
        .route("POST", "/tasks/{*rest}", Reporter, post(ingest::taskiq))
        .route("GET", "/api/v1/monitoring/metrics", Anyone, get(monitoring::metrics))
        .route("GET", "/api/v1/monitoring/series", Anyone, get(monitoring::series))
        .route("GET", "/api/v1/monitoring/history", Anyone, get(monitoring::history))
        .route("GET", "/api/v1/monitoring/executions/{id}", Anyone, get(monitoring::execution))
        .route("GET", "/api/v1/monitoring/events", Anyone, get(monitoring::events))
        .route("GET", "/api/v1/monitoring/workers", Anyone, get(workers::workers))
        .route("GET", "/api/v1/dead-letters", Anyone, get(dead_letters::list))
        .route("GET", "/api/v1/dead-letters/export", Anyone, get(dead_letters::export))
        .route("POST", "/api/v1/dead-letters/replay", Anyone, post(dead_letters::replay))
        .route("GET", "/api/v1/redaction", Anyone, get(redaction::show))
        .route("PUT", "/api/v1/redaction", Anyone, put(redaction::change))
        .route("POST", "/api/v1/redaction/preview", Anyone, post(redaction::preview))
        .route("GET", "/api/v1/imports", Anyone, get(tasks::imports))
        .route("GET", "/api/v1/tasks", Anyone, get(tasks::list))
        .route("POST", "/api/v1/tasks/{name}", Anyone, post(tasks::trigger))
        .route("GET", "/api/v1/messages", Anyone, get(messages::list))
        .route("POST", "/api/v1/messages", Anyone, post(messages::insert))
        .resource("/api/v1/providers", resource_routes!(setup::provider))
        .route("POST", "/api/v1/providers/{id}/check", Anyone, post(setup::check_provider))
        .resource("/api/v1/agents", resource_routes!(setup::agent))
        .resource("/api/v1/task-configs", resource_routes!(setup::task_config))
        .resource("/api/v1/projects", resource_routes!(setup::project))
        .route("POST", "/api/v1/agents/{id}/test", Anyone, post(setup::test_agent))
        .route("POST", "/api/v1/agents/{id}/tasks", Anyone, post(setup::assign))
        .route("GET", "/api/v1/assignments", Anyone, get(setup::assignments))
        .route("PUT", "/api/v1/assignments/{id}", Anyone, put(setup::change_assignment))
        .route("DELETE", "/api/v1/assignments/{id}", Anyone, delete(setup::delete_assignment))
        .route("GET", "/api/v1/analysis/runs", Anyone, get(analysis::list))
        .route("POST", "/api/v1/analysis/runs", Anyone, post(analysis::create))
        .route("GET", "/api/v1/analysis/runs/{id}", Anyone, get(analysis::show))
        .route("GET", "/api/v1/analysis/runs/{id}/log", Anyone, get(analysis::log))
        .route("POST", "/api/v1/analysis/runs/{id}/start", Anyone, post(analysis::start))
        .route("POST", "/api/v1/analysis/runs/{id}/cancel", Anyone, post(analysis::cancel))
        .route("POST", "/api/v1/analysis/runs/{id}/close", Anyone, post(analysis::close))
        .route("GET", "/api/v1/proposals", Anyone, get(analysis::proposals))
        .route("GET", "/api/v1/proposals/{id}", Anyone, get(analysis::proposal))
        .route("PUT", "/api/v1/proposals/{id}/{review}", Anyone, put(analysis::review))
        .route("GET", "/api/v1/topics", Anyone, get(knowledge::topics))
        .route("GET", "/api/v1/topics/{id}", Anyone, get(knowledge::topic))
        .route("GET", "/api/v1/atoms", Anyone, get(knowledge::atoms))
        .route("GET", "/api/v1/atoms/{id}", Anyone, get(knowledge::atom))
        .route("GET", "/api/v1/atoms/{id}/versions", Anyone, get(knowledge::versions))
        .route("PUT", "/api/v1/atoms/{id}/{review}", Anyone, put(knowledge::review))
        .route("POST", "/api/v1/telegram/webhook", Telegram, post(telegram::webhook))
        .route("GET", "/ws", Anyone, get(socket::watch))
        .route("ANY", "/api/{*rest}", Anyone, any(error::no_such_path));
    let (router, routes) = pages::add(table.router, table.routes, &state);
    let host_names = state.host_names.clone();
    let router = router
        .method_not_allowed_fallback(error::method_not_allowed)
        .with_state(state)
        .layer(middleware::from_fn(access::refuse_cross_site))
        .layer(middleware::from_fn_with_state(host_names, access::refuse_strange_host))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(header("x-content-type-options", "nosniff"))
        .layer(header("referrer-policy", "same-origin"))
        .layer(header("x-frame-options", "DENY"))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(SetRequestIdLayer::x_request_id(NewRequestId));
    (router, routes)
}

fn header(name: &'static str, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(HeaderName::from_static(name), HeaderValue::from_static(value))
}

/// Numbers requests since the start of the process; a user quotes it, and the log has the cause beside it.
#[derive(Clone)]
struct NewRequestId;

impl MakeRequestId for NewRequestId {
    fn make_request_id<B>(&mut self, _: &axum::http::Request<B>) -> Option<RequestId> {
        new_request_id().parse().ok().map(RequestId::new)
    }
}
