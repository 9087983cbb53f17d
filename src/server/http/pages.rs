//! The pages, their server functions and static files, with what a browser must be told about them.

use std::sync::LazyLock;

use axum::{
    Router,
    body::to_bytes,
    extract::Request,
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{Redirect, Response},
    routing::get,
};
use leptos::prelude::*;
use leptos_axum::{AxumRouteListing, LeptosRoutes, ResponseOptions, generate_route_list};
use tower_http::compression::CompressionLayer;
use utoipa_swagger_ui::SwaggerUi;

use super::{Access, AppState, RouteInfo, openapi::openapi};
use crate::{
    app::{App, shell},
    error::AppError,
};

/// The routes of the pages. Leptos finds them by drawing the app while all loading in the process is suspended, and whatever begins to
/// load meanwhile never ends; so it happens once, before the first server of the process answers anybody.
static PAGES: LazyLock<Vec<AxumRouteListing>> = LazyLock::new(|| generate_route_list(App));

/// Bytes of the longest error of a server function.
const LARGEST_ERROR: usize = 64 * 1024;

/// Adds pages, server functions, the API's description and static files.
pub(super) fn add(router: Router<AppState>, mut routes: Vec<RouteInfo>, state: &AppState) -> (Router<AppState>, Vec<RouteInfo>) {
    let mut note = |method, path: &str| {
        if path != "/" {
            routes.push(RouteInfo { method, path: path.to_owned(), access: Access::Anyone });
        }
    };
    note("GET", "/api/openapi.json");
    note("GET", "/api/docs");
    PAGES.iter().for_each(|page| note("GET", page.path()));
    leptos::server_fn::axum::server_fn_paths()
        .filter(|(path, _)| path.starts_with("/api/fn/"))
        .for_each(|(path, _)| note("POST", path));
    routes.push(RouteInfo { method: "GET", path: "/".to_owned(), access: Access::Anyone });
    let pages: Vec<_> = PAGES.iter().filter(|page| page.path() != "/").cloned().collect();
    let (store, workload, redaction) = (state.store.clone(), state.workload.clone(), state.redaction.clone());
    let options = state.leptos.clone();
    let provide = move || {
        provide_context(store.clone());
        provide_context(workload.clone());
        provide_context(redaction.clone());
    };
    let rendered = Router::new()
        .leptos_routes_with_context(state, pages, provide, {
            let options = options.clone();
            move || {
                set_content_security_policy();
                shell(options.clone())
            }
        })
        .fallback(leptos_axum::file_and_error_handler_with_context::<AppState, _>(set_content_security_policy, shell))
        .layer(middleware::from_fn(blame_arguments))
        .layer(middleware::from_fn(cache))
        .layer(CompressionLayer::new());
    let docs = Router::new()
        .merge(SwaggerUi::new("/api/docs").url("/api/openapi.json", openapi()))
        .layer(middleware::from_fn(docs_policy));
    (router.route("/", get(|| async { Redirect::to("/monitoring") })).merge(docs).merge(rendered), routes)
}

/// Scripts run only if they are ours: each carries this answer's nonce. Nothing that a worker sends can become one.
fn set_content_security_policy() {
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
    let is_call = request.uri().path().starts_with("/api/fn/");
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
