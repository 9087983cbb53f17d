//! Clusters of Postgres in temporary directories. They end with this process; their files are cleared away by the next run.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, User, geteuid},
};
use sqlx::{Connection, PgConnection};
use tokio::sync::OnceCell;

pub struct Cluster {
    directory: PathBuf,
    server: Child,
}

impl Cluster {
    /// The one that all tests share but those that stop it.
    pub async fn shared() -> &'static Self {
        static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
        CLUSTER.get_or_init(|| async { Self::start("shared").await }).await
    }

    pub async fn start(name: &str) -> Self {
        clear_leftovers();
        let directory = std::env::temp_dir().join(format!("taskscope-workload-test-{}-{name}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
        if let Some(user) = server_user() {
            chown(&directory, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        }
        let data = directory.join("data");
        let mut initdb = command("initdb");
        initdb.arg("-D").arg(&data).args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]);
        let output = initdb.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let server = spawn(&directory);
        let this = Self { directory, server };
        this.wait().await;
        this
    }

    /// The URL of a database that nobody else uses.
    pub async fn new_database(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut connection = PgConnection::connect(&self.url("postgres")).await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(format!("create database {name}"))).execute(&mut connection).await.unwrap();
        self.url(&name)
    }

    /// Stops it without a goodbye to anybody.
    pub fn crash(&mut self) {
        kill(Pid::from_raw(self.server.id().try_into().unwrap()), Signal::SIGQUIT).unwrap();
        self.server.wait().unwrap();
    }

    /// Starts it again.
    pub async fn revive(&mut self) {
        self.server = spawn(&self.directory);
        self.wait().await;
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@localhost/{database}?host={}", self.directory.display())
    }

    async fn wait(&self) {
        super::until("Postgres answers", async || PgConnection::connect(&self.url("postgres")).await.is_ok()).await;
    }
}

/// The signal by which the server ends with this process follows the thread that starts it, so that one lives as long.
fn spawn(directory: &Path) -> Child {
    let directory = directory.to_owned();
    let (started, child) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let settings = ["listen_addresses=", "fsync=off", "max_connections=400", "timezone=UTC", "shared_buffers=64MB"];
        let log = fs::File::create(directory.join("log")).unwrap();
        let mut postgres = command("postgres");
        postgres.arg("-D").arg(directory.join("data")).args(settings.iter().flat_map(|setting| ["-c", setting]));
        postgres.arg("-c").arg(format!("unix_socket_directories={}", directory.display()));
        let child = postgres.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        started.send(child).unwrap();
        loop {
            thread::sleep(Duration::from_secs(3600));
        }
    });
    child.recv().unwrap()
}

/// A program of Postgres, as a user that it accepts.
fn command(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "INT"]).current_dir("/").stdin(Stdio::null());
    if let Some(user) = server_user() {
        command.args(["--reuid", &user.uid.to_string(), "--regid", &user.gid.to_string(), "--clear-groups"]);
    }
    command.arg(programs().join(program));
    command
}

fn server_user() -> Option<User> {
    let named = |name| User::from_name(name).unwrap();
    geteuid().is_root().then(|| named("postgres").or_else(|| named("nobody")).unwrap())
}

fn programs() -> PathBuf {
    let named = std::env::var_os("POSTGRES_BIN_DIR").map(PathBuf::from).into_iter();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let packaged = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    let mut all = named.chain(std::env::split_paths(&path)).chain(packaged);
    all.find(|bin| bin.join("initdb").is_file() && bin.join("postgres").is_file()).expect("the programs of Postgres")
}

fn clear_leftovers() {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix("taskscope-workload-test-")) else { continue };
        let pid = rest.split('-').next().unwrap_or_default();
        if !Path::new("/proc").join(pid).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
