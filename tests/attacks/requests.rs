//! Attacks that are one request.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use taskscope::server::http::Access;

use crate::{
    api::routes::{INVENTORY, example},
    support::{PASSWORD, Program, TestServer, client, client_of, stranger},
};

const SCRIPT: &str = "\"'></title></script><script>alert(1)</script><img src=x onerror=alert(2)>";

/// What a link may hold comes back as text, if it does.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_an_address_becomes_markup() {
    let server = TestServer::start().await;
    let guarded = TestServer::start_guarded().await;
    let code = SCRIPT.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let pages = [
        "/monitoring?time_window=",
        "/monitoring/history?q=",
        "/monitoring/history?task_name=",
        "/monitoring/history?status=",
        "/monitoring/history?page=",
        "/monitoring/history?start_date=",
        "/monitoring/history?worker=",
        "/monitoring/history?cursor=",
        "/monitoring/history?execution=",
        "/monitoring/tasks/",
        "/monitoring/tasks?run=",
        "/monitoring/tasks?run=score_message_task&from=",
        "/monitoring/executions/",
        "/monitoring/analysis/",
        "/monitoring/analysis?page=",
        "/monitoring/knowledge?q=",
        "/monitoring/knowledge/",
        "/monitoring/proposals/",
        "/monitoring/access?page=",
        "/nowhere/",
        "/login?next=/",
        "/api/v1/monitoring/history?status=",
        "/api/v1/monitoring/executions/",
        "/api/v1/",
        "/api/v1/tokens/",
    ];
    for page in pages {
        for (server, http) in [(&server, client()), (&guarded, stranger())] {
            let answer = http.get(format!("{}{page}{code}", server.base)).header("accept", "text/html").send().await.unwrap();
            let kind = answer.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned()).unwrap_or_default();
            assert!(!answer.status().is_server_error(), "{page}: {}", answer.status());
            let body = answer.text().await.unwrap();
            let is_markup = kind.starts_with("text/html") && (body.contains("<script>alert") || body.contains("<img src=x"));
            assert!(!is_markup, "{page}: {body}");
        }
    }
    let form = format!("name={code}&password=wrong+wrong+wrong&next=/{code}");
    let request = stranger().post(format!("{}/login", guarded.base)).header("content-type", "application/x-www-form-urlencoded");
    let body = request.body(form).send().await.unwrap().text().await.unwrap();
    assert!(body.contains("Log in") && !body.contains("<script>alert"), "{body}");
}

/// A page of another site has the reader's cookie sent along, and still does nothing with it; by looking nothing is done.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_does_nothing_in_the_readers_name() {
    let server = TestServer::start_guarded().await;
    let own = server.base.clone();
    for ((method, path), access) in INVENTORY.map(|route| (example(route), route.2)) {
        let ask = async |header: &'static str, value: &str| {
            let request = server.http.request(method.clone(), format!("{}{path}", server.base)).header(header, value);
            // What a form can send without being asked about it beforehand.
            request.header("content-type", "text/plain").body("[]").send().await.unwrap().status()
        };
        if !matches!(method, Method::GET) {
            for (header, value) in [
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-site", "same-site"),
                ("origin", "https://evil.example"),
                ("origin", "null"),
            ] {
                assert_eq!(ask(header, value).await, StatusCode::FORBIDDEN, "{method} {path} with {header}: {value}");
            }
            if access != Access::Anyone {
                assert_ne!(ask("origin", &own).await, StatusCode::FORBIDDEN, "{method} {path} from here");
            }
        }
        if path.starts_with("/api/fn/") {
            let looked = server.http.get(format!("{}{path}", server.base)).send().await.unwrap().status();
            assert!(matches!(looked, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED), "GET {path}: {looked}");
        }
    }
}

