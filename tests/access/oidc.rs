//! Logins through an OpenID provider that says what is so.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{ask, make_account, status};
use crate::support::{
    PASSWORD, TestServer, client_of,
    provider::{Provider, Says},
    stranger,
};

/// A login that was begun in a browser, and came back from the provider.
pub struct UnderWay {
    /// What the browser keeps.
    pub cookie: String,
    /// Where the provider sends it, within the server.
    pub back: String,
}

/// What a browser has in the end.
pub struct Came {
    pub status: StatusCode,
    pub location: Option<String>,
    pub cookies: Vec<String>,
    pub page: String,
}

impl Came {
    /// The session, if there is one.
    pub fn session(&self) -> Option<String> {
        let session = self.cookies.iter().find(|cookie| cookie.contains("taskscope_session=tss_"))?;
        Some(session.split(';').next().unwrap().to_owned())
    }
}

pub async fn start(provider: &Provider, login: &str) -> TestServer {
    TestServer::start_with(|settings| provider.set_up(settings, login)).await
}

pub async fn begin(server: &TestServer) -> UnderWay {
    let to = stranger().get(format!("{}/login/oidc?next=/monitoring/workers", server.base)).send().await.unwrap();
    assert_eq!(to.status(), StatusCode::SEE_OTHER, "{}", to.text().await.unwrap());
    let cookie = to.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let back = stranger().get(to.headers()["location"].to_str().unwrap()).send().await.unwrap();
    let back = back.headers()["location"].to_str().unwrap().strip_prefix("http://tasks.localhost").unwrap().to_owned();
    UnderWay { cookie, back }
}

pub async fn finish(server: &TestServer, cookie: &str, back: &str) -> Came {
    let request = stranger().get(format!("{}{back}", server.base)).header("cookie", cookie);
    // As browsers say it of somebody whom another site leads here.
    let answer = request.header("sec-fetch-site", "cross-site").send().await.unwrap();
    let text = |name: &str| answer.headers().get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect();
    let (status, location, cookies): (_, Vec<String>, _) = (answer.status(), text("location"), text("set-cookie"));
    Came { status, location: location.first().cloned(), cookies, page: answer.text().await.unwrap() }
}

/// Both, in one browser.
pub async fn log_in(server: &TestServer) -> Came {
    let under_way = begin(server).await;
    finish(server, &under_way.cookie, &under_way.back).await
}

/// What the provider's people are here.
async fn accounts_of_provider(server: &TestServer) -> Vec<Value> {
    let accounts: Value = ask(&server.http, server, "/api/v1/accounts").await.json().await.unwrap();
    accounts.as_array().unwrap().iter().filter(|account| !account["issuer"].is_null()).cloned().collect()
}

