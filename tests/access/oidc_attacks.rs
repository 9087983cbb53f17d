//! Logins that must not count, and a provider that is away or says what it must not.

use axum::{
    Json,
    response::{IntoResponse, Redirect, Response},
};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{
    ask,
    oidc::{begin, finish, log_in, start},
    status,
};
use crate::support::{
    TestServer, client_of,
    provider::{Provider, Says, metadata},
    stranger,
};

const GROUPS: [&str; 1] = ["admins"];

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_as_it_must_be_lets_nobody_in() {
    let provider = Provider::start().await;
    let server = start(&provider, "accounts").await;
    let now = chrono::Utc::now().timestamp();
    let claims = |claims: Value| {
        let mut all = json!({ "groups": GROUPS });
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        Says { claims: all, ..Says::default() }
    };
    let right = || claims(json!({}));
    let mut let_in = Vec::new();
    for (what, says) in [
        ("another nonce", claims(json!({ "nonce": "another" }))),
        ("no nonce", claims(json!({ "nonce": null }))),
        ("another audience", claims(json!({ "aud": "another" }))),
        ("an audience that only begins alike", claims(json!({ "aud": "taskscope.evil" }))),
        ("others in the audience", claims(json!({ "aud": ["taskscope", "another"] }))),
        ("another issuer", claims(json!({ "iss": "http://evil.example" }))),
        ("an issuer with a slash", claims(json!({ "iss": format!("{}/", provider.issuer) }))),
        ("it is over", claims(json!({ "exp": now - 1 }))),
        ("no signature", Says { signed: "none", ..right() }),
        ("the client's secret signs", Says { signed: "HS256", ..right() }),
        ("another key signs", Says { signed: "other key", ..right() }),
        ("another access token", claims(json!({ "at_hash": "AAAAAAAAAAAAAAAAAAAAAA" }))),
        ("no token", Says { answer: json!({ "id_token": null }), ..right() }),
    ] {
        provider.says(says);
        let came = log_in(&server).await;
        let is_refused = came.status == StatusCode::UNAUTHORIZED && came.session().is_none();
        if !is_refused || !came.page.contains("What Example Login says could not be verified.") {
            let_in.push((what, came.status));
        }
    }
    assert!(let_in.is_empty(), "{let_in:?}");
    provider.says(right());
    assert!(log_in(&server).await.session().is_some(), "the right one does");
    let log: Value = ask(&server.http, &server, "/api/v1/audit?page_size=50").await.json().await.unwrap();
    let refused = log["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["action"] == "GET /login/oidc/callback" && line["status"] == 401);
    assert_eq!(refused.count(), 13);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_counts_once_and_in_the_browser_that_began_it() {
    let provider = Provider::start().await;
    let server = start(&provider, "accounts").await;
    provider.claims(json!({ "groups": GROUPS }));
    let (mine, theirs) = (begin(&server).await, begin(&server).await);
    let counts = async |cookie: &str, back: &str| {
        let came = finish(&server, cookie, back).await;
        came.status != StatusCode::BAD_REQUEST
            || came.session().is_some()
            || !came.page.contains("This login was not begun in this browser")
    };
    let code = mine.back.split(['?', '&']).nth(1).unwrap();
    let mut wrong = Vec::new();
    for (what, cookie, back) in [
        ("the state of another browser", mine.cookie.as_str(), theirs.back.clone()),
        ("no cookie", "other=x", mine.back.clone()),
        ("a made-up secret", "taskscope_login=tsl_0000000000000000000000000000000000000000000", mine.back.clone()),
        ("an empty secret", "taskscope_login=", mine.back.clone()),
        ("no state", &mine.cookie, format!("/login/oidc/callback?{code}")),
        ("nothing at all", &mine.cookie, "/login/oidc/callback".to_owned()),
        ("a parameter twice", &mine.cookie, format!("{}&state=x", mine.back)),
    ] {
        if counts(cookie, &back).await {
            wrong.push(what);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(finish(&server, &mine.cookie, &mine.back).await.session().is_some(), "none of it took the login away");
    assert!(!counts(&mine.cookie, &mine.back).await, "a second time");
    assert_eq!(provider.count("token"), 1, "what doesn't count doesn't reach the provider");

    // The browser's own login with somebody else's code.
    let (mine, theirs) = (begin(&server).await, begin(&server).await);
    let code_of = |back: &str| back.split(['?', '&']).nth(1).unwrap().to_owned();
    let mixed = mine.back.replace(&code_of(&mine.back), &code_of(&theirs.back));
    let came = finish(&server, &mine.cookie, &mixed).await;
    assert_eq!((came.status, came.session()), (StatusCode::UNAUTHORIZED, None), "the code is bound to its verifier");
    let mine = begin(&server).await;
    let came = finish(&server, &mine.cookie, &mine.back.replace("&iss=http", "&iss=https")).await;
    assert_eq!((came.status, came.session()), (StatusCode::UNAUTHORIZED, None), "the answer of another issuer");

    let late = begin(&server).await;
    server.sql("update login_attempts set begun_at = begun_at - interval '10 minutes'").await;
    assert!(!counts(&late.cookie, &late.back).await, "too late");
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_only_look_alike_open_nothing() {
    let provider = Provider::start().await;
    let server = start(&provider, "accounts").await;
    for groups in [json!(["admins.evil"]), json!(["ADMINS"]), json!(["admin"]), json!("x admins"), json!(["staff\n"]), json!({})]
    {
        provider.claims(json!({ "groups": groups }));
        let came = log_in(&server).await;
        assert_eq!((came.status, came.session()), (StatusCode::FORBIDDEN, None), "{groups}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_verified_addresses_that_are_named_come_in() {
    let provider = Provider::start().await;
    let server = TestServer::start_with(|settings| {
        provider.set_up(settings, "accounts");
        settings.oidc.emails = Some("ann@example.com, @corp.example".to_owned());
    })
    .await;
    for (email, verified, is_let_in) in [
        ("ann@example.com", json!(true), true),
        ("bob@corp.example", json!(true), true),
        ("ann@example.com", json!(false), false),
        ("ann@example.com", json!(null), false),
        ("ann@example.com.evil.com", json!(true), false),
        ("bob@corp.example.evil.com", json!(true), false),
        ("bob@sub.corp.example", json!(true), false),
    ] {
        provider.claims(json!({ "groups": GROUPS, "email": email, "email_verified": verified }));
        let came = log_in(&server).await;
        assert_eq!(came.session().is_some(), is_let_in, "{email} {verified}");
        assert!(is_let_in || came.status == StatusCode::FORBIDDEN, "{email}: {}", came.status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_away_is_told_and_comes_back() {
    let mut provider = Provider::start().await;
    provider.claims(json!({ "groups": GROUPS }));
    provider.stop().await;
    let server = start(&provider, "accounts").await;
    let away = ask(&stranger(), &server, "/login/oidc?next=/monitoring/workers").await;
    assert_eq!(away.status(), StatusCode::SERVICE_UNAVAILABLE);
    let page = away.text().await.unwrap();
    assert!(page.contains("Example Login gives no answer") && page.contains(r#"value="/monitoring/workers""#), "{page}");
    provider.come_back().await;
    let asked_again = async || {
        // Tries are counted.
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        ask(&stranger(), &server, "/login/oidc").await.status() == StatusCode::SEE_OTHER
    };
    server.until("it is asked again", asked_again).await;
    let session = log_in(&server).await.session().unwrap();
    let under_way = begin(&server).await;
    provider.stop().await;
    let came = finish(&server, &under_way.cookie, &under_way.back).await;
    assert_eq!((came.status, came.session()), (StatusCode::SERVICE_UNAVAILABLE, None));
    assert_eq!(status(&client_of(&session), &server, "/api/v1/me").await, 200, "who is logged in stays so");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_says_of_itself_is_not_followed_anywhere() {
    for (what, discovery) in [
        (
            "a huge answer",
            (|issuer: &str| {
                let mut huge = metadata(issuer);
                huge["more"] = json!(" ".repeat(2 * 1024 * 1024));
                Json(huge).into_response()
            }) as fn(&str) -> Response,
        ),
        ("another place", |issuer| Redirect::to(&format!("{issuer}/userinfo")).into_response()),
        ("another issuer", |issuer| {
            let mut other = metadata(issuer);
            other["issuer"] = json!("https://evil.example");
            Json(other).into_response()
        }),
        ("no object", |_| Json(json!([])).into_response()),
    ] {
        let provider = Provider::start().await;
        let server = start(&provider, "accounts").await;
        provider.says(Says { discovery: Some(discovery), ..Says::default() });
        assert_eq!(ask(&stranger(), &server, "/login/oidc").await.status(), StatusCode::SERVICE_UNAVAILABLE, "{what}");
        assert_eq!((provider.count("discovery"), provider.count("userinfo")), (1, 0), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_keys_are_asked_for_but_not_for_every_token() {
    let provider = Provider::start().await;
    let server = start(&provider, "accounts").await;
    provider.claims(json!({ "groups": GROUPS }));
    assert!(log_in(&server).await.session().is_some());
    assert!(log_in(&server).await.session().is_some());
    assert_eq!((provider.count("discovery"), provider.count("keys")), (1, 1), "what it said is kept");
    provider.change_key("second");
    assert!(log_in(&server).await.session().is_some(), "a new key is found");
    assert_eq!(provider.count("keys"), 2);
    provider.says(Says { claims: json!({ "groups": GROUPS }), signed: "other key", ..Says::default() });
    for _ in 0..3 {
        assert!(log_in(&server).await.session().is_none());
    }
    assert_eq!(provider.count("keys"), 2, "strange signatures make nobody ask again and again");
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_that_nobody_ends_stay_few() {
    let provider = Provider::start().await;
    let server = start(&provider, "oidc").await;
    let begun = async || ask(&stranger(), &server, "/login/oidc").await;
    server.sql("insert into login_attempts (digest, next, begun_at) select int4send(i), '/', now() - interval '1 minute' from generate_series(1, 10050) i").await;
    server.sql("insert into login_attempts (digest, next, begun_at) values ('old', '/', now() - interval '11 minutes')").await;
    assert_eq!(begun().await.status(), StatusCode::SEE_OTHER);
    assert_eq!(server.count("select count(*) from login_attempts").await, 10_000);
    let mut last = begun().await;
    for _ in 0..40 {
        last = begun().await;
    }
    assert_eq!(last.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(last.text().await.unwrap().contains("Too many tries."));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_providers_refusal_is_said_in_its_word_only() {
    let provider = Provider::start().await;
    let server = start(&provider, "accounts").await;
    for (error, said) in [("access_denied", "access_denied"), ("Call+555", "unknown_error"), ("%3Cscript%3E", "unknown_error")] {
        let under_way = begin(&server).await;
        let state = under_way.back.split('&').nth(1).unwrap();
        let came = finish(&server, &under_way.cookie, &format!("/login/oidc/callback?error={error}&{state}")).await;
        assert_eq!((came.status, came.session()), (StatusCode::UNAUTHORIZED, None));
        assert!(came.page.contains(&format!("Example Login has not let you in: {said}.")), "{}", came.page);
    }
    for path in ["/login/oidc", "/login/oidc/callback?code=x&state=y"] {
        let plain = TestServer::start_guarded().await;
        let answer = ask(&stranger(), &plain, path).await;
        assert_eq!(
            (answer.status(), answer.headers()["location"].to_str().unwrap()),
            (StatusCode::SEE_OTHER, "/login"),
            "{path}"
        );
    }
}
