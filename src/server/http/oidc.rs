//! The way in through an OpenID provider: to it, and back. Both work without scripts.

use axum::{
    extract::{Query, Request, State, rejection::QueryRejection},
    http::{HeaderName, HeaderValue, StatusCode, header},
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
    login::{self, Wishes, draw, session_cookie, within},
};
use crate::server::{
    access::{Brought, OIDC_CALLBACK, OidcError, in_words},
    login_page::{LoginPage, Said},
    new_request_id,
    store::Action,
};

/// Where a login through the provider begins.
pub(super) const BEGIN: &str = "/login/oidc";
/// How long the browser keeps the secret of a login, as the server does.
const UNDER_WAY: time::Duration = time::Duration::minutes(10);
/// Characters of the longest place that a login leads to.
const LONGEST_NEXT: usize = 2048;
/// What no browser or proxy may keep.
const NO_STORE: [(HeaderName, HeaderValue); 1] = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];

/// What the provider sends along.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer {
    state: String,
    code: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

/// Sends somebody to the provider.
pub(super) async fn begin(State(state): State<AppState>, Query(wishes): Query<Wishes>, request: Request) -> Response {
    let next = within(&wishes.next);
    let next = if next.len() > LONGEST_NEXT { login::START } else { next };
    let address = address(&request).unwrap_or(std::net::Ipv4Addr::UNSPECIFIED.into());
    match state.doors.gate.begin_oidc(address, next).await {
        Ok(begun) => {
            let jar = CookieJar::new().add(attempt_cookie(&state.doors, begun.secret));
            (NO_STORE, jar, Redirect::to(begun.url.as_str())).into_response()
        }
        Err(error) => refused(&state, request, next.to_owned(), error).await,
    }
}

/// Takes somebody who comes back from the provider.
pub(super) async fn finish(
    State(state): State<AppState>,
    answer: Result<Query<Answer>, QueryRejection>,
    request: Request,
) -> Response {
    let answer = answer.map_or_else(|_| Answer::default(), |Query(answer)| answer);
    let address = address(&request).map(in_words);
    let jar = CookieJar::from_headers(request.headers());
    let brought = Brought {
        secret: jar.get(attempt_name(&state.doors)).map(Cookie::value),
        state: &answer.state,
        code: answer.code.as_deref(),
        error: answer.error.as_deref(),
        issuer: answer.iss.as_deref(),
    };
    let outcome = state.doors.gate.finish_oidc(brought).await;
    note(&state.doors, address, outcome.as_ref().map(|logged_in| logged_in.name.as_str())).await;
    // It counts once. One that wasn't begun here may be under way in another tab.
    let over = match outcome {
        Err(OidcError::NoProvider | OidcError::NotBegun) => CookieJar::new(),
        _ => CookieJar::new().add(attempt_cookie(&state.doors, String::new())),
    };
    match outcome {
        Ok(logged_in) => {
            let jar = over.add(session_cookie(&state.doors, logged_in.session));
            (NO_STORE, jar, Redirect::to(&logged_in.next)).into_response()
        }
        Err(error) => (over, refused(&state, request, login::START.to_owned(), error).await).into_response(),
    }
}

/// The login page, which says why.
async fn refused(state: &AppState, request: Request, next: String, error: OidcError) -> Response {
    let (status, said) = match error {
        OidcError::NoProvider => return Redirect::to(login::PATH).into_response(),
        OidcError::TooMany(wait) => (StatusCode::TOO_MANY_REQUESTS, Said::TooMany(wait.as_secs() + 1)),
        OidcError::NotBegun => (StatusCode::BAD_REQUEST, Said::NotBegun),
        OidcError::Away(cause) => {
            tracing::warn!(cause, "nobody can log in through the OpenID provider");
            (StatusCode::SERVICE_UNAVAILABLE, Said::ProviderAway)
        }
        OidcError::Denied(word) => (StatusCode::UNAUTHORIZED, Said::ProviderRefuses(known_word(&word))),
        OidcError::Untrusted(cause) => {
            let request_id = new_request_id();
            tracing::warn!(request_id, cause, "a login through the OpenID provider is not believed");
            (StatusCode::UNAUTHORIZED, Said::NotBelieved(request_id))
        }
        OidcError::NotAllowed { who, .. } => (StatusCode::FORBIDDEN, Said::NotLetIn(who)),
        OidcError::Disabled(name) => (StatusCode::FORBIDDEN, Said::Disabled(name)),
        OidcError::Store(error) => {
            tracing::warn!(%error, "nobody can log in");
            (StatusCode::SERVICE_UNAVAILABLE, Said::DatabaseAway)
        }
        OidcError::Random(error) => {
            let request_id = new_request_id();
            tracing::error!(request_id, %error, "nobody can log in");
            (StatusCode::INTERNAL_SERVER_ERROR, Said::Failed(request_id))
        }
    };
    draw(state, request, status, LoginPage { next, said: Some(said), ..LoginPage::default() }).await
}

/// The provider's word, if it looks like one of the standard's: anybody can write an address that says something else.
fn known_word(word: &str) -> String {
    let is_word = (1..=64).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_word { word.to_owned() } else { "unknown_error".to_owned() }
}

/// The name of the cookie that keeps the secret of a login.
const fn attempt_name(doors: &Doors) -> &'static str {
    if doors.secure { "__Host-taskscope_login" } else { "taskscope_login" }
}

/// That cookie; an empty secret takes it away.
fn attempt_cookie(doors: &Doors, secret: String) -> Cookie<'static> {
    let age = if secret.is_empty() { time::Duration::ZERO } else { UNDER_WAY };
    Cookie::build((attempt_name(doors), secret))
        .path("/")
        .http_only(true)
        // Lax, since it is the provider's page that leads back.
        .same_site(SameSite::Lax)
        .secure(doors.secure)
        .max_age(age)
        .build()
}

/// Writes down who came in, and whom the provider knows and who did not. Of what strangers make up nothing is written.
async fn note(doors: &Doors, address: Option<String>, outcome: Result<&str, &OidcError>) {
    let (actor, status, why) = match outcome {
        Ok(name) => (name.to_owned(), StatusCode::SEE_OTHER, None),
        Err(error @ OidcError::NotAllowed { .. }) => (String::new(), StatusCode::FORBIDDEN, Some(error.to_string())),
        Err(OidcError::Disabled(name)) => (name.clone(), StatusCode::FORBIDDEN, None),
        Err(OidcError::Untrusted(why)) => (String::new(), StatusCode::UNAUTHORIZED, Some(why.clone())),
        Err(_) => return,
    };
    let action = Action {
        actor,
        via: "nobody",
        address,
        action: format!("GET {OIDC_CALLBACK}"),
        target: why.map_or_else(|| OIDC_CALLBACK.to_owned(), |why| format!("{OIDC_CALLBACK} {why}")),
        status: status.as_u16(),
        request_id: None,
    };
    doors.gate.note_action(&action).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_are_said_again() {
        assert_eq!(known_word("access_denied"), "access_denied");
        for other in ["", "Call 555", "<b>", "a b", &"a".repeat(65)] {
            assert_eq!(known_word(other), "unknown_error", "{other}");
        }
    }
}
