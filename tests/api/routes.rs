//! The inventory of routes: what is there, and who may call it.

use reqwest::{Method, StatusCode};
use taskscope::server::http::{Access, RouteInfo};

use crate::support::TestServer;

pub const INVENTORY: [(&str, &str, Access); 145] = [
    ("ANY", "/api/{*rest}", Access::Viewer),
    ("DELETE", "/api/v1/accounts/{id}", Access::Admin),
    ("DELETE", "/api/v1/agents/{id}", Access::Admin),
    ("DELETE", "/api/v1/assignments/{id}", Access::Admin),
    ("DELETE", "/api/v1/projects/{id}", Access::Admin),
    ("DELETE", "/api/v1/providers/{id}", Access::Admin),
    ("DELETE", "/api/v1/task-configs/{id}", Access::Admin),
    ("DELETE", "/api/v1/tokens/{id}", Access::Admin),
    ("GET", "/", Access::Viewer),
    ("GET", "/api/docs", Access::Viewer),
    ("GET", "/api/openapi.json", Access::Viewer),
    ("GET", "/api/v1/accounts", Access::Admin),
    ("GET", "/api/v1/agents", Access::Viewer),
    ("GET", "/api/v1/agents/{id}", Access::Viewer),
    ("GET", "/api/v1/analysis/runs", Access::Viewer),
    ("GET", "/api/v1/analysis/runs/{id}", Access::Viewer),
    ("GET", "/api/v1/analysis/runs/{id}/log", Access::Viewer),
    ("GET", "/api/v1/assignments", Access::Viewer),
    ("GET", "/api/v1/atoms", Access::Viewer),
    ("GET", "/api/v1/atoms/{id}", Access::Viewer),
    ("GET", "/api/v1/atoms/{id}/versions", Access::Viewer),
    ("GET", "/api/v1/audit", Access::Admin),
    ("GET", "/api/v1/dead-letters", Access::Viewer),
    ("GET", "/api/v1/dead-letters/export", Access::Viewer),
    ("GET", "/api/v1/imports", Access::Viewer),
    ("GET", "/api/v1/me", Access::Viewer),
    ("GET", "/api/v1/messages", Access::Viewer),
    ("GET", "/api/v1/monitoring/events", Access::Viewer),
    ("GET", "/api/v1/monitoring/executions/{id}", Access::Viewer),
    ("GET", "/api/v1/monitoring/history", Access::Viewer),
    ("GET", "/api/v1/monitoring/history/export", Access::Viewer),
    ("GET", "/api/v1/monitoring/metrics", Access::Viewer),
    ("GET", "/api/v1/monitoring/series", Access::Viewer),
    ("GET", "/api/v1/monitoring/workers", Access::Viewer),
    ("GET", "/api/v1/projects", Access::Viewer),
    ("GET", "/api/v1/projects/{id}", Access::Viewer),
    ("GET", "/api/v1/proposals", Access::Viewer),
    ("GET", "/api/v1/proposals/{id}", Access::Viewer),
    ("GET", "/api/v1/providers", Access::Viewer),
    ("GET", "/api/v1/providers/{id}", Access::Viewer),
    ("GET", "/api/v1/redaction", Access::Viewer),
    ("GET", "/api/v1/task-configs", Access::Viewer),
    ("GET", "/api/v1/task-configs/{id}", Access::Viewer),
    ("GET", "/api/v1/tasks", Access::Viewer),
    ("GET", "/api/v1/tokens", Access::Admin),
    ("GET", "/api/v1/topics", Access::Viewer),
    ("GET", "/api/v1/topics/{id}", Access::Viewer),
    ("GET", "/healthz", Access::Anyone),
    ("GET", "/login", Access::Anyone),
    ("GET", "/login/oidc", Access::Anyone),
    ("GET", "/login/oidc/callback", Access::Anyone),
    ("GET", "/metrics", Access::Viewer),
    ("GET", "/monitoring", Access::Viewer),
    ("GET", "/monitoring/access", Access::Viewer),
    ("GET", "/monitoring/analysis", Access::Viewer),
    ("GET", "/monitoring/analysis/{id}", Access::Viewer),
    ("GET", "/monitoring/executions/{id}", Access::Viewer),
    ("GET", "/monitoring/history", Access::Viewer),
    ("GET", "/monitoring/knowledge", Access::Viewer),
    ("GET", "/monitoring/knowledge/{id}", Access::Viewer),
    ("GET", "/monitoring/proposals/{id}", Access::Viewer),
    ("GET", "/monitoring/redaction", Access::Viewer),
    ("GET", "/monitoring/tasks", Access::Viewer),
    ("GET", "/monitoring/tasks/{name}", Access::Viewer),
    ("GET", "/monitoring/workers", Access::Viewer),
    ("GET", "/readyz", Access::Viewer),
    ("GET", "/ws", Access::Viewer),
    ("POST", "/api/api/tasks/{*rest}", Access::Reporter),
    ("POST", "/api/fn/accounts", Access::Admin),
    ("POST", "/api/fn/assignments", Access::Viewer),
    ("POST", "/api/fn/atoms", Access::Viewer),
    ("POST", "/api/fn/audit", Access::Admin),
    ("POST", "/api/fn/cancel_run", Access::Operator),
    ("POST", "/api/fn/change_account", Access::Admin),
    ("POST", "/api/fn/change_password", Access::Viewer),
    ("POST", "/api/fn/change_redaction", Access::Admin),
    ("POST", "/api/fn/close_run", Access::Operator),
    ("POST", "/api/fn/create_account", Access::Admin),
    ("POST", "/api/fn/create_run", Access::Operator),
    ("POST", "/api/fn/create_token", Access::Admin),
    ("POST", "/api/fn/delete_account", Access::Admin),
    ("POST", "/api/fn/events", Access::Viewer),
    ("POST", "/api/fn/execution", Access::Viewer),
    ("POST", "/api/fn/history", Access::Viewer),
    ("POST", "/api/fn/hour_counts", Access::Viewer),
    ("POST", "/api/fn/imports", Access::Viewer),
    ("POST", "/api/fn/me", Access::Viewer),
    ("POST", "/api/fn/messages", Access::Viewer),
    ("POST", "/api/fn/metrics", Access::Viewer),
    ("POST", "/api/fn/preview_redaction", Access::Admin),
    ("POST", "/api/fn/projects", Access::Viewer),
    ("POST", "/api/fn/proposal", Access::Viewer),
    ("POST", "/api/fn/proposals", Access::Viewer),
    ("POST", "/api/fn/redaction", Access::Viewer),
    ("POST", "/api/fn/replay_dead_letters", Access::Operator),
    ("POST", "/api/fn/review_atom", Access::Operator),
    ("POST", "/api/fn/review_proposal", Access::Operator),
    ("POST", "/api/fn/revoke_token", Access::Admin),
    ("POST", "/api/fn/run", Access::Viewer),
    ("POST", "/api/fn/run_log", Access::Viewer),
    ("POST", "/api/fn/runs", Access::Viewer),
    ("POST", "/api/fn/search_words", Access::Viewer),
    ("POST", "/api/fn/series", Access::Viewer),
    ("POST", "/api/fn/start_run", Access::Operator),
    ("POST", "/api/fn/task_names", Access::Viewer),
    ("POST", "/api/fn/task_types", Access::Viewer),
    ("POST", "/api/fn/tokens", Access::Admin),
    ("POST", "/api/fn/topic", Access::Viewer),
    ("POST", "/api/fn/topics", Access::Viewer),
    ("POST", "/api/fn/trigger", Access::Operator),
    ("POST", "/api/fn/workers", Access::Viewer),
    ("POST", "/api/tasks/{*rest}", Access::Reporter),
    ("POST", "/api/v1/accounts", Access::Admin),
    ("POST", "/api/v1/agents", Access::Admin),
    ("POST", "/api/v1/agents/{id}/tasks", Access::Admin),
    ("POST", "/api/v1/agents/{id}/test", Access::Admin),
    ("POST", "/api/v1/analysis/runs", Access::Operator),
    ("POST", "/api/v1/analysis/runs/{id}/cancel", Access::Operator),
    ("POST", "/api/v1/analysis/runs/{id}/close", Access::Operator),
    ("POST", "/api/v1/analysis/runs/{id}/start", Access::Operator),
    ("POST", "/api/v1/dead-letters/replay", Access::Operator),
    ("POST", "/api/v1/events", Access::Reporter),
    ("POST", "/api/v1/heartbeats", Access::Reporter),
    ("POST", "/api/v1/messages", Access::Operator),
    ("POST", "/api/v1/projects", Access::Admin),
    ("POST", "/api/v1/providers", Access::Admin),
    ("POST", "/api/v1/providers/{id}/check", Access::Admin),
    ("POST", "/api/v1/redaction/preview", Access::Admin),
    ("POST", "/api/v1/task-configs", Access::Admin),
    ("POST", "/api/v1/tasks/{name}", Access::Operator),
    ("POST", "/api/v1/telegram/webhook", Access::Telegram),
    ("POST", "/api/v1/tokens", Access::Admin),
    ("POST", "/login", Access::Anyone),
    ("POST", "/logout", Access::Anyone),
    ("POST", "/tasks/{*rest}", Access::Reporter),
    ("PUT", "/api/v1/accounts/{id}", Access::Admin),
    ("PUT", "/api/v1/agents/{id}", Access::Admin),
    ("PUT", "/api/v1/assignments/{id}", Access::Admin),
    ("PUT", "/api/v1/atoms/{id}/{review}", Access::Operator),
    ("PUT", "/api/v1/me/password", Access::Viewer),
    ("PUT", "/api/v1/projects/{id}", Access::Admin),
    ("PUT", "/api/v1/proposals/{id}/{review}", Access::Operator),
    ("PUT", "/api/v1/providers/{id}", Access::Admin),
    ("PUT", "/api/v1/redaction", Access::Admin),
    ("PUT", "/api/v1/task-configs/{id}", Access::Admin),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_route_stands_in_the_inventory() {
    let server = TestServer::start().await;
    let mut routes: Vec<(&str, String, Access)> =
        server.server().routes.iter().map(|RouteInfo { method, path, access }| (*method, path.clone(), *access)).collect();
    routes.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    routes.dedup();
    let wanted: Vec<_> = INVENTORY.map(|(method, path, access)| (method, path.to_owned(), access)).into();
    assert_eq!(routes, wanted);
}

/// Method and path of a route of the inventory, with something in the place of its parameters.
pub fn example((method, path, _): (&str, &str, Access)) -> (Method, String) {
    let path = path.replace("{id}", "1").replace("{*rest}", "1/started").replace("{name}", "unknown");
    (Method::from_bytes(method.replace("ANY", "GET").as_bytes()).unwrap(), path)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_lets_its_name_mean_this_machine_gets_nothing() {
    let server = TestServer::start_with(|settings| settings.host_names = Some("Tasks.example.com".to_owned())).await;
    let ask = async |method: Method, path: &str, host: &str| {
        let request = server.http.request(method, format!("{}{path}", server.base)).header("host", host);
        request.header("content-type", "application/json").body("[]").send().await.unwrap()
    };
    for (method, path) in INVENTORY.map(example) {
        let answer = ask(method.clone(), &path, "evil.example:3000").await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{method} {path}");
        let sentence = answer.text().await.unwrap();
        assert!(sentence.contains("evil.example") && sentence.contains("TASKSCOPE_HOST_NAMES"), "{sentence}");
    }
    for host in ["tasks.example.com", "localhost:3000", "127.0.0.1", "[::1]"] {
        assert_eq!(ask(Method::GET, "/monitoring", host).await.status(), StatusCode::OK, "{host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_is_described_and_can_be_read() {
    let server = TestServer::start().await;
    let document = server.json("/api/openapi.json").await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let documented = document["paths"].as_object().unwrap();
    for (method, path, _) in INVENTORY.iter().filter(|(_, path, _)| path.starts_with("/api/v1/") || *path == "/ws") {
        assert!(documented[*path].get(method.to_lowercase()).is_some(), "{path}");
    }
    let page = server.get("/api/docs/").await;
    assert_eq!(page.status(), StatusCode::OK);
    assert!(page.text().await.unwrap().contains("swagger-ui"));
}

/// What every operation may answer, and where its parameters stand. `make schemathesis` proves that answers are such.
#[test]
fn operations_say_who_may_call_them_and_what_is_refused() {
    let document = serde_json::to_value(taskscope::server::http::openapi()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let place = format!("{method} {path}");
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let in_path = path.contains(&format!("{{{}}}", parameter["name"].as_str().unwrap()));
                assert_eq!(parameter["in"] == "path", in_path, "{place}: {parameter}");
            }
            let answers = |status: &str| operation["responses"].get(status).is_some();
            assert!(answers("401") && answers("503") || path == "/healthz", "{place}");
            assert_eq!(
                operation.get("security").is_none(),
                matches!(path.as_str(), "/healthz" | "/api/v1/telegram/webhook"),
                "{place}"
            );
            if operation.get("requestBody").is_some() {
                assert!(["400", "413", "415"].into_iter().all(answers), "{place}");
            }
        }
    }
}
