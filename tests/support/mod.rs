//! A server a test, each with a database of its own on one Postgres that the whole run shares.

pub mod nats;
mod postgres;
mod program;
pub mod provider;
mod socket;
mod statements;

use std::{path::Path, time::Duration};

use reqwest::{Client, Response, StatusCode};
use serde_json::Value;
use sqlx::{Connection as _, PgPool};
use taskscope::server::{
    config::{Config, Settings},
    serve::Server,
};
use tempfile::TempDir;

pub use self::{
    postgres::new_database,
    program::{Program, data_directory},
    socket::Watcher,
    statements::{Counts, Statements},
};

/// The password of the admin of a guarded server.
pub const PASSWORD: &str = "correct horse battery";
/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server with an empty database.
pub struct TestServer {
    pub base: String,
    pub database_url: String,
    pub http: Client,
    pub pool: PgPool,
    server: Option<Server>,
    directory: TempDir,
    settings: Settings,
}

impl TestServer {
    pub async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    pub async fn start_with_token(token: Option<&str>) -> Self {
        Self::start_with(|settings| settings.ingest_token = token.map(str::to_owned)).await
    }

    /// Starts one that asks for a login, and logs in as its admin.
    pub async fn start_guarded() -> Self {
        Self::start_with(|settings| {
            settings.login = Some("accounts".to_owned());
            settings.admin_password = Some(PASSWORD.to_owned());
        })
        .await
    }

    /// Starts one whose settings differ from the usual ones of a test.
    pub async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        let directory = TempDir::new().unwrap();
        let database_url = new_database().await;
        let pool = PgPool::connect(&database_url).await.unwrap();
        let mut settings = settings(&database_url, directory.path());
        change(&mut settings);
        let mut this = Self { base: String::new(), database_url, http: client(), pool, server: None, directory, settings };
        this.launch().await;
        this
    }

    /// Starts a second server on the same database.
    pub async fn another(&self) -> Self {
        self.another_with(|_| ()).await
    }

    /// The same, with settings that differ.
    pub async fn another_with(&self, change: impl FnOnce(&mut Settings)) -> Self {
        let directory = TempDir::new().unwrap();
        let mut settings = Settings { data_dir: Some(directory.path().to_owned()), ..self.settings.clone() };
        change(&mut settings);
        let mut this = Self {
            base: String::new(),
            database_url: self.database_url.clone(),
            http: client(),
            pool: self.pool.clone(),
            server: None,
            directory,
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

    /// The same, though it may not become ready.
    pub async fn restart_without_waiting(&mut self) {
        self.server.take().unwrap().stop().await;
        self.begin().await;
    }

    /// Stops the server, does something while none runs, and starts it again.
    pub async fn stop_and(&mut self, meanwhile: impl AsyncFnOnce()) {
        self.server.take().unwrap().stop().await;
        meanwhile().await;
        self.launch().await;
    }

    /// The directory that the server has to itself.
    pub fn data_dir(&self) -> &Path {
        self.directory.path()
    }

    async fn begin(&mut self) {
        let server = Server::start(Config::load(self.settings.clone()).unwrap()).await.unwrap();
        self.base = format!("http://{}", server.addr);
        self.server = Some(server);
    }

    async fn launch(&mut self) {
        self.begin().await;
        if self.settings.login.as_deref() == Some("accounts") {
            // Tries are counted, so that there is one.
            let accounts = async || sqlx::query("select from accounts").fetch_all(&self.pool).await;
            self.until("the admin is there", async || accounts().await.is_ok_and(|rows| !rows.is_empty())).await;
            self.http = client_of(&self.log_in("admin", PASSWORD).await.unwrap());
        }
        if self.settings.login.as_deref() == Some("oidc") {
            // Nobody has a session yet who could ask.
            let tables = async || sqlx::query("select from login_attempts").fetch_all(&self.pool).await.is_ok();
            self.until("the tables are there", tables).await;
        } else if self.settings.login.as_deref() != Some("proxy") {
            self.until("the server is ready", async || self.get("/readyz").await.status() == StatusCode::OK).await;
        }
    }

    /// Logs in as a browser does, and gives the cookie.
    pub async fn log_in(&self, name: &str, password: &str) -> Option<String> {
        let form = format!("name={name}&password={}&next=/monitoring", password.replace(' ', "+"));
        let request = stranger().post(format!("{}/login", self.base)).header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(form).send().await.ok()?;
        let cookie = answer.headers().get("set-cookie").filter(|_| answer.status() == StatusCode::SEE_OTHER)?;
        Some(cookie.to_str().unwrap().split(';').next().unwrap().to_owned())
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

    /// Watches with a cookie or a token.
    pub async fn watch_as(&self, credential: &str) -> Watcher {
        Watcher::connect_as(&self.base, "", Some(credential)).await
    }

    /// Everything in a table, as text.
    pub async fn text_of(&self, table: &str) -> String {
        let sql = format!("select coalesce(string_agg(t::text, ' '), '') from {table} t");
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&self.pool).await.unwrap()
    }

    /// Lets nobody into the database, and throws out who is in it.
    pub async fn take_database_away(&self) {
        self.alter_database("false").await;
    }

    /// Takes it back.
    pub async fn give_database_back(&self) {
        self.alter_database("true").await;
    }

    async fn alter_database(&self, allowed: &str) {
        let options: sqlx::postgres::PgConnectOptions = self.database_url.parse().unwrap();
        let name = options.get_database().unwrap().to_owned();
        let mut admin = sqlx::PgConnection::connect_with(&options.database("postgres")).await.unwrap();
        // The second only when the first holds, else somebody comes back in between.
        for sql in [
            format!("alter database {name} with allow_connections {allowed}"),
            format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}' and not {allowed}"),
        ] {
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut admin).await.unwrap();
        }
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

/// A client that shows nothing, and stays where it is led away.
pub fn stranger() -> Client {
    with_headers(reqwest::header::HeaderMap::new())
}

/// A client that shows a cookie, or a token, with every request.
pub fn client_of(credential: &str) -> Client {
    let (name, value) = match credential.contains('=') {
        true => ("cookie", credential.to_owned()),
        false => ("authorization", format!("Bearer {credential}")),
    };
    with_headers([(name.parse().unwrap(), value.parse().unwrap())].into_iter().collect())
}

fn with_headers(headers: reqwest::header::HeaderMap) -> Client {
    let without_redirects = reqwest::redirect::Policy::none();
    Client::builder().timeout(PATIENCE).redirect(without_redirects).default_headers(headers).build().unwrap()
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
