//! A proxy in front that says who people are.

use reqwest::Client;

use super::status;
use crate::support::{TestServer, stranger, until};

async fn start(addresses: &str) -> TestServer {
    let server = TestServer::start_with(|settings| {
        settings.login = Some("proxy".to_owned());
        settings.proxy_addresses = Some(addresses.to_owned());
        settings.proxy_name_header = Some("Remote-User".to_owned());
        settings.proxy_role_header = Some("Remote-Role".to_owned());
    })
    .await;
    // Before the tables are there, nobody knows whom an account disables.
    until("the server is ready", async || server.server().store.access_version().await.is_ok()).await;
    server
}

fn named(name: &'static str, role: Option<&'static str>) -> Client {
    let headers = [Some(("remote-user", name)), role.map(|role| ("remote-role", role))];
    let headers = headers.into_iter().flatten().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    Client::builder().default_headers(headers).build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_says_who_somebody_is_and_what_they_may() {
    let server = start("127.0.0.1").await;
    assert_eq!(status(&stranger(), &server, "/api/v1/me").await, 401);
    assert_eq!(status(&stranger(), &server, "/login").await, 303, "there is no login page");
    assert_eq!(status(&named("ann", None), &server, "/api/v1/me").await, 200);
    assert_eq!(status(&named("ann", None), &server, "/api/v1/accounts").await, 403);
    assert_eq!(status(&named("ann", Some("admin")), &server, "/api/v1/accounts").await, 200);
    assert_eq!(status(&named("ann", Some("root")), &server, "/api/v1/me").await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_is_believed() {
    let server = start("10.11.12.13,10.0.0.0/24").await;
    assert_eq!(status(&named("ann", Some("admin")), &server, "/api/v1/me").await, 401);
    assert_eq!(status(&stranger(), &server, "/healthz").await, 200);
}
