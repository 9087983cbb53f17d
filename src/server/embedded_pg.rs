//! A private Postgres that lives and dies with this process.
//!
//! **Promises.** It is reached through a socket in a directory that only its user may enter, never by network. As root it runs as an
//! unprivileged user. It writes with fsync. It ends when this process ends, however that happens, and the next start recovers it. If it
//! dies alone it is started again.
//!
//! **How.** `postgres` is a direct child, in a process group of its own so that Ctrl-C reaches us first, with a parent-death signal.
//! That signal follows the *thread* that forked, so a thread of its own starts the child and stays.

use std::{
    fs, io,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Gid, Pid, Uid, User, chown, geteuid},
};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

const DATABASE: &str = "taskscope";
/// A socket's path may have 107 bytes; this leaves room for the file's name.
const LONGEST_SOCKET_DIR: usize = 88;
/// How long an orderly stop may take before it is forced.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// The running cluster. Dropping it stops it.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    socket_dir: PathBuf,
    stop: mpsc::Sender<()>,
    keeper: Option<thread::JoinHandle<()>>,
}

impl EmbeddedPostgres {
    /// Starts the cluster in a data directory that is ours alone, after making it where it is missing, and waits until it takes
    /// connections.
    ///
    /// # Errors
    /// A sentence that says what to do: there are no Postgres programs, or the cluster doesn't start.
    pub async fn start(base: &Path) -> anyhow::Result<Self> {
        let user = ServerUser::pick()?;
        user.let_through(base)?;
        let data = base.join("data");
        let major = fs::read_to_string(data.join("PG_VERSION")).ok().map(|text| text.trim().to_owned());
        let programs = find_programs(major.as_deref())?;
        if major.is_none() {
            make_cluster(user, &programs, base, &data)?;
        }
        let socket_dir = prepare_socket_dir(user, base, &data)?;
        let server = Server { user, programs, data, socket_dir: socket_dir.clone(), log: base.join("postgres.log") };
        let (stop, stopped) = mpsc::channel();
        let (started, first_start) = mpsc::channel();
        let keeper = thread::Builder::new().name("postgres".to_owned()).spawn(move || server.keep(&started, &stopped))?;
        let cluster = Self { socket_dir, stop, keeper: Some(keeper) };
        first_start.recv().context("the thread of Postgres ended")?.context("postgres can't be started")?;
        cluster.make_database().await.with_context(|| {
            format!("the embedded Postgres did not come up; its log is {}", base.join("postgres.log").display())
        })?;
        Ok(cluster)
    }

    /// How another process on this machine connects to the cluster of a running server's data directory.
    ///
    /// # Errors
    /// No server runs there.
    pub fn of_running_server(base: &Path) -> anyhow::Result<PgConnectOptions> {
        let socket_dir = base.join("run");
        if !socket_dir.join(".s.PGSQL.5432").exists() {
            bail!(
                "no Taskscope with a database of its own runs in {}: start one, or name a server with DATABASE_URL",
                base.display()
            );
        }
        Ok(connect_through(&socket_dir, DATABASE))
    }

    /// How to connect.
    #[must_use]
    pub fn options(&self) -> PgConnectOptions {
        self.options_for(DATABASE)
    }

    fn options_for(&self, database: &str) -> PgConnectOptions {
        connect_through(&self.socket_dir, database)
    }

    async fn make_database(&self) -> anyhow::Result<()> {
        let patience = Instant::now() + Duration::from_secs(60);
        let mut connection = loop {
            match PgConnection::connect_with(&self.options_for("postgres")).await {
                Ok(connection) => break connection,
                Err(error) if Instant::now() > patience => return Err(error.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(25)).await,
            }
        };
        let known: Option<i32> = sqlx::query_scalar("select 1 from pg_database where datname = $1")
            .bind(DATABASE)
            .fetch_optional(&mut connection)
            .await?;
        if known.is_none() {
            sqlx::query("create database taskscope").execute(&mut connection).await?;
        }
        connection.close().await?;
        Ok(())
    }
}

fn connect_through(socket_dir: &Path, database: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass().socket(socket_dir).port(5432).username("postgres").database(database)
}

