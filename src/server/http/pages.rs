//! The pages, their server functions and static files, with what a browser must be told about them.

use std::sync::LazyLock;

use axum::{
    Router,
    body::to_bytes,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use leptos::prelude::*;
use leptos_axum::{AxumRouteListing, LeptosRoutes, ResponseOptions, generate_route_list};
use tower_http::compression::CompressionLayer;
use utoipa_swagger_ui::SwaggerUi;

use super::{Access, AppState, Doors, RouteInfo, admit::admit, error::ApiError, openapi::openapi};
use crate::{
    app::{App, shell},
    components::{provide_role, url},
    error::AppError,
    server::page_role,
};

/// The routes of the pages. Leptos finds them by drawing the app while all loading in the process is suspended, and whatever begins to
/// load meanwhile never ends; so it happens once, before the first server of the process answers anybody.
static PAGES: LazyLock<Vec<AxumRouteListing>> = LazyLock::new(|| generate_route_list(App));

/// Where server functions are.
const CALLS: &str = "/api/fn/";
/// Those by which everybody who may look does so.
const LOOKING_CALLS: [&str; 24] = [
    "assignments",
    "atoms",
    "events",
    "execution",
    "history",
    "hour_counts",
    "imports",
    "me",
    "messages",
    "metrics",
    "projects",
    "proposal",
    "proposals",
    "redaction",
    "run",
    "run_log",
    "runs",
    "search_words",
    "series",
    "task_names",
    "task_types",
    "topic",
    "topics",
    "workers",
];
/// Those by which admins only look.
const ADMINS_LOOKING_CALLS: [&str; 4] = ["accounts", "audit", "preview_redaction", "tokens"];
/// Those that operators act by.
const ACTING_CALLS: [&str; 8] =
    ["cancel_run", "close_run", "create_run", "replay_dead_letters", "review_atom", "review_proposal", "start_run", "trigger"];
/// Files that stand beside the pages, besides those in `/pkg/`.
const FILES: [&str; 3] = ["/favicon.ico", "/favicon.svg", "/robots.txt"];

/// Bytes of the longest error of a server function.
const LARGEST_ERROR: usize = 64 * 1024;

/// Adds pages, server functions, the API's description and static files.
pub(super) fn add(router: Router<AppState>, mut routes: Vec<RouteInfo>, state: &AppState) -> (Router<AppState>, Vec<RouteInfo>) {
    let mut note = |method, path: &str, access| routes.push(RouteInfo { method, path: path.to_owned(), access });
    for path in ["/api/openapi.json", "/api/docs", "/"] {
        note("GET", path, Access::Viewer);
    }
    PAGES.iter().filter(|page| page.path() != "/").for_each(|page| note("GET", page.path(), access_of(page.path())));
    leptos::server_fn::axum::server_fn_paths()
        .filter(|(path, _)| path.starts_with(CALLS))
        .for_each(|(path, _)| note("POST", path, access_of(path)));
    let pages: Vec<_> = PAGES.iter().filter(|page| page.path() != "/").cloned().collect();
    let (store, workload, redaction) = (state.store.clone(), state.workload.clone(), state.redaction.clone());
    let (gate, recorder, options) = (state.doors.gate.clone(), state.recorder.clone(), state.leptos.clone());
    let provide = move || {
        provide_context(store.clone());
        provide_context(workload.clone());
        provide_context(redaction.clone());
        provide_context(gate.clone());
        provide_context(recorder.clone());
    };
    let in_fallback = {
        let provide = provide.clone();
        move || {
            provide();
            prepare();
        }
    };
    let rendered = Router::new()
        .leptos_routes_with_context(state, pages, provide, {
            let options = options.clone();
            move || {
                prepare();
                shell(options.clone())
            }
        })
        // What the app takes for one of its pages is drawn here, too, whatever it is called exactly.
        .fallback(leptos_axum::file_and_error_handler_with_context::<AppState, _>(in_fallback, shell))
        .layer(middleware::from_fn(without_slash))
        .layer(middleware::from_fn(blame_arguments))
        .layer(middleware::from_fn_with_state(state.doors.clone(), admit_by_path))
        .layer(middleware::from_fn(cache))
        .layer(CompressionLayer::new());
    let docs = Router::new()
        .merge(SwaggerUi::new("/api/docs").url("/api/openapi.json", openapi()))
        .route("/", get(|| async { Redirect::to("/monitoring") }))
        .layer(middleware::from_fn_with_state((state.doors.clone(), Access::Viewer), admit))
        .layer(middleware::from_fn(docs_policy));
    (router.merge(docs).merge(rendered), routes)
}

/// Lets a request for a page, a server function or a file in, or answers it.
async fn admit_by_path(State(doors): State<Doors>, request: Request, next: Next) -> Response {
    let access = access_of(request.uri().path());
    let response = doors.admit(access, request, next).await;
    // Where a file is missing, the app would draw that there is no such page.
    if access == Access::Anyone && response.status().is_client_error() {
        return ApiError::NotFound("such file".to_owned()).into_response();
    }
    response
}

/// Leads from a page with a slash behind it to the page. Only within the pages: `//name/` would lead to another site.
async fn without_slash(request: Request, next: Next) -> Response {
    let uri = request.uri();
    let page = uri.path().trim_end_matches('/');
    let is_page = page.strip_prefix(url::OVERVIEW).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if page == uri.path() || !is_page {
        return next.run(request).await;
    }
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    Redirect::permanent(&format!("{page}{query}")).into_response()
}

/// Whether a path is that of a server function that only looks, though browsers post to it.
pub(super) fn only_looks(path: &str) -> bool {
    path.strip_prefix(CALLS).is_some_and(|call| LOOKING_CALLS.contains(&call) || ADMINS_LOOKING_CALLS.contains(&call))
}

/// Who may ask for a path that isn't in the table of routes: for files everybody, for pages who may look, for a server function that nobody has
/// thought of admins only. Files are told by their whole path, since a router, a browser or a proxy may take `..` for something else than we do.
fn access_of(path: &str) -> Access {
    if let Some(call) = path.strip_prefix(CALLS) {
        return match call {
            _ if LOOKING_CALLS.contains(&call) => Access::Viewer,
            // One's own.
            "change_password" => Access::Viewer,
            _ if ACTING_CALLS.contains(&call) => Access::Operator,
            _ => Access::Admin,
        };
    }
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    let is_file = FILES.contains(&path) || path.strip_prefix("/pkg/").is_some_and(is_name);
    if is_file { Access::Anyone } else { Access::Viewer }
}

/// What every page needs before it is drawn.
fn prepare() {
    set_content_security_policy();
    provide_role(page_role());
}

/// Scripts run only if they are ours: each carries this answer's nonce. Nothing that a worker sends can become one.
pub(super) fn set_content_security_policy() {
    let Some(nonce) = leptos::nonce::use_nonce() else { return };
    let policy = format!(
        "default-src 'none'; script-src 'strict-dynamic' 'nonce-{nonce}' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; \
         font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    );
    if let (Some(response), Ok(policy)) = (use_context::<ResponseOptions>(), HeaderValue::from_str(&policy)) {
        response.insert_header(header::CONTENT_SECURITY_POLICY, policy);
    }
}

/// Leptos answers 500 to a call of a server function whose arguments can't be read; whose fault that is, the status should say.
async fn blame_arguments(request: Request, next: Next) -> Response {
    let is_call = request.uri().path().starts_with(CALLS);
    let response = next.run(request).await;
    if !is_call || response.status() != StatusCode::INTERNAL_SERVER_ERROR {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let body = to_bytes(body, LARGEST_ERROR).await.unwrap_or_default();
    if let Ok(error) = serde_json::from_slice::<AppError>(&body) {
        head.status = error.status();
    }
    Response::from_parts(head, body.into())
}

/// The API's page brings its own inline styles.
async fn docs_policy(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}

/// Files with a hash in their name never change; everything else is asked for anew.
async fn cache(request: Request, next: Next) -> Response {
    let hashed = request.uri().path().starts_with("/pkg/");
    let mut response = next.run(request).await;
    let value = if hashed && response.status().is_success() { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(value));
    headers.append(header::VARY, HeaderValue::from_name(HeaderName::from_static("accept-encoding")));
    response
}
