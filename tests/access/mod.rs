//! Who is let in, as what, and what is written down of it.

mod accounts;
mod inventory;
mod oidc;
mod oidc_attacks;
mod proxy;
mod shown;
mod tokens;

use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

use crate::support::{PASSWORD, TestServer, client_of};

/// Makes an account with the usual password.
pub async fn make_account(server: &TestServer, name: &str, role: &str) -> String {
    let body = json!({ "name": name, "role": role, "password": PASSWORD });
    let answer = server.http.post(format!("{}/api/v1/accounts", server.base)).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
}

/// Makes a token, and gives its id and the token itself.
pub async fn make_token(server: &TestServer, new: Value) -> (String, String) {
    let answer = server.http.post(format!("{}/api/v1/tokens", server.base)).json(&new).send().await.unwrap();
    let status = answer.status();
    let token: Value = answer.json().await.unwrap();
    assert_eq!(status, StatusCode::CREATED, "{token}");
    (token["id"].as_str().unwrap().to_owned(), token["secret"].as_str().unwrap().to_owned())
}

/// Somebody who has logged in.
pub async fn session(server: &TestServer, name: &str) -> Client {
    client_of(&server.log_in(name, PASSWORD).await.unwrap())
}

pub async fn ask(http: &Client, server: &TestServer, path: &str) -> Response {
    http.get(format!("{}{path}", server.base)).send().await.unwrap()
}

pub async fn status(http: &Client, server: &TestServer, path: &str) -> u16 {
    ask(http, server, path).await.status().as_u16()
}
