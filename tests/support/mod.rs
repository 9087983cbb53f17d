//! A server a test, each with a database of its own on one Postgres that the whole run shares.

pub mod nats;
mod postgres;
mod program;
mod socket;

use std::{path::Path, time::Duration};

use reqwest::{Client, Response, StatusCode};
use serde_json::Value;
use sqlx::PgPool;
use taskscope::server::{
    config::{Config, Settings},
    serve::Server,
};
use tempfile::TempDir;

pub use self::{postgres::new_database, program::Program, socket::Watcher};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server with an empty database.
pub struct TestServer {
    pub base: String,
    pub database_url: String,
    pub http: Client,
    pub pool: PgPool,
    server: Option<Server>,
    _directory: TempDir,
    settings: Settings,
}

impl TestServer {
    pub async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    pub async fn start_with_token(token: Option<&str>) -> Self {
        Self::start_with(|settings| settings.ingest_token = token.map(str::to_owned)).await
    }

    /// Starts one whose settings differ from the usual ones of a test.
    pub async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        let directory = TempDir::new().unwrap();
        let database_url = new_database().await;
        let pool = PgPool::connect(&database_url).await.unwrap();
        let mut settings = settings(&database_url, directory.path());
        change(&mut settings);
        let mut this =
            Self { base: String::new(), database_url, http: client(), pool, server: None, _directory: directory, settings };
        this.launch().await;
        this
    }

    /// Starts a second server on the same database.
    pub async fn another(&self) -> Self {
        let directory = TempDir::new().unwrap();
        let settings = Settings { data_dir: Some(directory.path().to_owned()), ..self.settings.clone() };
        let mut this = Self {
            base: String::new(),
            database_url: self.database_url.clone(),
            http: client(),
            pool: self.pool.clone(),
            server: None,
            _directory: directory,
            settings,
        };
        this.launch().await;
        this
    }

    /// Stops the server and starts it again on the same directory and database.
    pub async fn restart(&mut self) {
        self.server.take().unwrap().stop().await;
        self.launch().await;
    }

    async fn launch(&mut self) {
        let server = Server::start(Config::load(self.settings.clone()).unwrap()).await.unwrap();
        self.base = format!("http://{}", server.addr);
        self.server = Some(server);
        self.until("the server is ready", async || self.get("/readyz").await.status() == StatusCode::OK).await;
    }

    pub fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    pub async fn get(&self, path: &str) -> Response {
        self.http.get(format!("{}{path}", self.base)).send().await.unwrap()
    }

    pub async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.json().await.unwrap()
    }

    /// Sends a TaskIQ event as the stock middlewares do.
    pub async fn taskiq(&self, task_id: &str, step: &str, body: impl Into<String>) -> Response {
        self.post(&format!("/api/tasks/{task_id}/{step}"), "application/json", body).await
    }

    pub async fn post(&self, path: &str, content_type: &str, body: impl Into<String>) -> Response {
        let request = self.http.post(format!("{}{path}", self.base)).header("content-type", content_type);
        request.header("access-token", "any").body(body.into()).send().await.unwrap()
    }

    /// Sends native events, all of which must be taken.
    pub async fn report(&self, events: &Value) {
        let response = self.post("/api/v1/events", "application/json", events.to_string()).await;
        let status = response.status();
        let answer = response.text().await.unwrap();
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
        assert!(!answer.contains("\"accepted\":false"), "{answer}");
    }

    pub async fn history(&self, query: &str) -> Value {
        self.json(&format!("/api/v1/monitoring/history?{query}")).await
    }

    /// The metrics of one task type.
    pub async fn metrics_of(&self, task_name: &str) -> Value {
        let metrics = self.json("/api/v1/monitoring/metrics").await;
        let entries = metrics["metrics"].as_array().unwrap();
        entries.iter().find(|entry| entry["task_name"] == task_name).cloned().unwrap_or(Value::Null)
    }

    /// Waits until the history holds so many executions, and gives them, newest first.
    pub async fn executions(&self, count: usize) -> Vec<Value> {
        self.until(&format!("{count} executions"), async || self.history("").await["total_count"] == count).await;
        self.history("").await["items"].as_array().unwrap().clone()
    }

    pub async fn sql(&self, statement: &'static str) {
        sqlx::raw_sql(statement).execute(&self.pool).await.unwrap();
    }

    pub async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }

    pub async fn until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        until(what, condition).await;
    }

    pub async fn watch(&self, query: &str) -> Watcher {
        Watcher::connect(&self.base, query).await
    }
}

/// A client that gives up in time for a test to say where it waited.
pub fn client() -> Client {
    // reqwest is built without one; another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().timeout(PATIENCE).build().unwrap()
}

/// Waits for something that must become true.
pub async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let end = tokio::time::Instant::now() + PATIENCE;
    // A condition that never answers is one that doesn't hold.
    while !tokio::time::timeout_at(end, condition()).await.unwrap_or(false) {
        assert!(tokio::time::Instant::now() < end, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn settings(database_url: &str, directory: &Path) -> Settings {
    Settings {
        database_url: Some(database_url.to_owned()),
        addr: Some("127.0.0.1:0".to_owned()),
        data_dir: Some(directory.to_owned()),
        // What a test reports of long ago stays until it says otherwise.
        retention_days: Some(3650),
        // The shortest, for what is overdue.
        stall_floor_seconds: Some(1),
        ..Settings::default()
    }
}
