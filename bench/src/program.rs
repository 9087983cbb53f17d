//! The program under measurement.

use std::{
    net::TcpListener,
    ops::Sub,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use procfs::process::{Stat, all_processes};
use reqwest::Client;
use serde::de::DeserializeOwned;
use sqlx::{PgPool, postgres::PgConnectOptions};
use tempfile::TempDir;

/// How long starting and stopping may take: after a crash, Postgres first reads what it had logged.
const PATIENCE: Duration = Duration::from_secs(300);

/// A running `taskscope`.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) base: String,
    pub(crate) http: Client,
    pub(crate) pool: PgPool,
    child: Child,
    _directory: Option<TempDir>,
}

/// Seconds of processor time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Processor {
    pub(crate) server: f64,
    pub(crate) postgres: f64,
    pub(crate) bench: f64,
}

impl Sub for Processor {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        let Self { server, postgres, bench } = before;
        Self { server: self.server - server, postgres: self.postgres - postgres, bench: self.bench - bench }
    }
}

/// The workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(1).unwrap_or(Path::new(".")).to_owned()
}

impl Program {
    /// The server alone, on an empty directory.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        Self::start_with("false").await
    }

    /// The server with its own worker, on an empty directory.
    pub(crate) async fn start_working() -> anyhow::Result<Self> {
        Self::start_with("true").await
    }

    /// The server alone, on a directory that stays. It keeps executions for longer than data sets live.
    pub(crate) async fn on(directory: &Path) -> anyhow::Result<Self> {
        Self::run(directory, "false", None).await
    }

    async fn start_with(worker: &str) -> anyhow::Result<Self> {
        let directory = TempDir::new()?;
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755))?;
        Self::run(&directory.path().join("data"), worker, Some(directory)).await
    }

    async fn run(data: &Path, worker: &str, directory: Option<TempDir>) -> anyhow::Result<Self> {
        let addr = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let program =
            std::env::var_os("TASKSCOPE_PROGRAM").map_or_else(|| root().join("target/release/taskscope"), PathBuf::from);
        let child = Command::new(&program)
            .current_dir(root())
            .env_remove("DATABASE_URL")
            .env("TASKSCOPE_ADDR", addr.to_string())
            .env("TASKSCOPE_DATA_DIR", data)
            .env("TASKSCOPE_WORKER", worker)
            .env("TASK_LOG_RETENTION_DAYS", "60")
            // What is slow is told by the figures.
            .env("RUST_LOG", "error")
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("{} is missing: call make build first", program.display()))?;
        let http = Client::builder().pool_max_idle_per_host(256).build()?;
        let base = format!("http://{addr}");
        let mut child = Ending(Some(child));
        let began = Instant::now();
        while !http.get(format!("{base}/readyz")).send().await.is_ok_and(|answer| answer.status().is_success()) {
            ensure!(child.is_running()?, "the program ended while it started, for the reason above");
            ensure!(began.elapsed() < PATIENCE, "the program isn't ready after {} s", PATIENCE.as_secs());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let child = child.0.take().context("the program runs")?;
        let usual = data.join("run");
        let socket = if usual.exists() { usual } else { std::env::temp_dir().join(format!("taskscope-{}", child.id())) };
        // A yardstick takes as long as it takes.
        let options = PgConnectOptions::new_without_pgpass().socket(socket).port(5432).username("postgres").database("taskscope");
        let pool = PgPool::connect_with(options.options([("statement_timeout", "0")])).await?;
        Ok(Self { base, http, pool, child, _directory: directory })
    }

    /// Ends it in order, so that the next start has nothing to recover.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.pool.close().await;
        kill(self.pid(), Signal::SIGTERM)?;
        let began = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(began.elapsed() < PATIENCE, "the program doesn't stop");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Resident memory, in megabytes.
    pub(crate) fn megabytes(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kilobytes / 1024.0)
    }

    /// Seconds of processor time that the server, Postgres with all its processes, and this program have used so far.
    pub(crate) fn processor(&self) -> anyhow::Result<Processor> {
        let seconds = |ticks: u64| ticks as f64 / procfs::ticks_per_second() as f64;
        let used = |stat: &Stat| seconds(stat.utime + stat.stime);
        let all: Vec<Stat> = all_processes()?.filter_map(|process| process.ok()?.stat().ok()).collect();
        let server = self.pid().as_raw();
        let children = |of: i32| all.iter().filter(move |stat| stat.ppid == of);
        let postgres = children(server).flat_map(|master| std::iter::once(master).chain(children(master.pid)));
        let of = |pid: i32| all.iter().find(|stat| stat.pid == pid).map(used).context("a process is gone");
        Ok(Processor {
            server: of(server)?,
            // One that ended, such as autovacuum's workers, counts with the process that waited for it.
            postgres: postgres.map(|stat| used(stat) + seconds((stat.cutime + stat.cstime).cast_unsigned())).sum(),
            bench: of(std::process::id().cast_signed())?,
        })
    }

    pub(crate) async fn post(&self, path: &str, body: String) -> anyhow::Result<()> {
        let request = self.http.post(format!("{}{path}", self.base)).header("content-type", "application/json");
        // Read to its end, so that the connection is used again.
        request.body(body).send().await?.error_for_status()?.bytes().await?;
        Ok(())
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<usize> {
        Ok(self.http.get(format!("{}{path}", self.base)).send().await?.error_for_status()?.bytes().await?.len())
    }

    /// What a path of the API answers.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let answer = self.http.get(format!("{}{path}", self.base)).send().await?;
        let (status, body) = (answer.status(), answer.bytes().await?);
        ensure!(status.is_success(), "{path}: {status} {}", String::from_utf8_lossy(&body));
        Ok(serde_json::from_slice(&body)?)
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

/// A program that is still starting; it ends if that fails.
struct Ending(Option<Child>);

impl Ending {
    fn is_running(&mut self) -> anyhow::Result<bool> {
        Ok(self.0.as_mut().is_some_and(|child| child.try_wait().is_ok_and(|status| status.is_none())))
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
