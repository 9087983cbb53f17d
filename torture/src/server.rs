//! The server under torture: the program itself, as a process.

use std::{
    fs::OpenOptions,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use chrono::{TimeDelta, Utc};
use nix::sys::signal::{Signal, kill};
use reqwest::Client;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde::de::DeserializeOwned;
use taskscope_wire::Metrics;

use crate::{clock::Clock, delivery::TOKEN, postgres::pid_of};

/// How long a server may take to answer, and to be ready.
const PATIENCE: Duration = Duration::from_secs(120);

/// The program on its directory and its port, running or not. Dropping it ends it.
#[derive(Debug)]
pub struct Server {
    /// Where it serves.
    pub port: u16,
    /// What its directory is: `data` for it, and the log.
    pub directory: PathBuf,
    program: PathBuf,
    database_url: String,
    http: Client,
    child: Option<Child>,
}

impl Server {
    /// Prepares a server.
    ///
    /// # Errors
    /// There is no free port, or no directory.
    pub fn new(program: &Path, directory: &Path, database_url: String) -> anyhow::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
        Ok(Self { port, directory: directory.to_owned(), program: program.to_owned(), database_url, http, child: None })
    }

    /// Starts it.
    ///
    /// # Errors
    /// The program is missing.
    pub(crate) fn start(&mut self, clock: &Clock) -> anyhow::Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(self.log())?;
        let mut command = self.command();
        command.env("LD_PRELOAD", &clock.library).env("TORTURE_CLOCK", &clock.file).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("{} can't be started", self.program.display()))?;
        self.child = Some(child);
        Ok(())
    }

    /// The program with the settings of this server.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")))
            .env("DATABASE_URL", &self.database_url)
            .env("TASKSCOPE_ADDR", format!("127.0.0.1:{}", self.port))
            .env("TASKSCOPE_DATA_DIR", self.directory.join("data"))
            .env("TASKSCOPE_INGEST_TOKEN", TOKEN)
            // What its own tasks do would mix with what producers report.
            .env("TASKSCOPE_WORKER", "false");
        command
    }

    /// What it and those before it on this directory have said.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// Ends it without giving it a chance.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Ends it in order.
    ///
    /// # Errors
    /// It doesn't end in time.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        kill(pid_of(&child), Signal::SIGTERM)?;
        let began = Instant::now();
        while child.try_wait()?.is_none() {
            ensure!(began.elapsed() < PATIENCE, "the server doesn't stop");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Whether it ended by itself, which it never should.
    #[must_use]
    pub fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| !matches!(child.try_wait(), Ok(None)))
    }

    /// Waits until it answers, even if its database doesn't.
    ///
    /// # Errors
    /// It ended, or doesn't answer in time.
    pub async fn answers(&mut self) -> anyhow::Result<()> {
        self.wait_for("/healthz").await
    }

    /// Waits until its database answers too.
    ///
    /// # Errors
    /// It ended, or isn't ready in time.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        self.wait_for("/readyz").await
    }

    async fn wait_for(&mut self, path: &str) -> anyhow::Result<()> {
        let began = Instant::now();
        let url = self.url(path);
        while !self.http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            ensure!(!self.has_ended(), "the server ended by itself; its log is {}", self.log().display());
            ensure!(began.elapsed() < PATIENCE, "no good answer from {path} within {} s", PATIENCE.as_secs());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Waits until it tells of a moment that is so many hours from now, by its clock.
    ///
    /// # Errors
    /// It doesn't: its clock can't be set.
    pub async fn shows_time(&self, hours: i64) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            // What it is asked for comes from Postgres, which may be on its way back.
            if let Ok(metrics) = self.ask::<Metrics>("/api/v1/monitoring/metrics").await {
                let off = metrics.generated_at - Utc::now() - TimeDelta::hours(hours);
                if off.abs() < TimeDelta::seconds(30) {
                    return Ok(());
                }
            }
            ensure!(began.elapsed() < PATIENCE, "the server's clock isn't {hours} hours off");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What a path of the API answers.
    ///
    /// # Errors
    /// It doesn't, or with something else.
    pub async fn ask<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let answer = self.http.get(self.url(path)).header("access-token", TOKEN).send().await?;
        let (status, body) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "{path}: {status} {body}");
        serde_json::from_str(&body).with_context(|| format!("{path}: {body}"))
    }

    /// Events that it has taken and not yet stored.
    ///
    /// # Errors
    /// It doesn't answer.
    pub async fn waiting(&self) -> anyhow::Result<u64> {
        let text = self.http.get(self.url("/metrics")).send().await?.error_for_status()?.text().await?;
        let line = text.lines().find_map(|line| line.strip_prefix("taskscope_spool_events "));
        Ok(line.context("/metrics doesn't say how many events wait")?.parse::<f64>()? as u64)
    }

    /// Sets the size, in bytes, that no file may grow beyond that it writes; none takes the limit away.
    ///
    /// # Errors
    /// It doesn't run.
    pub fn limit_files(&self, bytes: Option<u64>) -> anyhow::Result<()> {
        let child = self.child.as_ref().context("the server doesn't run")?;
        let pid = Pid::from_raw(child.id().cast_signed());
        prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None })?;
        Ok(())
    }

    /// Its memory in megabytes: what it has now, and the most that it had.
    ///
    /// # Errors
    /// It doesn't run.
    pub fn memory(&self) -> anyhow::Result<[f64; 2]> {
        let child = self.child.as_ref().context("the server doesn't run")?;
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()))?;
        let megabytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
            Ok::<_, anyhow::Error>(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
        };
        Ok([megabytes("VmRSS:")?, megabytes("VmHWM:")?])
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
