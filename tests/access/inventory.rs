//! Every route of the inventory, asked by everybody.

use reqwest::{Client, Method, StatusCode};
use serde_json::json;
use taskscope::server::http::Access;

use super::{make_account, make_token, session};
use crate::{
    api::routes::{INVENTORY, example},
    support::{PASSWORD, TestServer, client_of, stranger},
};

/// Whether somebody of a rank may call a route: 0 for nobody that is known, then the roles. Reporters and Telegram have ranks of their own.
fn may(access: Access, rank: u8) -> bool {
    match access {
        Access::Anyone => true,
        Access::Viewer => (1..=3).contains(&rank),
        Access::Operator => (2..=3).contains(&rank),
        Access::Admin => rank == 3,
        Access::Reporter => rank == 4,
        Access::Telegram => false,
    }
}

async fn call(http: &Client, server: &TestServer, method: &Method, path: &str) -> StatusCode {
    let request = http.request(method.clone(), format!("{}{path}", server.base));
    let answer = request.header("content-type", "application/json").body("[]").send().await;
    answer.unwrap_or_else(|error| panic!("{method} {path}: {error:?}")).status()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_lets_in_whom_it_says() {
    let server = TestServer::start_guarded().await;
    for role in ["viewer", "operator"] {
        make_account(&server, role, role).await;
    }
    let api = async |role: &str| make_token(&server, json!({ "name": role, "kind": "api", "role": role })).await.1;
    let ingest = make_token(&server, json!({ "name": "workers", "kind": "ingest" })).await.1;
    let (revoked, worthless) = make_token(&server, json!({ "name": "old", "kind": "api", "role": "admin" })).await;
    server.http.delete(format!("{}/api/v1/tokens/{revoked}", server.base)).send().await.unwrap();
    let callers = [
        ("nobody", 0, stranger()),
        ("a made-up session", 0, client_of("taskscope_session=tss_0000000000000000000000000000000000000000000")),
        ("a made-up token", 0, client_of("tsa_0000000000000000000000000000000000000000000")),
        ("a revoked token", 0, client_of(&worthless)),
        ("a viewer", 1, session(&server, "viewer").await),
        ("an operator", 2, session(&server, "operator").await),
        ("an admin", 3, server.http.clone()),
        ("a viewer's token", 1, client_of(&api("viewer").await)),
        ("an operator's token", 2, client_of(&api("operator").await)),
        ("an admin's token", 3, client_of(&api("admin").await)),
        ("an ingest token", 4, client_of(&ingest)),
    ];
    for (route, access) in INVENTORY.map(|route| (example(route), route.2)) {
        let (method, path) = route;
        // What is for everybody is asked by nobody that is known: logging out would end a session that others need.
        let asking = callers.iter().filter(|(_, rank, _)| access != Access::Anyone || *rank == 0);
        for (who, rank, http) in asking {
            let status = call(http, &server, &method, &path).await;
            let refused = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
            // The login page's own answer to somebody whose name it doesn't know.
            let refused = refused && access != Access::Anyone;
            assert_eq!(!refused, may(access, *rank), "{who}: {method} {path}: {status}");
            let known = (1..=4).contains(rank) && access != Access::Telegram;
            if refused && !(known && access == Access::Reporter) {
                assert_eq!(status == StatusCode::FORBIDDEN, known, "{who}: {method} {path}: {status}");
            }
            assert!(!status.is_server_error(), "{who}: {method} {path}: {status}");
        }
    }
}

/// Whatever may be taken for a file, the login page or a sign of life, by us or by something between.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_the_login_page_signs_of_life_and_files_is_for_everybody() {
    let server = TestServer::start_guarded().await;
    let tricks = [
        "/monitoring/healthz",
        "/api/v1/monitoring/metrics/healthz",
        "/healthz/../metrics",
        "/healthz/..%2fmetrics",
        "/healthz;/metrics",
        "/pkg/../monitoring",
        "/pkg/..%2fmonitoring",
        "/pkg/%2e%2e/monitoring",
        "/pkg/./../monitoring/history",
        "/pkg//monitoring",
        "/pkg/x/../../monitoring",
        "/favicon.ico/../monitoring",
        "/favicon.svg/monitoring",
        "/login/../monitoring",
        "/login/monitoring",
        "//monitoring",
        "/./monitoring",
        "/monitoring/",
        "/monitoring%2fhistory",
        "/MONITORING",
        "/api/v1//monitoring/metrics",
        "/api/fn/metrics",
        "/robots.txt/../api/v1/accounts",
        "/api/docs/",
        "/api/docs/swagger-ui.css",
        "/api/openapi.json",
        "/ws",
        "/unknown",
    ];
    for path in tricks {
        for accept in ["text/html", "application/json"] {
            // Written by hand: a client would tidy the path up.
            let answer =
                raw(&server, &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: {accept}\r\nconnection: close\r\n\r\n"))
                    .await;
            let line = answer.lines().next().unwrap_or_default().to_owned();
            let led_to_login = line.contains("303") && answer.to_lowercase().contains("location: /login?next=");
            let refused = [" 401 ", " 404 ", " 405 ", " 400 "].iter().any(|status| line.contains(status));
            assert!(led_to_login || refused, "{path} as {accept}: {answer}");
            let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
            assert!(!body.contains("Background Task Monitoring") && !body.contains("swagger"), "{path} as {accept}: {answer}");
        }
    }
    // The files are there once the site is built, which these tests don't wait for.
    for (path, statuses) in
        [("/healthz", [200, 200]), ("/favicon.svg", [200, 404]), ("/login", [200, 200]), ("/pkg/missing.js", [404, 404])]
    {
        let status = super::status(&stranger(), &server, path).await;
        assert!(statuses.contains(&status), "{path}: {status}");
    }
}

async fn raw(server: &TestServer, request: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(server.base.trim_start_matches("http://")).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_led_to_the_login_and_back() {
    let server = TestServer::start_guarded().await;
    let request = stranger().get(format!("{}/monitoring/history?status=failed", server.base)).header("accept", "text/html");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let login = answer.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(login, "/login?next=%2Fmonitoring%2Fhistory%3Fstatus%3Dfailed");
    let page = super::ask(&stranger(), &server, &login).await.text().await.unwrap();
    assert!(page.contains("Log in") && page.contains(r#"value="/monitoring/history?status=failed""#), "{page}");
    let form = format!("name=ADMIN&password={}&next=%2Fmonitoring%2Fhistory%3Fstatus%3Dfailed", PASSWORD.replace(' ', "+"));
    let request = stranger().post(format!("{}/login", server.base)).header("content-type", "application/x-www-form-urlencoded");
    let answer = request.body(form).send().await.unwrap();
    assert_eq!(
        (answer.status(), answer.headers()["location"].to_str().unwrap()),
        (StatusCode::SEE_OTHER, "/monitoring/history?status=failed")
    );
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    for part in ["taskscope_session=tss_", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=604800"] {
        assert!(cookie.contains(part), "{cookie}");
    }
}
