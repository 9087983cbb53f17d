//! The program itself, as a process that can be killed.

use std::{
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use sqlx::{PgPool, postgres::PgConnectOptions};
use tempfile::TempDir;

use super::{client, until};

/// A directory that the unprivileged user of an embedded Postgres can reach.
pub fn data_directory() -> TempDir {
    let directory = TempDir::new().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

/// A running `taskscope` with its embedded Postgres.
pub struct Program {
    pub base: String,
    pub directory: PathBuf,
    child: Child,
    port: u16,
    settings: Vec<(&'static str, String)>,
}

/// The process was killed, and can be started again.
pub struct Killed;

impl Program {
    pub async fn start(directory: &Path) -> Self {
        Self::start_with(directory, &[]).await
    }

    /// Starts it with further settings, which it keeps when it is started again.
    pub async fn start_with(directory: &Path, settings: &[(&'static str, String)]) -> Self {
        let port = free_port();
        let mut command = command(directory, port);
        command.envs(settings.iter().map(|(name, value)| (name, value)));
        let this = Self {
            base: format!("http://127.0.0.1:{port}"),
            directory: directory.to_owned(),
            child: spawn(command),
            port,
            settings: settings.to_vec(),
        };
        this.ready().await;
        this
    }

    async fn once_ready(directory: &Path, port: u16, child: Child) -> Self {
        let base = format!("http://127.0.0.1:{port}");
        let this = Self { base, directory: directory.to_owned(), child, port, settings: Vec::new() };
        this.ready().await;
        this
    }

    /// Starts it as `make run` does: with its own worker and sample messages. What it logs is in `log` of the directory.
    pub async fn start_working(directory: &Path) -> Self {
        let port = free_port();
        let log = std::fs::File::create(directory.join("log")).unwrap();
        let mut command = command(directory, port);
        command.env("TASKSCOPE_WORKER", "true").env("TASKSCOPE_SAMPLE_DATA", "true");
        command.stdout(log.try_clone().unwrap()).stderr(log);
        Self::once_ready(directory, port, command.spawn().unwrap()).await
    }

    /// Starts it with what it logs in `log` of the directory.
    pub async fn start_logging(directory: &Path) -> Self {
        let port = free_port();
        let mut command = command(directory, port);
        command.stderr(std::fs::File::create(directory.join("log")).unwrap()).stdout(Stdio::null());
        Self::once_ready(directory, port, command.spawn().unwrap()).await
    }

    /// Starts it with outputs that take nothing, as files on a full disk, and as talkative as it can be.
    pub async fn start_with_full_log(directory: &Path) -> Self {
        let port = free_port();
        let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = command(directory, port);
        command.env("RUST_LOG", "debug").stdout(full()).stderr(full());
        Self::once_ready(directory, port, command.spawn().unwrap()).await
    }

    /// Starts it so that a file that reaches its largest size can't be written, as on a full disk, instead of ending the program.
    pub async fn start_with_limits_told(directory: &Path) -> Self {
        let port = free_port();
        let inner = command(directory, port);
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' XFSZ; exec \"$0\""]).arg(inner.get_program()).current_dir(env!("CARGO_MANIFEST_DIR"));
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        Self::once_ready(directory, port, spawn(shell)).await
    }

    /// Sets the size that no file may grow beyond that it writes: bytes, or `unlimited`.
    pub fn limit_files(&self, size: &str) {
        let mut limit = Command::new("prlimit");
        assert!(limit.args(["--pid", &self.pid().to_string(), &format!("--fsize={size}:")]).status().unwrap().success());
    }

    /// What a program that was started with [`Program::start_logging`] or [`Program::start_working`] has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap()
    }

    /// Sends a request, and gives status and answer.
    pub async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let request = client().request(method.parse().unwrap(), format!("{}{path}", self.base));
        let request = if let Some(body) = body { request.json(&body) } else { request };
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{method} {path}: {status} {text}")))
    }

    /// Asks its embedded Postgres.
    pub async fn pool(&self) -> PgPool {
        let options = PgConnectOptions::new().socket(self.directory.join("run")).username("postgres").database("taskscope");
        PgPool::connect_with(options).await.unwrap()
    }

    /// Starts it with a database that isn't there yet, and waits until it answers.
    pub async fn start_without_database(directory: &Path, url: &str) -> Self {
        let port = free_port();
        let mut command = command(directory, port);
        command.env("DATABASE_URL", url);
        let this = Self {
            base: format!("http://127.0.0.1:{port}"),
            directory: directory.to_owned(),
            child: spawn(command),
            port,
            settings: Vec::new(),
        };
        let (http, health) = (client(), format!("{}/healthz", this.base));
        until("the program answers", async || http.get(&health).send().await.is_ok()).await;
        this
    }

    /// Ends the process without giving it a chance.
    pub fn kill(&mut self) -> Killed {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        Killed
    }

    /// Starts it again.
    pub async fn restart(&mut self, _: Killed) {
        let mut command = command(&self.directory, self.port);
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        self.child = spawn(command);
        self.ready().await;
    }

    /// Starts a second one on the same directory, which must fail, and returns what it says.
    pub fn start_beside(&self) -> String {
        let output = command(&self.directory, 0).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    }

    /// A figure of `/metrics`, by its name with its labels.
    pub async fn figure(&self, name: &str) -> Option<f64> {
        let text = client().get(format!("{}/metrics", self.base)).send().await.ok()?.text().await.ok()?;
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    pub async fn ready(&self) {
        let http = client();
        let url = format!("{}/readyz", self.base);
        until("the program is ready", async || http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()))
            .await;
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid()), nix::sys::signal::Signal::SIGTERM);
        for _ in 0..100 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
    }
}

fn command(directory: &Path, port: u16) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taskscope"));
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("DATABASE_URL")
        .env("TASKSCOPE_ADDR", format!("127.0.0.1:{port}"))
        .env("TASKSCOPE_DATA_DIR", directory)
        // What the product's own worker does would mix with what a test reports.
        .env("TASKSCOPE_WORKER", "false");
    command
}

fn spawn(mut command: Command) -> Child {
    command.stdout(Stdio::null()).spawn().unwrap()
}

pub(super) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