/// Behind HTTPS the cookie is one that no other host and no unencrypted page can set or read.
#[tokio::test(flavor = "multi_thread")]
async fn a_sessions_cookie_is_of_this_host_alone() {
    let server = TestServer::start_with(|settings| {
        settings.login = Some("accounts".to_owned());
        settings.admin_password = Some(PASSWORD.to_owned());
        settings.public_url = Some("https://tasks.example.com".to_owned());
    })
    .await;
    let form = format!("name=admin&password={}", PASSWORD.replace(' ', "+"));
    let request = stranger().post(format!("{}/login", server.base)).header("host", "tasks.example.com");
    let answer = request.header("content-type", "application/x-www-form-urlencoded").body(form).send().await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("__Host-taskscope_session=tss_"), "{cookie}");
    for part in ["; HttpOnly", "; SameSite=Lax", "; Secure", "; Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    let secret = cookie.split(['=', ';']).nth(1).unwrap();
    let plain = client_of(&format!("taskscope_session={secret}"));
    assert_eq!(plain.get(format!("{}/api/v1/me", server.base)).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

/// Whatever says how much is wanted has a bound.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_ask_for_more_than_a_bounded_piece() {
    let server = TestServer::start().await;
    for path in [
        "/api/v1/monitoring/metrics?time_window=",
        "/api/v1/monitoring/series?time_window=",
        "/api/v1/monitoring/history?page_size=",
        "/api/v1/monitoring/history?page=",
        "/api/v1/messages?page_size=",
        "/api/v1/analysis/runs?page_size=",
        "/api/v1/proposals?page_size=",
        "/api/v1/topics?page_size=",
        "/api/v1/atoms?page_size=",
        "/api/v1/dead-letters?page_size=",
        "/api/v1/audit?page_size=",
    ] {
        for value in ["999999999999", "18446744073709551616", "-1", "0", "1e9", "NaN", "", "%00"] {
            let answer = server.get(&format!("{path}{value}")).await;
            let status = answer.status();
            let body: Value = answer.json().await.unwrap_or_else(|error| panic!("{path}{value}: {status} {error}"));
            let parameter = path.split(['?', '=']).nth(1).unwrap();
            let told = body["error"].as_str().unwrap_or_default();
            assert!(
                status == StatusCode::BAD_REQUEST && told.contains(parameter) || value.is_empty(),
                "{path}{value}: {status} {body}"
            );
        }
    }
}

/// Values that break parsers, databases or batches: each is taken or refused by itself, and what came with it stays.
#[tokio::test(flavor = "multi_thread")]
async fn no_poisoned_event_costs_another_one() {
    let server = TestServer::start().await;
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    let mended = [
        r#""a\u0000b""#.to_owned(),
        r#""\ud800""#.to_owned(),
        r#""\udc00\ud800""#.to_owned(),
        "1e999999".to_owned(),
        "-1e-999999".to_owned(),
        "123456789012345678901234567890".to_owned(),
        deep,
        r#""\u202e\ufeff\u001b[2J""#.to_owned(),
    ];
    let large = [
        format!("\"{}\"", "x".repeat(2_000_000)),
        format!("{{{}}}", (0..20_000).map(|key| format!("\"{key}\":1")).collect::<Vec<_>>().join(",")),
    ];
    let at = chrono::Utc::now().to_rfc3339();
    for (number, value) in mended.iter().chain(&large).enumerate() {
        for field in ["params", "result", "labels", "error_message"] {
            let id = format!("{number}-{field}");
            let event = |task_id: &str, rest: &str| {
                format!(r#"{{"type":"task_failed","task_id":"{task_id}","task_name":"t","timestamp":"{at}"{rest}}}"#)
            };
            let bad = event(&format!("bad-{id}"), &format!(r#","{field}":{value}"#));
            let body = format!("[{},{bad},{}]", event(&format!("a-{id}"), ""), event(&format!("b-{id}"), ""));
            let answer = server.post("/api/v1/events", "application/json", body).await;
            let status = answer.status();
            let outcome: Value = answer.json().await.unwrap();
            let accepted = |index: usize| outcome["results"][index]["accepted"] == true;
            assert!(status == StatusCode::ACCEPTED && accepted(0) && accepted(2), "{id}: {status} {outcome}");
            // What can hold any value holds even these, made acceptable.
            assert!(number >= mended.len() || field == "error_message" || accepted(1), "{id}: {outcome}");
        }
    }
    for clock in [
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2262-04-12T00:00:00Z",
        "+262142-01-01T00:00:00Z",
        "1969-12-31T23:59:59.999999999Z",
    ] {
        let event = json!([{"type": "task_started", "task_id": clock, "task_name": "t", "timestamp": clock}]);
        let status = server.post("/api/v1/events", "application/json", event.to_string()).await.status();
        assert!(matches!(status, StatusCode::ACCEPTED | StatusCode::BAD_REQUEST), "{clock}: {status}");
    }
    let invalid = server.http.post(format!("{}/api/v1/events", server.base)).header("content-type", "application/json");
    let status = invalid.body(b"[{\"type\":\"\xff\xfe\"}]".to_vec()).send().await.unwrap().status();
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let wanted = 2 * 4 * (mended.len() + large.len()) as i64;
    server
        .until("all others are stored", async || {
            server.count("select count(*) from task_execution_logs where task_id ~ '^[ab]-'").await == wanted
        })
        .await;
    let kept = 3 * mended.len() as i64;
    let of = "select count(*) from task_execution_logs where task_id ~ '^bad-[0-7]-(params|result|labels)'";
    server.until("so are those that could be mended", async || server.count(of).await == kept).await;
    assert_eq!(server.count("select count(*) from dead_letters").await, 0, "nothing was refused by Postgres");
}

/// A body that grows when it is unpacked isn't unpacked.
#[tokio::test(flavor = "multi_thread")]
async fn packed_bodies_are_refused_and_large_ones_cut_off() {
    let server = TestServer::start().await;
    for encoding in ["gzip", "deflate", "br", "zstd", "gzip, gzip"] {
        let request = server.http.post(format!("{}/api/v1/events", server.base)).header("content-encoding", encoding);
        let answer = request.header("content-type", "application/json").body(vec![0x1f, 0x8b, 8, 0]).send().await.unwrap();
        let (status, body) = (answer.status(), answer.text().await.unwrap());
        assert!(status == StatusCode::UNSUPPORTED_MEDIA_TYPE && body.contains("content-encoding"), "{encoding}: {status} {body}");
    }
    let large = vec![b' '; 9 * 1024 * 1024];
    let request = server.http.post(format!("{}/api/v1/events", server.base)).header("content-type", "application/json");
    assert_eq!(request.body(large).send().await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
    let many = format!("[{}]", vec!["{}"; 10_001].join(","));
    assert_eq!(server.post("/api/v1/events", "application/json", many).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

/// What somebody sends can't write lines of its own into the log, nor steer the terminal that shows it.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_line_is_one_line() {
    let directory = tempfile::TempDir::new().unwrap();
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::create_dir(directory.path().join("d")).unwrap();
    let program = Program::start_logging(&directory.path().join("d")).await;
    let http = client();
    let forged = "x\r\n2026-11-20T00:00:00Z ERROR taskscope: forged\u{1b}[2J\u{1b}]0;title\u{7}";
    let event = json!([{"type": "task_started", "task_id": forged, "task_name": forged, "timestamp": "2026-11-20T00:00:00Z", "worker": forged, "params": forged}]);
    http.post(format!("{}/api/v1/events", program.base)).json(&event).send().await.unwrap();
    http.post(format!("{}/api/v1/events", program.base)).json(&json!([{"type": forged}])).send().await.unwrap();
    let mut search = reqwest::Url::parse(&format!("{}/api/v1/monitoring/history", program.base)).unwrap();
    search.query_pairs_mut().append_pair("q", forged).append_pair("worker", forged);
    http.get(search).send().await.unwrap();
    http.post(format!("{}/api/v1/tasks/x", program.base)).json(&json!({"params": {"a": forged}})).send().await.unwrap();
    // What Postgres refuses is logged with the reason, in which the value stands: by its recorder, and where a page's request fails.
    let pool = program.pool().await;
    let refusing = "alter table task_execution_logs add constraint no_forgery check (task_name !~ 'refused');
        create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no such rule: %', new.patterns[1]; end $$;
        create trigger refuse before update on redaction for each row execute function refuse()";
    sqlx::raw_sql(refusing).execute(&pool).await.unwrap();
    let rules = json!({ "rules": { "keys": [], "patterns": [forged], "exceptions": [] } });
    let failed = http.post(format!("{}/api/fn/change_redaction", program.base)).json(&rules).send().await.unwrap();
    assert_eq!(failed.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let refused = json!([{"type": "task_started", "task_id": "1", "task_name": format!("refused {forged}"), "timestamp": chrono::Utc::now()}]);
    http.post(format!("{}/api/v1/events", program.base)).json(&refused).send().await.unwrap();
    let buried = async || sqlx::query_scalar::<_, i64>("select count(*) from dead_letters").fetch_one(&pool).await.unwrap() > 0;
    crate::support::until("the event is a dead letter", buried).await;
    pool.close().await;
    let log = program.log();
    assert!(!log.contains('\u{1b}') && !log.contains('\u{7}'), "{log}");
    assert!(!log.lines().any(|line| line.starts_with("2026-11-20T00:00:00Z ERROR")), "{log}");
    assert!(
        log.contains("an event was refused") && log.contains("no such rule: x"),
        "it is logged, or this shows nothing: {log}"
    );
}

/// Who isn't let in can't find out what there is.
#[tokio::test(flavor = "multi_thread")]
async fn ids_that_exist_are_answered_as_those_that_dont() {
    let server = TestServer::start_guarded().await;
    let (_, ingest) = crate::access::make_token(&server, json!({ "name": "w", "kind": "ingest" })).await;
    let event = json!([{"type": "task_started", "task_id": "1", "task_name": "t", "timestamp": chrono::Utc::now()}]);
    let worker = client_of(&ingest);
    assert_eq!(
        worker.post(format!("{}/api/v1/events", server.base)).json(&event).send().await.unwrap().status(),
        StatusCode::ACCEPTED
    );
    let id = server.executions(1).await[0]["id"].clone();
    for http in [stranger(), worker] {
        let ask = async |path: String| {
            let answer = http.get(format!("{}{path}", server.base)).send().await.unwrap();
            (answer.status(), answer.text().await.unwrap())
        };
        for path in ["/api/v1/monitoring/executions/", "/monitoring/executions/"] {
            let there = ask(format!("{path}{id}")).await;
            assert_eq!(there, ask(format!("{path}999999")).await);
            assert!(matches!(there.0, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN), "{there:?}");
        }
    }
}
