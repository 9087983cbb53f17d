//! The server functions, called in process, and the pages as a browser without scripts gets them.

use leptos::prelude::{Owner, provide_context};
use reqwest::StatusCode;
use serde_json::json;
use taskscope::{
    error::AppError,
    server_fns::{get_execution, get_history, get_metrics, get_task_names, latest_events},
};
use taskscope_wire::{HistoryQuery, REGISTERED_TASK_TYPES, TaskStatus};

use crate::support::TestServer;

async fn with_data() -> TestServer {
    let server = TestServer::start().await;
    let at = chrono::Utc::now().to_rfc3339();
    server
        .report(&json!([
            {"type": "task_completed", "task_id": "1", "task_name": "score_message_task", "timestamp": at, "duration_ms": 320},
            {"type": "task_failed", "task_id": "2", "task_name": "<img src=x onerror=alert(1)>", "timestamp": at,
             "error_message": "<script>alert(1)</script>", "error_traceback": "</pre><script>alert(2)</script>",
             "params": {"</script>": "\"><script>alert(3)</script>"}},
        ]))
        .await;
    server.executions(2).await;
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn server_functions_are_plain_calls_in_process() {
    let server = with_data().await;
    let owner = Owner::new();
    owner.with(|| provide_context(server.server().store.clone()));
    owner
        .with(|| {
            leptos::reactive::computed::ScopedFuture::new(async {
                let metrics = get_metrics(24).await.unwrap();
                let scored = metrics.metrics.iter().find(|entry| entry.task_name == "score_message_task").unwrap();
                assert_eq!((scored.success, scored.avg_duration_ms), (1, Some(320.0)));
                let query = HistoryQuery { status: vec![TaskStatus::Failed], ..HistoryQuery::default() };
                let failed = get_history(query).await.unwrap();
                assert_eq!((failed.total_count, failed.items[0].params.is_none()), (1, true));
                let whole = get_execution(failed.items[0].id).await.unwrap();
                assert!(whole.error_traceback.is_some() && whole.params.is_some());
                assert!(matches!(get_execution(-1).await, Err(AppError::NotFound(_))));
                let names = get_task_names().await.unwrap();
                let (registered, others) = names.split_at(REGISTERED_TASK_TYPES.len());
                assert_eq!(
                    (registered, others),
                    (&REGISTERED_TASK_TYPES.map(str::to_owned)[..], &["<img src=x onerror=alert(1)>".to_owned()][..])
                );
                assert_eq!(latest_events().await.unwrap().events.len(), 2);
            })
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_real_numbers_and_escape_what_workers_send() {
    let server = with_data().await;
    let id = server.history("status=failed").await["items"][0]["id"].clone();
    let page = async |path: &str| {
        let response = server.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(
            policy.contains("'nonce-") && policy.contains("object-src 'none'") && !policy.contains("unsafe-inline"),
            "{policy}"
        );
        let html = response.text().await.unwrap();
        for attack in ["<script>alert", "<img src=x", "</pre><script>"] {
            assert!(!html.contains(attack), "{path} holds {attack}");
        }
        html
    };
    let overview = page("/monitoring").await;
    assert!(overview.contains("Background Task Monitoring") && overview.contains("320ms"), "{overview}");
    let history = page("/monitoring/history?status=failed").await;
    assert!(history.contains("&lt;script") && !history.contains("data-task-name=\"score_message_task\""));
    let detail = page(&format!("/monitoring/executions/{id}")).await;
    assert!(detail.contains("data-testid=\"execution-detail\"") && detail.contains("&lt;script"));
    page(&format!("/monitoring/history?execution={id}")).await;
    page("/monitoring/history?q=%3Cscript%3Ealert(1)%3C/script%3E").await;
    page("/monitoring/history?page=x&status=%3Cimg%20src=x%3E").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_root_leads_to_the_dashboard_and_unknown_paths_are_404() {
    let server = TestServer::start().await;
    let root = server.get("/").await;
    assert!(root.url().path() == "/monitoring" && root.status() == StatusCode::OK);
    let origin = root.url().as_str().trim_end_matches("/monitoring");
    for (with_slash, page) in [
        ("/monitoring/", "/monitoring"),
        ("/monitoring/history/?status=failed", "/monitoring/history?status=failed"),
        ("/monitoring/history//", "/monitoring/history"),
    ] {
        let response = server.get(with_slash).await;
        assert_eq!((response.status(), response.url().as_str()), (StatusCode::OK, &*format!("{origin}{page}")), "{with_slash}");
    }
    // Not to another site, and drawn like any page where the app takes it for one.
    for strange in ["//monitoring/", "/%6donitoring", "/monitoring%2F", "/monitoringx/", "//evil.example/monitoring/"] {
        let response = server.get(strange).await;
        assert!(response.status() != StatusCode::INTERNAL_SERVER_ERROR, "{strange}: {}", response.status());
        assert_eq!(response.url().as_str(), format!("{origin}{strange}"), "{strange}");
    }
    assert_eq!(server.get("/nowhere").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(server.get("/monitoring/executions/999999").await.status(), StatusCode::NOT_FOUND);
    let unknown = server.get("/api/v1/nothing").await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    assert!(unknown.json::<serde_json::Value>().await.unwrap()["error"].is_string(), "the API answers in JSON");
}