impl Drop for EmbeddedPostgres {
    fn drop(&mut self) {
        // The keeper is gone already if it couldn't start the server.
        let _ = self.stop.send(());
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

/// Whom the server runs as: ourselves, or for root an unprivileged user, since Postgres refuses root.
#[derive(Debug, Clone, Copy)]
struct ServerUser(Option<(Uid, Gid)>);

impl ServerUser {
    fn pick() -> anyhow::Result<Self> {
        if !geteuid().is_root() {
            return Ok(Self(None));
        }
        let user = User::from_name("postgres")?
            .or(User::from_name("nobody")?)
            .context("Postgres refuses to run as root, and there is neither a user postgres nor nobody to run it as")?;
        Ok(Self(Some((user.uid, user.gid))))
    }

    /// Makes a directory the server's alone.
    fn own(self, directory: &Path) -> anyhow::Result<()> {
        if let Some((uid, gid)) = self.0 {
            chown(directory, Some(uid), Some(gid))
                .with_context(|| format!("{} can't be given to Postgres", directory.display()))?;
        }
        set_mode(directory, 0o700)
    }

    /// Lets the server pass through our directory, without seeing what else is in it.
    fn let_through(self, directory: &Path) -> anyhow::Result<()> {
        set_mode(directory, if self.0.is_some() { 0o711 } else { 0o700 })
    }

    fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").stdin(Stdio::null()).process_group(0);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG")) {
            command.env_remove(name);
        }
        if let Some((uid, gid)) = self.0 {
            // The standard library drops root's supplementary groups with this.
            command.uid(uid.as_raw()).gid(gid.as_raw());
        }
        command
    }
}

fn set_mode(path: &Path, mode: u32) -> anyhow::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).with_context(|| format!("{} can't be protected", path.display()))
}

/// The directory with `initdb` and `postgres`: from `POSTGRES_BIN_DIR`, the path, or where packages put them, newest first. A cluster
/// opens with its own major version only.
fn find_programs(major: Option<&str>) -> anyhow::Result<PathBuf> {
    let mut directories: Vec<PathBuf> = std::env::var_os("POSTGRES_BIN_DIR").map(PathBuf::from).into_iter().collect();
    directories.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    let mut packaged: Vec<PathBuf> = ["/usr/lib/postgresql", "/usr/local/lib/postgresql", "/opt/homebrew/opt"]
        .into_iter()
        .flat_map(|root| fs::read_dir(root).into_iter().flatten().flatten())
        .map(|entry| entry.path().join("bin"))
        .collect();
    packaged.sort_by_key(|bin| std::cmp::Reverse(version_in(bin)));
    directories.extend(packaged);
    let found = directories
        .into_iter()
        .filter(|bin| bin.join("initdb").is_file() && bin.join("postgres").is_file())
        .find(|bin| major.is_none_or(|major| major_of(bin).as_deref() == Some(major)));
    found.with_context(|| match major {
        Some(major) => format!(
            "the data directory was made by Postgres {major}, whose programs are not here: install the package postgresql-{major}, or set \
             POSTGRES_BIN_DIR to their directory, or DATABASE_URL to a server"
        ),
        None => "no Postgres programs (initdb, postgres) are here: install the package postgresql, or set POSTGRES_BIN_DIR to their \
                 directory, or DATABASE_URL to a server"
            .to_owned(),
    })
}

/// The number in a path such as `/usr/lib/postgresql/15/bin`.
fn version_in(bin: &Path) -> u32 {
    let directory = bin.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
    directory.trim_start_matches("postgresql@").parse().unwrap_or(0)
}

/// The major version of `postgres (PostgreSQL) 15.18 (Debian …)`.
fn major_of(bin: &Path) -> Option<String> {
    let output = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let version = text.split_whitespace().nth(2)?;
    Some(version.chars().take_while(char::is_ascii_digit).collect())
}

/// Makes the cluster beside its place and moves it there, so that a half-made one is never taken for one.
fn make_cluster(user: ServerUser, programs: &Path, base: &Path, data: &Path) -> anyhow::Result<()> {
    let unfinished = base.join("data.tmp");
    gone(fs::remove_dir_all(&unfinished)).context("an unfinished cluster can't be removed")?;
    fs::create_dir(&unfinished)?;
    user.own(&unfinished)?;
    let output = user
        .command(&programs.join("initdb"))
        .arg("-D")
        .arg(&unfinished)
        .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale"])
        .output()?;
    if !output.status.success() {
        bail!(
            "initdb failed: {}\n(The directory must be reachable for the user that Postgres runs as: not below root's home.)",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    fs::rename(&unfinished, data)?;
    Ok(())
}

/// Clears what a killed server left behind and makes the directory of the socket.
fn prepare_socket_dir(user: ServerUser, base: &Path, data: &Path) -> anyhow::Result<PathBuf> {
    clear_stale(data)?;
    let usual = base.join("run");
    let directory = if usual.as_os_str().len() <= LONGEST_SOCKET_DIR {
        usual
    } else {
        std::env::temp_dir().join(format!("taskscope-{}", std::process::id()))
    };
    gone(fs::remove_dir_all(&directory)).context("the directory of the socket can't be made anew")?;
    fs::create_dir(&directory).with_context(|| format!("{} can't be made", directory.display()))?;
    user.own(&directory)?;
    Ok(directory)
}

/// Waits for the processes of an earlier server to end, and removes the file that would keep a new one from starting: its process id may
/// belong to somebody else by now. We hold the lock, so whatever runs here is a leftover.
fn clear_stale(data: &Path) -> anyhow::Result<()> {
    let data = fs::canonicalize(data)?;
    let file = data.join("postmaster.pid");
    let Ok(text) = fs::read_to_string(&file) else { return Ok(()) };
    let postmaster: Option<i32> = text.lines().next().and_then(|line| line.trim().parse().ok());
    let patience = Instant::now() + Duration::from_secs(30);
    let mut asked = false;
    loop {
        let running = processes_in(&data);
        if running.is_empty() {
            break;
        }
        if let Some(pid) = postmaster.filter(|pid| running.contains(pid) && !asked) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
            asked = true;
        }
        if Instant::now() > patience {
            bail!("processes of an earlier Postgres ({running:?}) don't end: stop them");
        }
        thread::sleep(Duration::from_millis(20));
    }
    gone(fs::remove_file(file)).context("postmaster.pid can't be removed")
}

/// An ending server may have removed its files itself meanwhile.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Every process of a cluster has the data directory as its working directory; a zombie has none.
fn processes_in(data: &Path) -> Vec<i32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|directory| directory == data))
        .collect()
}