async fn role_of(server: &TestServer, session: &str) -> Value {
    ask(&client_of(session), server, "/api/v1/me").await.json::<Value>().await.unwrap()["role"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn people_come_in_as_what_their_groups_say_and_where_they_wanted_to_go() {
    let provider = Provider::start().await;
    let server = start(&provider, "accounts").await;
    let page = ask(&stranger(), &server, "/login?next=/monitoring/workers").await.text().await.unwrap();
    assert!(page.contains("Log in with Example Login") && page.contains("/login/oidc?next=%2Fmonitoring%2Fworkers"), "{page}");
    assert!(page.contains(r#"name="password""#), "passwords are a way too");

    provider.claims(json!({ "groups": ["staff", "ops"], "email": "ann@example.com", "email_verified": true }));
    let came = log_in(&server).await;
    assert_eq!((came.status, came.location.as_deref()), (StatusCode::SEE_OTHER, Some("/monitoring/workers")), "{}", came.page);
    let cookie = came.cookies.iter().find(|cookie| cookie.contains("taskscope_session=")).unwrap();
    for part in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=604800"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(came.cookies.iter().any(|cookie| cookie.contains("taskscope_login=;") && cookie.contains("Max-Age=0")), "it is over");
    let first = came.session().unwrap();
    let me: Value = ask(&client_of(&first), &server, "/api/v1/me").await.json().await.unwrap();
    assert_eq!(me, json!({ "name": "ann@example.com", "role": "operator", "session": true, "password": false }));
    let password = json!({ "current": PASSWORD, "new": "another password" });
    let changed = client_of(&first).put(format!("{}/api/v1/me/password", server.base)).json(&password).send().await.unwrap();
    assert_eq!(changed.status(), StatusCode::CONFLICT);

    // Told anew at each login, and for what is open already.
    provider.claims(json!({ "groups": "admins", "email": "ann@example.com", "email_verified": "true" }));
    let second = log_in(&server).await.session().unwrap();
    assert_eq!((role_of(&server, &first).await, role_of(&server, &second).await), (json!("admin"), json!("admin")));
    let accounts = accounts_of_provider(&server).await;
    assert_eq!(accounts.len(), 1, "{accounts:?}");
    assert_eq!((&accounts[0]["issuer"], &accounts[0]["has_password"]), (&json!(provider.issuer), &json!(false)));

    let log: Value = ask(&server.http, &server, "/api/v1/audit?actor=ann@example.com").await.json().await.unwrap();
    let lines = log["items"].as_array().unwrap();
    assert!(lines.iter().any(|line| line["action"] == "GET /login/oidc/callback" && line["status"] == 303), "{lines:?}");
    let out = client_of(&second).post(format!("{}/logout", server.base)).send().await.unwrap();
    assert_eq!(out.headers()["location"], "/login");
    assert_eq!(status(&client_of(&second), &server, "/api/v1/me").await, 401);
    let stored = server.text_of("login_attempts").await + &server.text_of("sessions").await + &server.text_of("audit_log").await;
    assert!(!stored.contains("tsl_") && !stored.contains(second.split('=').nth(1).unwrap()), "{stored}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_lost_the_role_is_refused_and_logged_out_everywhere() {
    let provider = Provider::start().await;
    let server = start(&provider, "accounts").await;
    provider.claims(json!({ "groups": ["staff"], "preferred_username": "ann" }));
    let session = log_in(&server).await.session().unwrap();
    let mut watcher = server.watch_as(&session).await;
    provider.claims(json!({ "groups": ["others"], "preferred_username": "<i>ann</i>" }));
    let came = log_in(&server).await;
    assert_eq!((came.status, came.session()), (StatusCode::FORBIDDEN, None));
    let told = "Example Login knows you as &lt;i&gt;ann&lt;/i&gt; (127.0.0.1), but nobody has let you in here.";
    assert!(came.page.contains(told), "{}", came.page);
    assert_eq!(status(&client_of(&session), &server, "/api/v1/me").await, 401);
    assert_eq!(watcher.closing().await, Some(1008));
    let log: Value = ask(&server.http, &server, "/api/v1/audit").await.json().await.unwrap();
    let line = log["items"].as_array().unwrap().iter().find(|line| line["status"] == 403).unwrap();
    assert!(line["actor"] == "" && line["target"].as_str().unwrap().contains("ann</i> (127.0.0.1) is not let in"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_taken_for_a_local_account_of_the_same_name() {
    let provider = Provider::start().await;
    let server = start(&provider, "accounts").await;
    make_account(&server, "ann@example.com", "admin").await;
    let says = |subject: &str| json!({ "sub": subject, "groups": ["staff"], "email": "ann@example.com", "email_verified": true });
    provider.claims(says("ann"));
    let session = log_in(&server).await.session().unwrap();
    let me: Value = ask(&client_of(&session), &server, "/api/v1/me").await.json().await.unwrap();
    assert_eq!((&me["name"], &me["role"]), (&json!("ann@example.com (2)"), &json!("viewer")));
    provider.claims(says("another"));
    let other = log_in(&server).await.session().unwrap();
    let me: Value = ask(&client_of(&other), &server, "/api/v1/me").await.json().await.unwrap();
    assert_eq!(me["name"], "ann@example.com (3)", "another subject is somebody else");
    assert!(server.log_in("ann@example.com", PASSWORD).await.is_some(), "the local account is as it was");
    assert!(server.log_in("ann@example.com (2)", PASSWORD).await.is_none());

    let accounts = accounts_of_provider(&server).await;
    let account = format!("{}/api/v1/accounts/{}", server.base, accounts[0]["id"].as_str().unwrap());
    for change in
        [json!({ "role": "admin" }), json!({ "password": PASSWORD }), json!({ "password": PASSWORD, "disabled": false })]
    {
        let answer = server.http.put(&account).json(&change).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::CONFLICT, "{change}");
    }
    assert_eq!(server.http.put(&account).json(&json!({ "disabled": true })).send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(status(&client_of(&session), &server, "/api/v1/me").await, 401);
    provider.claims(says("ann"));
    let came = log_in(&server).await;
    assert_eq!((came.status, came.session()), (StatusCode::FORBIDDEN, None));
    assert!(came.page.contains("The account ann@example.com (2) is disabled here."), "{}", came.page);
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_can_be_switched_off_and_what_they_opened_is_shut() {
    let provider = Provider::start().await;
    let server = start(&provider, "accounts").await;
    let with_password = server.log_in("admin", PASSWORD).await.unwrap();
    provider.claims(json!({ "groups": ["admins"] }));
    let through_provider = log_in(&server).await.session().unwrap();
    let alone = server.another_with(|settings| settings.login = Some("oidc".to_owned())).await;
    server
        .until("it knows who there is", async || status(&client_of(&through_provider), &alone, "/api/v1/me").await == 200)
        .await;
    assert_eq!(status(&client_of(&with_password), &alone, "/api/v1/me").await, 401);
    let page = ask(&stranger(), &alone, "/login").await.text().await.unwrap();
    assert!(page.contains("Log in with Example Login") && !page.contains(r#"name="password""#), "{page}");
    assert!(alone.log_in("admin", PASSWORD).await.is_none());
    // Another provider's people are nobody's here.
    let other = Provider::start().await;
    let moved = server.another_with(|settings| other.set_up(settings, "accounts")).await;
    assert_eq!(status(&client_of(&through_provider), &moved, "/api/v1/me").await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_token_leaves_out_is_asked_for() {
    let provider = Provider::start().await;
    let server = start(&provider, "accounts").await;
    let user_info = json!({ "sub": "ann", "groups": ["ops"], "email": "ann@example.com", "email_verified": true });
    provider.says(Says { user_info: user_info.clone(), ..Says::default() });
    let session = log_in(&server).await.session().unwrap();
    assert_eq!(role_of(&server, &session).await, "operator");
    provider.says(Says { claims: json!({ "groups": ["staff"] }), user_info, ..Says::default() });
    let session = log_in(&server).await.session().unwrap();
    assert_eq!((role_of(&server, &session).await, provider.count("userinfo")), (json!("viewer"), 1), "what the token says holds");
    provider.says(Says { user_info: json!({ "sub": "bob", "groups": ["admins"] }), ..Says::default() });
    let came = log_in(&server).await;
    assert_eq!((came.status, came.session()), (StatusCode::UNAUTHORIZED, None), "that is somebody else");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_server_of_the_database_takes_who_comes_back() {
    let provider = Provider::start().await;
    let server = start(&provider, "accounts").await;
    let other = server.another().await;
    provider.claims(json!({ "groups": ["staff"] }));
    let under_way = begin(&server).await;
    let came = finish(&other, &under_way.cookie, &under_way.back).await;
    assert_eq!(status(&client_of(&came.session().unwrap()), &other, "/api/v1/me").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_https_browsers_keep_the_login_to_this_host() {
    let provider = Provider::start().await;
    let server = TestServer::start_with(|settings| {
        provider.set_up(settings, "oidc");
        settings.public_url = Some("https://tasks.example.com".to_owned());
    })
    .await;
    let begun = ask(&stranger(), &server, "/login/oidc").await;
    let cookie = begun.headers()["set-cookie"].to_str().unwrap();
    for part in ["__Host-taskscope_login=tsl_", "HttpOnly", "SameSite=Lax", "Secure", "Path=/", "Max-Age=600"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert_eq!(begun.headers()["cache-control"], "no-store");
    let to = begun.headers()["location"].to_str().unwrap();
    assert!(to.contains("redirect_uri=https%3A%2F%2Ftasks.example.com%2Flogin%2Foidc%2Fcallback"), "{to}");
    let secret = cookie.split(['=', ';']).nth(1).unwrap();
    assert!(!to.contains(secret), "the provider and the address bar learn nothing of it");
}
