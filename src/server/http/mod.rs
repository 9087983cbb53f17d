//! What the world may ask: one table of routes, each with who may call it.

mod accounts;
mod admit;
mod analysis;
mod dead_letters;
mod error;
mod export;
mod extract;
mod health;
mod ingest;
mod knowledge;
pub mod listen;
mod login;
mod messages;
mod monitoring;
mod oidc;
mod openapi;
mod pages;
mod redaction;
mod setup;
mod site;
mod socket;
mod tasks;
mod telegram;
mod workers;

use std::time::Duration;

use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRef},
    http::{HeaderName, HeaderValue, StatusCode},
    middleware,
    routing::{MethodRouter, any, delete, get, post, put},
};
use leptos::config::LeptosOptions;
use metrics_exporter_prometheus::PrometheusHandle;
use tower_http::{
    catch_panic::CatchPanicLayer,
    request_id::{MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer},
    set_header::SetResponseHeaderLayer,
    timeout::{RequestBodyTimeoutLayer, TimeoutLayer},
};

pub use admit::Doors;
pub use openapi::openapi;
pub use site::HostNames;

use super::{
    access::OIDC_CALLBACK, hub::Hub, new_request_id, recorder::Recorder, redaction::Redaction, store::Store, workload::Workload,
};

/// Bytes of the largest body: a batch of native events, or of messages.
const LARGEST_BODY: usize = 8 * 1024 * 1024;

/// How long a client may pause within a body.
const BODY_PAUSE: Duration = Duration::from_secs(15);
/// How long a request may take in all, until its answer begins. Language models are asked for some minutes.
const ANSWER: Duration = Duration::from_secs(300);

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
    /// Who is let in.
    pub doors: Doors,
    /// Under which names it may be asked.
    pub host_names: HostNames,
    /// Figures about the server itself.
    pub figures: Figures,
}

/// Figures about the server itself, for Prometheus.
#[derive(Clone)]
pub struct Figures(pub PrometheusHandle);

impl std::fmt::Debug for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Figures")
    }
}

/// Who may call a route. Where no login is asked for, everybody is an admin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody who can reach the server.
    Anyone,
    /// Who may look.
    Viewer,
    /// Who may run tasks and review.
    Operator,
    /// Who may set everything up.
    Admin,
    /// Whoever has an ingest token, where one is asked for.
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
    doors: Doors,
}

impl Table {
    fn route(mut self, method: &'static str, path: &str, access: Access, handler: MethodRouter<AppState>) -> Self {
        let door = middleware::from_fn_with_state((self.doors.clone(), access), admit::admit);
        self.router = self.router.route(path, handler.layer(DefaultBodyLimit::max(LARGEST_BODY)).layer(door));
        self.routes.push(RouteInfo { method, path: path.to_owned(), access });
        self
    }

