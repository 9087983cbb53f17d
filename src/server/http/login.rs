//! The way in for people: a page with a form, and the way out. Both work without scripts.

use axum::{
    Form,
    body::Body,
    extract::{Query, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use axum_extra::extract::{
    CookieJar,
    cookie::{Cookie, SameSite},
};
use serde::Deserialize;

use super::{
    AppState,
    admit::{Doors, address},
    pages,
};
use crate::server::{
    access::{Caller, LoginError, SESSION, Via, in_words},
    login_page::{LoginPage, Said},
    new_request_id,
    store::Action,
};

/// Where people log in.
pub(super) const PATH: &str = "/login";
/// Where they come to without having asked for anything.
pub(super) const START: &str = "/monitoring";
/// Bytes of a name and a password.
const LONGEST: usize = 4096;

/// Where to go after the login.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wishes {
    pub(super) next: String,
}

/// What the form sends.
#[derive(Deserialize)]
struct Entered {
    name: String,
    password: String,
    #[serde(default)]
    next: String,
}

/// The login page that leads to what somebody asked for.
pub(super) fn page_for(target: &str) -> String {
    let query: String = form_urlencoded::Serializer::new(String::new()).append_pair("next", target).finish();
    format!("{PATH}?{query}")
}

/// A place in this server, whatever the parameter says: a browser takes `//x` and `/\x` for other hosts.
pub(super) fn within(next: &str) -> &str {
    let mut characters = next.chars();
    let is_within = characters.next() == Some('/') && !matches!(characters.next(), Some('/' | '\\'));
    if is_within && !next.chars().any(char::is_control) { next } else { START }
}

/// The page.
pub(super) async fn page(State(state): State<AppState>, Query(wishes): Query<Wishes>, request: Request) -> Response {
    let next = within(&wishes.next);
    if state.doors.gate.login().ways().is_none() || state.doors.caller(&request).is_ok() {
        return Redirect::to(next).into_response();
    }
    draw(&state, request, StatusCode::OK, LoginPage { next: next.to_owned(), ..LoginPage::default() }).await
}

/// Logs in.
pub(super) async fn log_in(State(state): State<AppState>, request: Request) -> Response {
    let address = address(&request).unwrap_or(std::net::Ipv4Addr::UNSPECIFIED.into());
    let (parts, body) = request.into_parts();
    let form = Request::from_parts(parts.clone(), axum::body::to_bytes(body, LONGEST).await.unwrap_or_default().into());
    let entered = <Form<Entered> as axum::extract::FromRequest<()>>::from_request(form, &()).await;
    let request = Request::from_parts(parts, Body::empty());
    let Ok(Form(Entered { name, password, next })) = entered else {
        return draw(&state, request, StatusCode::BAD_REQUEST, LoginPage::default()).await;
    };
    let next = within(&next).to_owned();
    if state.doors.gate.login().ways().is_some_and(|ways| !ways.passwords) {
        let said = Some(Said::NoPasswords);
        return draw(&state, request, StatusCode::FORBIDDEN, LoginPage { next, said, ..LoginPage::default() }).await;
    }
    let outcome = state.doors.gate.log_in(address, &name, &password).await;
    let (status, said) = match outcome {
        Ok(secret) => {
            note(&state.doors, &name, address, StatusCode::SEE_OTHER).await;
            let jar = CookieJar::new().add(session_cookie(&state.doors, secret));
            return (jar, Redirect::to(&next)).into_response();
        }
        Err(LoginError::Wrong) => {
            note(&state.doors, &name, address, StatusCode::UNAUTHORIZED).await;
            (StatusCode::UNAUTHORIZED, Said::Wrong)
        }
        Err(LoginError::TooMany(wait)) => (StatusCode::TOO_MANY_REQUESTS, Said::TooMany(wait.as_secs() + 1)),
        Err(LoginError::Store(error)) => {
            tracing::warn!(%error, "nobody can log in");
            (StatusCode::SERVICE_UNAVAILABLE, Said::DatabaseAway)
        }
        Err(LoginError::Random(error)) => {
            let request_id = new_request_id();
            tracing::error!(request_id, %error, "nobody can log in");
            (StatusCode::INTERNAL_SERVER_ERROR, Said::Failed(request_id))
        }
    };
    let wait = if let Said::TooMany(seconds) = said { Some(seconds) } else { None };
    let mut response = draw(&state, request, status, LoginPage { next, name, said: Some(said), ..LoginPage::default() }).await;
    if let Some(seconds) = wait {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// Logs out.
pub(super) async fn log_out(State(state): State<AppState>, request: Request) -> Response {
    if let Ok(Caller { via: Via::Session { digest, .. }, .. }) = state.doors.caller(&request)
        && let Err(error) = state.doors.gate.log_out(&digest).await
    {
        return super::error::ApiError::from(error).into_response();
    }
    let jar = CookieJar::new().add(session_cookie(&state.doors, String::new()));
    (jar, Redirect::to(PATH)).into_response()
}

/// The cookie of a session; an empty secret takes it away.
pub(super) fn session_cookie(doors: &Doors, secret: String) -> Cookie<'static> {
    let age = if secret.is_empty() { 0 } else { SESSION.num_seconds() };
    Cookie::build((doors.cookie(), secret))
        .path("/")
        .http_only(true)
        // Lax, so that a link in a message leads to the page and not to the login; pages of other sites can't act by it all the same.
        .same_site(SameSite::Lax)
        .secure(doors.secure)
        .max_age(time::Duration::seconds(age))
        .build()
}

async fn note(doors: &Doors, name: &str, address: std::net::IpAddr, status: StatusCode) {
    let action = Action {
        // What was typed may be anything, a password in the wrong field too.
        actor: if status.is_redirection() { name.to_owned() } else { String::new() },
        via: "nobody",
        address: Some(in_words(address)),
        action: format!("POST {PATH}"),
        target: PATH.to_owned(),
        status: status.as_u16(),
        request_id: None,
    };
    doors.gate.note_action(&action).await;
}

/// Draws the page, with the ways that there are to log in.
pub(super) async fn draw(state: &AppState, mut request: Request, status: StatusCode, page: LoginPage) -> Response {
    let ways = state.doors.gate.login().ways();
    let passwords = ways.is_none_or(|ways| ways.passwords);
    let provider = ways.and_then(|ways| ways.oidc.as_ref()).map(|oidc| oidc.name.clone());
    let page = LoginPage { passwords, provider, ..page };
    *request.method_mut() = axum::http::Method::GET;
    let options = state.leptos.clone();
    let render = leptos_axum::render_app_async_with_context(pages::set_content_security_policy, move || {
        page.clone().shell(options.clone())
    });
    let mut response = render(request).await;
    *response.status_mut() = status;
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_away_from_here() {
        for own in ["/monitoring", "/monitoring/history?q=a%2F%2Fb", "/"] {
            assert_eq!(within(own), own);
        }
        for strange in
            ["", "//evil.example", "/\\evil.example", "https://evil.example", "monitoring", "\\evil", "/\t/evil.example"]
        {
            assert_eq!(within(strange), START, "{strange:?}");
        }
        assert_eq!(page_for("/a?b=c&d"), "/login?next=%2Fa%3Fb%3Dc%26d");
    }
}
