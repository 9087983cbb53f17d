//! A Postgres of the harness's own, so that it can be stopped, frozen and taken away without the server having a say.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, User, geteuid},
};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

/// The database.
pub(crate) const DATABASE: &str = "torture";
/// How long a start may take, with what has to be recovered.
const PATIENCE: Duration = Duration::from_secs(120);

/// A cluster in a directory, running or not. Dropping it ends it.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    base: PathBuf,
    child: Option<Child>,
}

impl Postgres {
    /// Makes a cluster in an empty directory and starts it.
    ///
    /// # Errors
    /// There are no Postgres programs, or they fail.
    pub async fn start(base: &Path) -> anyhow::Result<Self> {
        let mut this = Self { programs: find_programs()?, base: base.to_owned(), child: None };
        fs::create_dir_all(base)?;
        if let Some(user) = unprivileged()? {
            chown(base, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
        }
        let mut initdb = this.command("initdb")?;
        initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale"]);
        let made = initdb.stdout(Stdio::null()).status()?;
        ensure!(made.success(), "initdb failed");
        this.start_again().await?;
        let mut connection = PgConnection::connect_with(&this.options().database("postgres")).await?;
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("create database {DATABASE}"))).execute(&mut connection).await?;
        connection.close().await?;
        Ok(this)
    }

    /// Starts it and waits until it takes connections.
    ///
    /// # Errors
    /// It doesn't start in time.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.base.with_extension("log"))?;
        let mut command = self.command("postgres")?;
        let base = self.base.display();
        command
            .args(["-c", "listen_addresses=", "-c", "timezone=UTC", "-c", "fsync=on", "-c", "shared_buffers=128MB"])
            .args(["-c", "max_connections=50", "-c", &format!("unix_socket_directories={base}")])
            .stdout(log.try_clone()?)
            .stderr(log);
        self.child = Some(command.spawn().context("postgres can't be started")?);
        let began = Instant::now();
        while PgConnection::connect_with(&self.options().database("postgres")).await.is_err() {
            ensure!(
                began.elapsed() < PATIENCE,
                "Postgres doesn't take connections; its log is {}",
                self.base.with_extension("log").display()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Ends it at once, as an immediate stop does: it writes nothing, and has to recover at the next start.
    ///
    /// # Errors
    /// It doesn't end.
    pub async fn stop_at_once(&mut self) -> anyhow::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        kill(pid_of(&child), Signal::SIGQUIT)?;
        let ended = tokio::task::spawn_blocking(move || child.wait()).await?;
        ended.context("Postgres doesn't end")?;
        let began = Instant::now();
        // The next one refuses to start beside processes of this one.
        while !self.processes().is_empty() {
            ensure!(began.elapsed() < PATIENCE, "processes of Postgres don't end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Stops every process of it where it is, or lets them go on.
    pub fn freeze(&self, frozen: bool) {
        let signal = if frozen { Signal::SIGSTOP } else { Signal::SIGCONT };
        for pid in self.processes() {
            // One that has just ended needs none.
            let _ = kill(pid, signal);
        }
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.base.join(".s.PGSQL.5432")
    }

    /// How to connect past every network.
    #[must_use]
    pub fn options(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass().socket(&self.base).port(5432).username("postgres").database(DATABASE)
    }

    fn command(&self, program: &str) -> anyhow::Result<Command> {
        let mut command = Command::new(self.programs.join(program));
        // A group of its own: Ctrl-C is for the harness, which ends it in order.
        command.arg("-D").arg(self.base.join("data")).current_dir("/").stdin(Stdio::null()).process_group(0);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG")) {
            command.env_remove(name);
        }
        if let Some(user) = unprivileged()? {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        Ok(command)
    }

    /// All its processes: they have the data directory as their working directory.
    fn processes(&self) -> Vec<Pid> {
        let Ok(data) = fs::canonicalize(self.base.join("data")) else { return Vec::new() };
        let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|place| place == data)).map(Pid::from_raw).collect()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.freeze(false);
        if let Some(child) = &mut self.child {
            let _ = kill(pid_of(child), Signal::SIGQUIT);
            let _ = child.wait();
        }
    }
}

/// The process id of a child.
#[must_use]
pub(crate) fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}

/// Lets Postgres, which runs as somebody else, pass through a directory.
///
/// # Errors
/// It isn't ours.
pub(crate) fn let_through(directory: &Path) -> std::io::Result<()> {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755))
}

/// Whom Postgres runs as instead of root, which it refuses.
fn unprivileged() -> anyhow::Result<Option<User>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let user = User::from_name("postgres")?.or(User::from_name("nobody")?);
    Ok(Some(user.context("Postgres refuses to run as root, and there is neither a user postgres nor nobody")?))
}

/// The directory of `initdb` and `postgres`: from `POSTGRES_BIN_DIR`, the path, or where packages put them, newest first.
fn find_programs() -> anyhow::Result<PathBuf> {
    let mut directories: Vec<PathBuf> = std::env::var_os("POSTGRES_BIN_DIR").map(PathBuf::from).into_iter().collect();
    directories.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    let mut packaged: Vec<PathBuf> =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    packaged.sort_by_key(|path| std::cmp::Reverse(path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok())));
    directories.extend(packaged.into_iter().map(|path| path.join("bin")));
    match directories.into_iter().find(|place| place.join("initdb").is_file() && place.join("postgres").is_file()) {
        Some(place) => Ok(place),
        None => {
            bail!("no Postgres programs (initdb, postgres) are here: install the package postgresql, or set POSTGRES_BIN_DIR")
        }
    }
}
