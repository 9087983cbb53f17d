//! The program under measurement.

use std::{
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::Context;
use reqwest::Client;
use sqlx::{PgPool, postgres::PgConnectOptions};
use tempfile::TempDir;

/// A running `taskscope` on an empty directory.
pub(crate) struct Program {
    pub(crate) base: String,
    pub(crate) http: Client,
    pub(crate) pool: PgPool,
    child: Child,
    _directory: TempDir,
}

impl Program {
    /// The server alone.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        Self::start_with("false").await
    }

    /// The server with its own worker.
    pub(crate) async fn start_working() -> anyhow::Result<Self> {
        Self::start_with("true").await
    }

    async fn start_with(worker: &str) -> anyhow::Result<Self> {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        let directory = TempDir::new()?;
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755))?;
        let data = directory.path().join("data");
        let addr = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let child = Command::new(root.join("target/release/taskscope"))
            .current_dir(&root)
            .env_remove("DATABASE_URL")
            .env("TASKSCOPE_ADDR", addr.to_string())
            .env("TASKSCOPE_DATA_DIR", &data)
            .env("TASKSCOPE_WORKER", worker)
            .stdout(Stdio::null())
            .spawn()
            .context("there is no release build to measure: call make build first")?;
        let http = Client::builder().pool_max_idle_per_host(256).build()?;
        let base = format!("http://{addr}");
        while !http.get(format!("{base}/readyz")).send().await.is_ok_and(|answer| answer.status().is_success()) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let options =
            PgConnectOptions::new_without_pgpass().socket(data.join("run")).port(5432).username("postgres").database("taskscope");
        let pool = PgPool::connect_with(options).await?;
        Ok(Self { base, http, pool, child, _directory: directory })
    }

    /// Resident memory.
    pub(crate) fn memory(&self) -> anyhow::Result<String> {
        Ok(format!("{:.0} MB", self.megabytes()?))
    }

    /// Resident memory, in megabytes.
    pub(crate) fn megabytes(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kilobytes / 1024.0)
    }

    pub(crate) async fn post(&self, path: &str, body: String) -> anyhow::Result<()> {
        let request = self.http.post(format!("{}{path}", self.base)).header("content-type", "application/json");
        request.body(body).send().await?.error_for_status()?;
        Ok(())
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<usize> {
        Ok(self.http.get(format!("{}{path}", self.base)).send().await?.error_for_status()?.bytes().await?.len())
    }

    /// Waits until everything that was accepted is in Postgres.
    pub(crate) async fn stored(&self) -> anyhow::Result<()> {
        loop {
            let text = self.http.get(format!("{}/metrics", self.base)).send().await?.text().await?;
            if text.contains("taskscope_spool_events 0") {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Postgres ends with its parent.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
