//! The inventory of routes: what is there, and who may call it.

use reqwest::{Method, StatusCode};
use taskscope::server::http::{Access, RouteInfo};

use crate::support::TestServer;

const INVENTORY: [(&str, &str, Access); 117] = [
    ("ANY", "/api/{*rest}", Access::Anyone),
    ("DELETE", "/api/v1/agents/{id}", Access::Anyone),
    ("DELETE", "/api/v1/assignments/{id}", Access::Anyone),
    ("DELETE", "/api/v1/projects/{id}", Access::Anyone),
    ("DELETE", "/api/v1/providers/{id}", Access::Anyone),
    ("DELETE", "/api/v1/task-configs/{id}", Access::Anyone),
    ("GET", "/", Access::Anyone),
    ("GET", "/api/docs", Access::Anyone),
    ("GET", "/api/openapi.json", Access::Anyone),
    ("GET", "/api/v1/agents", Access::Anyone),
    ("GET", "/api/v1/agents/{id}", Access::Anyone),
    ("GET", "/api/v1/analysis/runs", Access::Anyone),
    ("GET", "/api/v1/analysis/runs/{id}", Access::Anyone),
    ("GET", "/api/v1/analysis/runs/{id}/log", Access::Anyone),
    ("GET", "/api/v1/assignments", Access::Anyone),
    ("GET", "/api/v1/atoms", Access::Anyone),
    ("GET", "/api/v1/atoms/{id}", Access::Anyone),
    ("GET", "/api/v1/atoms/{id}/versions", Access::Anyone),
    ("GET", "/api/v1/dead-letters", Access::Anyone),
    ("GET", "/api/v1/dead-letters/export", Access::Anyone),
    ("GET", "/api/v1/imports", Access::Anyone),
    ("GET", "/api/v1/messages", Access::Anyone),
    ("GET", "/api/v1/monitoring/events", Access::Anyone),
    ("GET", "/api/v1/monitoring/executions/{id}", Access::Anyone),
    ("GET", "/api/v1/monitoring/history", Access::Anyone),
    ("GET", "/api/v1/monitoring/metrics", Access::Anyone),
    ("GET", "/api/v1/monitoring/series", Access::Anyone),
    ("GET", "/api/v1/monitoring/workers", Access::Anyone),
    ("GET", "/api/v1/projects", Access::Anyone),
    ("GET", "/api/v1/projects/{id}", Access::Anyone),
    ("GET", "/api/v1/proposals", Access::Anyone),
    ("GET", "/api/v1/proposals/{id}", Access::Anyone),
    ("GET", "/api/v1/providers", Access::Anyone),
    ("GET", "/api/v1/providers/{id}", Access::Anyone),
    ("GET", "/api/v1/redaction", Access::Anyone),
    ("GET", "/api/v1/task-configs", Access::Anyone),
    ("GET", "/api/v1/task-configs/{id}", Access::Anyone),
    ("GET", "/api/v1/tasks", Access::Anyone),
    ("GET", "/api/v1/topics", Access::Anyone),
    ("GET", "/api/v1/topics/{id}", Access::Anyone),
    ("GET", "/healthz", Access::Anyone),
    ("GET", "/metrics", Access::Anyone),
    ("GET", "/monitoring", Access::Anyone),
    ("GET", "/monitoring/analysis", Access::Anyone),
    ("GET", "/monitoring/analysis/{id}", Access::Anyone),
    ("GET", "/monitoring/executions/{id}", Access::Anyone),
    ("GET", "/monitoring/history", Access::Anyone),
    ("GET", "/monitoring/knowledge", Access::Anyone),
    ("GET", "/monitoring/knowledge/{id}", Access::Anyone),
    ("GET", "/monitoring/proposals/{id}", Access::Anyone),
    ("GET", "/monitoring/redaction", Access::Anyone),
    ("GET", "/monitoring/tasks", Access::Anyone),
    ("GET", "/monitoring/tasks/{name}", Access::Anyone),
    ("GET", "/monitoring/workers", Access::Anyone),
    ("GET", "/readyz", Access::Anyone),
    ("GET", "/ws", Access::Anyone),
    ("POST", "/api/api/tasks/{*rest}", Access::Reporter),
    ("POST", "/api/fn/assignments", Access::Anyone),
    ("POST", "/api/fn/atoms", Access::Anyone),
    ("POST", "/api/fn/cancel_run", Access::Anyone),
    ("POST", "/api/fn/change_redaction", Access::Anyone),
    ("POST", "/api/fn/close_run", Access::Anyone),
    ("POST", "/api/fn/create_run", Access::Anyone),
    ("POST", "/api/fn/events", Access::Anyone),
    ("POST", "/api/fn/execution", Access::Anyone),
    ("POST", "/api/fn/history", Access::Anyone),
    ("POST", "/api/fn/hour_counts", Access::Anyone),
    ("POST", "/api/fn/imports", Access::Anyone),
    ("POST", "/api/fn/messages", Access::Anyone),
    ("POST", "/api/fn/metrics", Access::Anyone),
    ("POST", "/api/fn/preview_redaction", Access::Anyone),
    ("POST", "/api/fn/projects", Access::Anyone),
    ("POST", "/api/fn/proposal", Access::Anyone),
    ("POST", "/api/fn/proposals", Access::Anyone),
    ("POST", "/api/fn/redaction", Access::Anyone),
    ("POST", "/api/fn/review_atom", Access::Anyone),
    ("POST", "/api/fn/review_proposal", Access::Anyone),
    ("POST", "/api/fn/run", Access::Anyone),
    ("POST", "/api/fn/run_log", Access::Anyone),
    ("POST", "/api/fn/runs", Access::Anyone),
    ("POST", "/api/fn/search_words", Access::Anyone),
    ("POST", "/api/fn/series", Access::Anyone),
    ("POST", "/api/fn/start_run", Access::Anyone),
    ("POST", "/api/fn/task_names", Access::Anyone),
    ("POST", "/api/fn/task_types", Access::Anyone),
    ("POST", "/api/fn/topic", Access::Anyone),
    ("POST", "/api/fn/topics", Access::Anyone),
    ("POST", "/api/fn/trigger", Access::Anyone),
    ("POST", "/api/fn/workers", Access::Anyone),
    ("POST", "/api/tasks/{*rest}", Access::Reporter),
    ("POST", "/api/v1/agents", Access::Anyone),
    ("POST", "/api/v1/agents/{id}/tasks", Access::Anyone),
    ("POST", "/api/v1/agents/{id}/test", Access::Anyone),
    ("POST", "/api/v1/analysis/runs", Access::Anyone),
    ("POST", "/api/v1/analysis/runs/{id}/cancel", Access::Anyone),
    ("POST", "/api/v1/analysis/runs/{id}/close", Access::Anyone),
    ("POST", "/api/v1/analysis/runs/{id}/start", Access::Anyone),
    ("POST", "/api/v1/dead-letters/replay", Access::Anyone),
    ("POST", "/api/v1/events", Access::Reporter),
    ("POST", "/api/v1/heartbeats", Access::Reporter),
    ("POST", "/api/v1/messages", Access::Anyone),
    ("POST", "/api/v1/projects", Access::Anyone),
    ("POST", "/api/v1/providers", Access::Anyone),
    ("POST", "/api/v1/providers/{id}/check", Access::Anyone),
    ("POST", "/api/v1/redaction/preview", Access::Anyone),
    ("POST", "/api/v1/task-configs", Access::Anyone),
    ("POST", "/api/v1/tasks/{name}", Access::Anyone),
    ("POST", "/api/v1/telegram/webhook", Access::Telegram),
    ("POST", "/tasks/{*rest}", Access::Reporter),
    ("PUT", "/api/v1/agents/{id}", Access::Anyone),
    ("PUT", "/api/v1/assignments/{id}", Access::Anyone),
    ("PUT", "/api/v1/atoms/{id}/{review}", Access::Anyone),
    ("PUT", "/api/v1/projects/{id}", Access::Anyone),
    ("PUT", "/api/v1/proposals/{id}/{review}", Access::Anyone),
    ("PUT", "/api/v1/providers/{id}", Access::Anyone),
    ("PUT", "/api/v1/redaction", Access::Anyone),
    ("PUT", "/api/v1/task-configs/{id}", Access::Anyone),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_route_stands_in_the_inventory_and_keeps_to_it() {
    let server = TestServer::start_with_token(Some("secret")).await;
    let mut routes: Vec<(&str, String, Access)> =
        server.server().routes.iter().map(|RouteInfo { method, path, access }| (*method, path.clone(), *access)).collect();
    routes.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    routes.dedup();
    let wanted: Vec<_> = INVENTORY.map(|(method, path, access)| (method, path.to_owned(), access)).into();
    assert_eq!(routes, wanted);
    for (method, path, access) in INVENTORY {
        let path = path.replace("{id}", "1").replace("{*rest}", "1/started").replace("{name}", "unknown");
        let request = server
            .http
            .request(Method::from_bytes(method.replace("ANY", "GET").as_bytes()).unwrap(), format!("{}{path}", server.base));
        let answer = request.header("content-type", "application/json").body("[]").send().await;
        let status = answer.unwrap_or_else(|error| panic!("{method} {path}: {error:?}")).status();
        assert_eq!(status == StatusCode::UNAUTHORIZED, access != Access::Anyone, "{method} {path}: {status}");
        assert!(!status.is_server_error(), "{method} {path}: {status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_lets_its_name_mean_this_machine_gets_nothing() {
    let server = TestServer::start_with(|settings| settings.host_names = Some("Tasks.example.com".to_owned())).await;
    let ask = async |method: Method, path: &str, host: &str| {
        let request = server.http.request(method, format!("{}{path}", server.base)).header("host", host);
        request.header("content-type", "application/json").body("[]").send().await.unwrap()
    };
    for (method, path, _) in INVENTORY {
        let path = path.replace("{id}", "1").replace("{*rest}", "1/started").replace("{name}", "unknown");
        let method = Method::from_bytes(method.replace("ANY", "GET").as_bytes()).unwrap();
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