/// What the keeper thread needs to start the server, again and again.
struct Server {
    user: ServerUser,
    programs: PathBuf,
    data: PathBuf,
    socket_dir: PathBuf,
    log: PathBuf,
}

impl Server {
    /// Runs the server until told to stop. If it dies alone, it is started again after a pause.
    fn keep(&self, started: &mpsc::Sender<io::Result<()>>, stop: &mpsc::Receiver<()>) {
        let mut pause = Duration::from_millis(250);
        loop {
            let begun = Instant::now();
            match self.spawn() {
                Ok(mut child) => {
                    let _ = started.send(Ok(()));
                    if self.watch(&mut child, stop) {
                        return;
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "the embedded Postgres can't be started");
                    let _ = started.send(Err(error));
                }
            }
            if begun.elapsed() > Duration::from_secs(30) {
                pause = Duration::from_millis(250);
            }
            if !matches!(stop.recv_timeout(pause), Err(mpsc::RecvTimeoutError::Timeout)) {
                return;
            }
            pause = (pause * 2).min(Duration::from_secs(5));
            if let Err(error) = clear_stale(&self.data) {
                tracing::error!(%error, "the embedded Postgres left something behind");
            }
        }
    }

    /// Whether it was told to stop, and did.
    fn watch(&self, child: &mut Child, stop: &mpsc::Receiver<()>) -> bool {
        loop {
            match stop.recv_timeout(Duration::from_millis(100)) {
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    if let Ok(Some(status)) = child.try_wait() {
                        tracing::error!(%status, log = %self.log.display(), "the embedded Postgres died and is started again");
                        return false;
                    }
                }
                _ => {
                    stop_server(child);
                    return true;
                }
            }
        }
    }

    #[expect(unsafe_code, reason = "a parent-death signal can only be set between fork and exec")]
    fn spawn(&self) -> io::Result<Child> {
        let log = fs::OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = self.user.command(&self.programs.join("postgres"));
        command
            .arg("-D")
            .arg(&self.data)
            .args(["-c", "listen_addresses=", "-c", "unix_socket_permissions=0700", "-c", "timezone=UTC", "-c", "fsync=on"])
            .args(["-c", "max_connections=50", "-c", "shared_buffers=256MB", "-c", "max_wal_size=2GB"])
            .arg("-c")
            .arg(format!("unix_socket_directories={}", self.socket_dir.display()))
            .stdout(log.try_clone()?)
            .stderr(log);
        // SAFETY: only async-signal-safe calls happen between fork and exec. It runs after setuid, which would clear the signal.
        unsafe {
            let parent = libc::getpid();
            command.pre_exec(move || {
                if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGINT) != 0 {
                    return Err(io::Error::last_os_error());
                }
                if libc::getppid() != parent {
                    return Err(io::Error::other("the parent is gone"));
                }
                Ok(())
            });
        }
        command.spawn()
    }
}

/// An orderly stop that ends connections; a forced one if that takes too long.
fn stop_server(child: &mut Child) {
    let Ok(pid) = i32::try_from(child.id()).map(Pid::from_raw) else { return };
    let patience = Instant::now() + STOP_LIMIT;
    let _ = kill(pid, Signal::SIGINT);
    while Instant::now() < patience {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    let _ = kill(pid, Signal::SIGQUIT);
    let _ = child.wait();
}
