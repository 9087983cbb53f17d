//! The door of every route: who asks, whether they may, and what is written down of it.

use std::net::{IpAddr, SocketAddr};

use axum::{
    Json,
    extract::{ConnectInfo, MatchedPath, Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use axum_extra::extract::CookieJar;
use taskscope_wire::Role;

use super::{Access, error::ApiError, login, pages};
use crate::{
    error::AppError,
    server::{
        access::{AuditNote, Caller, Credentials, Gate, Login, Proxied, Refused, in_words},
        store::Action,
    },
};

/// The cookie of a session. With the `__Host-` prefix browsers refuse one that another host or an unencrypted page has set.
pub(super) const COOKIE: &str = "taskscope_session";
const SECURE_COOKIE: &str = "__Host-taskscope_session";

/// All that decides about a request. Clones share it.
#[derive(Debug, Clone)]
pub struct Doors {
    /// Who is let in.
    pub gate: Gate,
    /// Whether browsers reach the server by HTTPS only.
    pub secure: bool,
}

/// Lets a request of a route in, or answers it.
pub(super) async fn admit(State((doors, access)): State<(Doors, Access)>, request: Request, next: Next) -> Response {
    doors.admit(access, request, next).await
}

impl Doors {
    pub(super) async fn admit(&self, access: Access, mut request: Request, next: Next) -> Response {
        let needed = match access {
            Access::Anyone | Access::Telegram => return next.run(request).await,
            Access::Reporter => return self.admit_reporter(request, next).await,
            Access::Viewer => Role::Viewer,
            Access::Operator => Role::Operator,
            Access::Admin => Role::Admin,
        };
        let caller = match self.caller(&request) {
            Ok(caller) => caller,
            Err(refused) => return self.refuse(refused, &request),
        };
        let note = AuditNote::default();
        request.extensions_mut().insert(caller.clone());
        request.extensions_mut().insert(note.clone());
        let may = caller.role >= needed;
        if !acts(&request) {
            return if may { next.run(request).await } else { not_allowed(&request, needed, caller.role) };
        }
        let mut action = begin(&request, &caller);
        let gate = self.gate.clone();
        // What somebody began is done and written down, even if they hang up.
        let done = tokio::spawn(async move {
            let response = if may { next.run(request).await } else { not_allowed(&request, needed, caller.role) };
            action.status = response.status().as_u16();
            let note = note.take();
            if !note.is_empty() {
                action.target = format!("{} {note}", action.target);
            }
            gate.note_action(&action).await;
            response
        });
        done.await.unwrap_or_else(|error| ApiError::Internal(error.to_string()).into_response())
    }

    async fn admit_reporter(&self, mut request: Request, next: Next) -> Response {
        match self.gate.reporter(token(request.headers())) {
            Ok(reporter) => {
                request.extensions_mut().insert(reporter);
                next.run(request).await
            }
            Err(refused) => {
                metrics::counter!("taskscope_refused_total", "access" => "reporter").increment(1);
                match refused {
                    Refused::Unknown => ApiError::Unauthorized,
                    Refused::NotAllowed => ApiError::NotAllowed("this token can't report: an ingest token can".to_owned()),
                    Refused::NotYet => ApiError::CantSay,
                }
                .into_response()
            }
        }
    }

    /// Who sends a request.
    pub(super) fn caller(&self, request: &Request) -> Result<Caller, Refused> {
        let headers = request.headers();
        let jar = CookieJar::from_headers(headers);
        let proxied = match self.gate.login() {
            Login::Proxy(proxy) => address(request).map(|address| Proxied {
                address,
                name: text(headers, &proxy.name_header),
                role: proxy.role_header.as_deref().and_then(|name| text(headers, name)),
            }),
            Login::Open | Login::Accounts(_) => None,
        };
        let cookie = jar.get(self.cookie()).map(axum_extra::extract::cookie::Cookie::value);
        self.gate.caller(&Credentials { cookie, token: token(headers), proxied })
    }

    /// The name of the session's cookie.
    pub(super) const fn cookie(&self) -> &'static str {
        if self.secure { SECURE_COOKIE } else { COOKIE }
    }

    /// Answers somebody who isn't let in: people are led to the login, programs are told.
    fn refuse(&self, refused: Refused, request: &Request) -> Response {
        metrics::counter!("taskscope_refused_total", "access" => "caller").increment(1);
        let is_page = wants_page(request);
        match refused {
            Refused::NotYet if is_call(request) => said(&AppError::DatabaseAway),
            Refused::NotYet => ApiError::CantSay.into_response(),
            Refused::NotAllowed if is_call(request) => said(&AppError::NotAllowed("you may not come in here".to_owned())),
            Refused::NotAllowed => ApiError::NotAllowed("you may not come in here".to_owned()).into_response(),
            Refused::Unknown if is_call(request) => said(&AppError::LoginNeeded),
            Refused::Unknown if is_page && self.gate.login().ways().is_some() => {
                let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
                Redirect::to(&login::page_for(target)).into_response()
            }
            Refused::Unknown => ApiError::LoginNeeded.into_response(),
        }
    }
}

/// Answers somebody who is known and may not do this.
fn not_allowed(request: &Request, needed: Role, role: Role) -> Response {
    let sentence = format!("the role {needed} is needed for this, and yours is {role}");
    if is_call(request) {
        return said(&AppError::NotAllowed(sentence));
    }
    ApiError::NotAllowed(sentence).into_response()
}

/// An error as server functions give it.
fn said(error: &AppError) -> Response {
    (error.status(), Json(error)).into_response()
}

fn is_call(request: &Request) -> bool {
    request.uri().path().starts_with("/api/fn/")
}

/// Whether a person looks at a page, and not a program at an answer.
fn wants_page(request: &Request) -> bool {
    let accepts = text(request.headers(), header::ACCEPT.as_str()).unwrap_or_default();
    matches!(*request.method(), Method::GET | Method::HEAD) && accepts.contains("text/html")
}

/// Whether a request does something that the audit log must have.
fn acts(request: &Request) -> bool {
    !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) && !pages::only_looks(request.uri().path())
}

fn begin(request: &Request, caller: &Caller) -> Action {
    let route = request.extensions().get::<MatchedPath>().map_or_else(|| request.uri().path(), MatchedPath::as_str);
    Action {
        actor: caller.name.clone().unwrap_or_default(),
        via: caller.via.word(),
        address: address(request).map(in_words),
        action: format!("{} {route}", request.method()),
        target: request.uri().path().to_owned(),
        status: StatusCode::OK.as_u16(),
        request_id: text(request.headers(), "x-request-id").map(str::to_owned),
    }
}

/// Where a request comes from.
pub(super) fn address(request: &Request) -> Option<IpAddr> {
    request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The token that a request shows, in whichever header.
fn token(headers: &HeaderMap) -> Option<&str> {
    text(headers, "access-token").or_else(|| text(headers, header::AUTHORIZATION.as_str())?.strip_prefix("Bearer "))
}