    /// The routes of a kind of resource, which admins set up and all may see: two for all of them, three for one.
    fn resource(self, path: &str, [list, create, show, change, delete]: [(&'static str, MethodRouter<AppState>); 5]) -> Self {
        let one = format!("{path}/{{id}}");
        let places = [(path, list), (path, create), (&one, show), (&one, change), (&one, delete)];
        places.into_iter().fold(self, |table, (path, (method, handler))| {
            let access = if method == "GET" { Access::Viewer } else { Access::Admin };
            table.route(method, path, access, handler)
        })
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
    use Access::{Admin, Anyone, Operator, Reporter, Telegram, Viewer};
    let table = Table { router: Router::new(), routes: Vec::new(), doors: state.doors.clone() }
        .route("GET", "/healthz", Anyone, get(health::healthz))
        .route("GET", "/readyz", Viewer, get(health::readyz))
        .route("GET", "/metrics", Viewer, get(health::metrics))
        .route("GET", login::PATH, Anyone, get(login::page))
        .route("POST", login::PATH, Anyone, post(login::log_in))
        .route("GET", oidc::BEGIN, Anyone, get(oidc::begin))
        .route("GET", OIDC_CALLBACK, Anyone, get(oidc::finish))
        .route("POST", "/logout", Anyone, post(login::log_out))
        .route("GET", "/api/v1/me", Viewer, get(accounts::me))
        .route("PUT", "/api/v1/me/password", Viewer, put(accounts::change_password))
        .route("GET", "/api/v1/accounts", Admin, get(accounts::list))
        .route("POST", "/api/v1/accounts", Admin, post(accounts::create))
        .route("PUT", "/api/v1/accounts/{id}", Admin, put(accounts::change))
        .route("DELETE", "/api/v1/accounts/{id}", Admin, delete(accounts::delete))
        .route("GET", "/api/v1/tokens", Admin, get(accounts::tokens))
        .route("POST", "/api/v1/tokens", Admin, post(accounts::create_token))
        .route("DELETE", "/api/v1/tokens/{id}", Admin, delete(accounts::revoke_token))
        .route("GET", "/api/v1/audit", Admin, get(accounts::audit))
        .route("POST", "/api/v1/events", Reporter, post(ingest::native))
        .route("POST", "/api/v1/heartbeats", Reporter, post(workers::heartbeat))
        .route("POST", "/api/tasks/{*rest}", Reporter, post(ingest::taskiq))
        .route("POST", "/api/api/tasks/{*rest}", Reporter, post(ingest::taskiq))
        .route("POST", "/tasks/{*rest}", Reporter, post(ingest::taskiq))
        .route("GET", "/api/v1/monitoring/metrics", Viewer, get(monitoring::metrics))
        .route("GET", "/api/v1/monitoring/series", Viewer, get(monitoring::series))
        .route("GET", "/api/v1/monitoring/history", Viewer, get(monitoring::history))
        .route("GET", "/api/v1/monitoring/history/export", Viewer, get(export::export))
        .route("GET", "/api/v1/monitoring/executions/{id}", Viewer, get(monitoring::execution))
        .route("GET", "/api/v1/monitoring/events", Viewer, get(monitoring::events))
        .route("GET", "/api/v1/monitoring/workers", Viewer, get(workers::workers))
        .route("GET", "/api/v1/dead-letters", Viewer, get(dead_letters::list))
        .route("GET", "/api/v1/dead-letters/export", Viewer, get(dead_letters::export))
        .route("POST", "/api/v1/dead-letters/replay", Operator, post(dead_letters::replay))
        .route("GET", "/api/v1/redaction", Viewer, get(redaction::show))
        .route("PUT", "/api/v1/redaction", Admin, put(redaction::change))
        .route("POST", "/api/v1/redaction/preview", Admin, post(redaction::preview))
        .route("GET", "/api/v1/imports", Viewer, get(tasks::imports))
        .route("GET", "/api/v1/tasks", Viewer, get(tasks::list))
        .route("POST", "/api/v1/tasks/{name}", Operator, post(tasks::trigger))
        .route("GET", "/api/v1/messages", Viewer, get(messages::list))
        .route("POST", "/api/v1/messages", Operator, post(messages::insert))
        .resource("/api/v1/providers", resource_routes!(setup::provider))
        .route("POST", "/api/v1/providers/{id}/check", Admin, post(setup::check_provider))
        .resource("/api/v1/agents", resource_routes!(setup::agent))
        .resource("/api/v1/task-configs", resource_routes!(setup::task_config))
        .resource("/api/v1/projects", resource_routes!(setup::project))
        .route("POST", "/api/v1/agents/{id}/test", Admin, post(setup::test_agent))
        .route("POST", "/api/v1/agents/{id}/tasks", Admin, post(setup::assign))
        .route("GET", "/api/v1/assignments", Viewer, get(setup::assignments))
        .route("PUT", "/api/v1/assignments/{id}", Admin, put(setup::change_assignment))
        .route("DELETE", "/api/v1/assignments/{id}", Admin, delete(setup::delete_assignment))
        .route("GET", "/api/v1/analysis/runs", Viewer, get(analysis::list))
        .route("POST", "/api/v1/analysis/runs", Operator, post(analysis::create))
        .route("GET", "/api/v1/analysis/runs/{id}", Viewer, get(analysis::show))
        .route("GET", "/api/v1/analysis/runs/{id}/log", Viewer, get(analysis::log))
        .route("POST", "/api/v1/analysis/runs/{id}/start", Operator, post(analysis::start))
        .route("POST", "/api/v1/analysis/runs/{id}/cancel", Operator, post(analysis::cancel))
        .route("POST", "/api/v1/analysis/runs/{id}/close", Operator, post(analysis::close))
        .route("GET", "/api/v1/proposals", Viewer, get(analysis::proposals))
        .route("GET", "/api/v1/proposals/{id}", Viewer, get(analysis::proposal))
        .route("PUT", "/api/v1/proposals/{id}/{review}", Operator, put(analysis::review))
        .route("GET", "/api/v1/topics", Viewer, get(knowledge::topics))
        .route("GET", "/api/v1/topics/{id}", Viewer, get(knowledge::topic))
        .route("GET", "/api/v1/atoms", Viewer, get(knowledge::atoms))
        .route("GET", "/api/v1/atoms/{id}", Viewer, get(knowledge::atom))
        .route("GET", "/api/v1/atoms/{id}/versions", Viewer, get(knowledge::versions))
        .route("PUT", "/api/v1/atoms/{id}/{review}", Operator, put(knowledge::review))
        .route("POST", "/api/v1/telegram/webhook", Telegram, post(telegram::webhook))
        .route("GET", "/ws", Viewer, get(socket::watch))
        .route("ANY", "/api/{*rest}", Viewer, any(error::no_such_path));
    let (router, routes) = pages::add(table.router, table.routes, &state);
    let host_names = state.host_names.clone();
    let router = router
        .method_not_allowed_fallback(error::method_not_allowed)
        .with_state(state)
        .layer(middleware::from_fn(extract::refuse_packed))
        .layer(middleware::from_fn(site::refuse_cross_site))
        .layer(middleware::from_fn_with_state(host_names, site::refuse_strange_host))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, ANSWER))
        .layer(RequestBodyTimeoutLayer::new(BODY_PAUSE))
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
