//! The configuration: `Leptos.toml`, then environment, then flags.

mod login;
mod nats;
mod oidc;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, ensure};
use clap::Args;
use leptos::{config::LeptosOptions, prelude::get_configuration};
use reqwest::Url;
use secrecy::SecretString;
use serde::Deserialize;
use taskscope_workload::WorkloadConfig;

pub use self::{nats::NatsConfig, oidc::OidcSettings};
use super::access::Login;

/// What can be set. In `Leptos.toml` the same names stand in a table `[taskscope]`, without the prefix and in lower case.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The Postgres server; without it Taskscope runs a private one in its data directory.
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Address and port to serve on [default: 127.0.0.1:3000].
    #[arg(long, env = "TASKSCOPE_ADDR", value_name = "ADDRESS:PORT")]
    pub addr: Option<String>,
    /// Where the spool and the private database live [default: $XDG_DATA_HOME/taskscope, as root /var/lib/taskscope].
    #[arg(long, env = "TASKSCOPE_DATA_DIR", value_name = "DIRECTORY")]
    pub data_dir: Option<PathBuf>,
    /// Days that executions are kept [default: 30].
    #[arg(long, env = "TASK_LOG_RETENTION_DAYS", value_name = "DAYS")]
    #[serde(alias = "task_log_retention_days")]
    pub retention_days: Option<u32>,
    /// What clients must send in `access-token` or as a bearer token to report events; on loopback none is needed.
    #[arg(long, env = "TASKSCOPE_INGEST_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub ingest_token: Option<String>,
    /// Who is let in: `none` asks for no login, on loopback only; `accounts` asks for a name and a password, or for a login through the OpenID provider
    /// that is set; `oidc` for that alone; `proxy` believes the headers of a proxy in front [default: none].
    #[arg(long, env = "TASKSCOPE_LOGIN", value_name = "none|accounts|oidc|proxy")]
    pub login: Option<String>,
    /// The password of the account `admin`, which is made where there is no admin yet.
    #[arg(long, env = "TASKSCOPE_ADMIN_PASSWORD", value_name = "PASSWORD", hide_env_values = true)]
    pub admin_password: Option<String>,
    /// Where people reach the server, such as <https://tasks.example.com>; with https, browsers send the session's cookie only encrypted.
    #[arg(long, env = "TASKSCOPE_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,
    /// The OpenID provider.
    #[command(flatten)]
    pub oidc: OidcSettings,
    /// Where a proxy that is believed calls from: addresses or networks, with commas between [default: 127.0.0.0/8,::1/128].
    #[arg(long, env = "TASKSCOPE_PROXY_ADDRESSES", value_name = "NETWORKS")]
    pub proxy_addresses: Option<String>,
    /// The header in which the proxy says who somebody is [default: x-forwarded-user].
    #[arg(long, env = "TASKSCOPE_PROXY_NAME_HEADER", value_name = "HEADER")]
    pub proxy_name_header: Option<String>,
    /// The header in which the proxy says their role, if it does: viewer, operator or admin.
    #[arg(long, env = "TASKSCOPE_PROXY_ROLE_HEADER", value_name = "HEADER")]
    pub proxy_role_header: Option<String>,
    /// The role of those of whom neither the proxy nor an account of their name says one; `none` keeps them out [default: viewer].
    #[arg(long, env = "TASKSCOPE_PROXY_DEFAULT_ROLE", value_name = "ROLE")]
    pub proxy_default_role: Option<String>,
    /// What `taskscope trigger` shows to a server that asks for a login.
    #[arg(long, env = "TASKSCOPE_API_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub api_token: Option<String>,
    /// Names under which the server may be asked besides IP addresses and `localhost`, as a proxy passes them on: with commas between.
    #[arg(long, env = "TASKSCOPE_HOST_NAMES", value_name = "NAMES")]
    pub host_names: Option<String>,
    /// Megabytes of events that may wait for the database [default: 2048].
    #[arg(long, env = "TASKSCOPE_SPOOL_LIMIT_MB", value_name = "MB")]
    pub spool_limit_mb: Option<u64>,
    /// Seconds that an execution may run before it can count as overdue, whatever its kind usually takes [default: 60].
    #[arg(long, env = "TASKSCOPE_STALL_FLOOR_SECONDS", value_name = "SECONDS")]
    pub stall_floor_seconds: Option<u64>,
    /// Whether `serve` runs the product's own tasks too [default: true].
    #[arg(long, env = "TASKSCOPE_WORKER", value_name = "TRUE|FALSE")]
    pub worker: Option<bool>,
    /// Whether a worker that finds no messages stores sample ones, and keeps some work going with them [default: false].
    #[arg(long, env = "TASKSCOPE_SAMPLE_DATA", value_name = "TRUE|FALSE")]
    pub sample_data: Option<bool>,
    /// The token of the Telegram bot that messages are read with.
    #[arg(long, env = "TASKSCOPE_TELEGRAM_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub telegram_token: Option<String>,
    /// Where the Bot API is [default: Telegram's].
    #[arg(long, env = "TASKSCOPE_TELEGRAM_URL", value_name = "URL")]
    pub telegram_url: Option<String>,
    /// What Telegram must send with each update to the webhook; without it the webhook is closed.
    #[arg(long, env = "TASKSCOPE_TELEGRAM_WEBHOOK_SECRET", value_name = "SECRET", hide_env_values = true)]
    pub telegram_webhook_secret: Option<String>,
    /// Where alerts of failures are posted.
    #[arg(long, env = "TASKSCOPE_ALERT_URL", value_name = "URL", hide_env_values = true)]
    pub alert_url: Option<String>,
    /// The key that alerts are signed with.
    #[arg(long, env = "TASKSCOPE_ALERT_SECRET", value_name = "SECRET", hide_env_values = true)]
    pub alert_secret: Option<String>,
    /// What keys of language model providers are encrypted with, 16 characters or more; the same for server and workers [default: a file in
    /// the data directory].
    #[arg(long, env = "TASKSCOPE_SECRET_KEY", value_name = "KEY", hide_env_values = true)]
    pub secret_key: Option<String>,
    /// Where executions are archived before they are deleted; without it they are only deleted.
    #[arg(long, env = "TASKSCOPE_ARCHIVE_DIR", value_name = "DIRECTORY")]
    pub archive_dir: Option<PathBuf>,
    /// A Postgres that streams from the one at DATABASE_URL: history, search, charts and executions are read there while it keeps up.
    #[arg(long, env = "TASKSCOPE_REPLICA_URL", value_name = "URL", hide_env_values = true)]
    pub replica_url: Option<String>,
    /// NATS servers whose JetStream events are taken from too, with commas between; user and password, or a token, may stand in them.
    #[arg(long, env = "TASKSCOPE_NATS_URL", value_name = "URLS", hide_env_values = true)]
    pub nats_url: Option<String>,
    /// The stream of events, which is made where it is missing [default: TASKSCOPE].
    #[arg(long, env = "TASKSCOPE_NATS_STREAM", value_name = "NAME")]
    pub nats_stream: Option<String>,
    /// The subjects of the events [default: taskscope.events.>].
    #[arg(long, env = "TASKSCOPE_NATS_SUBJECT", value_name = "SUBJECT")]
    pub nats_subject: Option<String>,
    /// The durable consumer that all servers on one database share [default: taskscope].
    #[arg(long, env = "TASKSCOPE_NATS_CONSUMER", value_name = "NAME")]
    pub nats_consumer: Option<String>,
    /// A credentials file, where NATS wants one.
    #[arg(long, env = "TASKSCOPE_NATS_CREDENTIALS", value_name = "FILE")]
    pub nats_credentials: Option<PathBuf>,
    /// Monitoring endpoints of the NATS servers, with commas between: only there stands when a server syncs what it has acknowledged.
    #[arg(long, env = "TASKSCOPE_NATS_MONITOR_URL", value_name = "URLS")]
    pub nats_monitor_url: Option<String>,
    /// How many NATS servers keep the stream, where Taskscope makes it [default: 1].
    #[arg(long, env = "TASKSCOPE_NATS_REPLICAS", value_name = "COUNT")]
    pub nats_replicas: Option<usize>,
    /// The task types' further settings, in the file only: table `[taskscope.workload]`.
    #[arg(skip)]
    pub workload: WorkloadConfig,
}

/// The configuration, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The Postgres server, or none for the embedded one.
    pub database_url: Option<String>,
    /// A Postgres that streams from that one, for reading.
    pub replica_url: Option<String>,
    /// Where events come from beside HTTP.
    pub nats: Option<NatsConfig>,
    /// Where to serve.
    pub addr: SocketAddr,
    /// Where the spool and the embedded database live.
    pub data_dir: PathBuf,
    /// Days that executions are kept.
    pub retention_days: u32,
    /// What clients must present to report events, unless they have a token with a name. Made up where a login is asked for and none is set.
    pub ingest_token: Option<SecretString>,
    /// Who is let in.
    pub login: Login,
    /// The password of the first admin.
    pub admin_password: Option<SecretString>,
    /// Where people reach the server.
    pub public_url: Option<Url>,
    /// What `taskscope trigger` shows.
    pub api_token: Option<SecretString>,
    /// Under which names the server may be asked, besides IP addresses and `localhost`.
    pub host_names: Vec<String>,
    /// Bytes of events that may wait for the database.
    pub spool_limit_bytes: u64,
    /// How long an execution may run before it can count as overdue.
    pub stall_floor: Duration,
    /// Whether `serve` runs the product's own tasks too.
    pub worker: bool,
    /// Whether a worker that finds no messages stores sample ones.
    pub sample_data: bool,
    /// The settings of the product's own task types.
    pub workload: WorkloadConfig,
    /// What Leptos needs to find the site.
    pub leptos: LeptosOptions,
}

impl Config {
    /// Puts the layers together and checks every value.
    ///
    /// # Errors
    /// A sentence that names the setting and what is allowed.
    pub fn load(flags_and_env: Settings) -> anyhow::Result<Self> {
        let file = find_file();
        let from_file = file.as_deref().map(read_file).transpose()?.unwrap_or_default();
        let addr = flags_and_env.addr.clone().or_else(|| from_file.addr.clone()).unwrap_or_else(|| "127.0.0.1:3000".to_owned());
        let addr: SocketAddr = addr
            .parse()
            .with_context(|| format!("TASKSCOPE_ADDR must be an address and a port such as 127.0.0.1:3000, not {addr:?}"))?;
        let retention_days = flags_and_env.retention_days.or(from_file.retention_days).unwrap_or(30);
        ensure!((1..=3650).contains(&retention_days), "TASK_LOG_RETENTION_DAYS must be 1 to 3650, not {retention_days}");
        let spool_limit_mb = flags_and_env.spool_limit_mb.or(from_file.spool_limit_mb).unwrap_or(2048);
        ensure!(spool_limit_mb > 0, "TASKSCOPE_SPOOL_LIMIT_MB must be 1 or more");
        let stall_floor = flags_and_env.stall_floor_seconds.or(from_file.stall_floor_seconds).unwrap_or(60);
        ensure!((1..=604_800).contains(&stall_floor), "TASKSCOPE_STALL_FLOOR_SECONDS must be 1 to 604800, not {stall_floor}");
        let nats = nats::nats(&flags_and_env, &from_file)?;
        let workload = workload(&flags_and_env, &from_file, retention_days)?;
        let given = |field: Field| {
            let text = field(&flags_and_env).clone().or_else(|| field(&from_file).clone());
            text.filter(|text| !text.is_empty())
        };
        let login::Checked { login, public_url, ingest_token } =
            login::check(addr, given, [&flags_and_env.oidc, &from_file.oidc])?;
        let mut host_names = login::host_names(given(|settings| &settings.host_names).as_deref().unwrap_or_default())?;
        host_names.extend(public_url.as_ref().and_then(|url| url.host_str().map(str::to_ascii_lowercase)));
        let admin_password = given(|settings| &settings.admin_password).map(Into::into);
        let api_token = given(|settings| &settings.api_token).map(Into::into);
        Ok(Self {
            nats,
            replica_url: flags_and_env.replica_url.or(from_file.replica_url).filter(|url| !url.is_empty()),
            database_url: flags_and_env.database_url.or(from_file.database_url).filter(|url| !url.is_empty()),
            addr,
            data_dir: match flags_and_env.data_dir.or(from_file.data_dir) {
                Some(directory) => std::path::absolute(directory).context("TASKSCOPE_DATA_DIR is no path")?,
                None => default_data_dir()?,
            },
            retention_days,
            ingest_token,
            login,
            admin_password,
            public_url,
            api_token,
            host_names,
            stall_floor: Duration::from_secs(stall_floor),
            worker: flags_and_env.worker.or(from_file.worker).unwrap_or(true),
            sample_data: flags_and_env.sample_data.or(from_file.sample_data).unwrap_or(false),
            workload,
            spool_limit_bytes: spool_limit_mb.saturating_mul(1024 * 1024),
            leptos: leptos_options(file.as_deref(), addr)?,
        })
    }
}

impl Config {
    /// Whether browsers reach the server encrypted only.
    #[must_use]
    pub fn is_reached_by_https(&self) -> bool {
        self.public_url.as_ref().is_some_and(|url| url.scheme() == "https")
    }
}

/// A text among the settings.
type Field = fn(&Settings) -> &Option<String>;

/// The workload's own table, with what has a setting of its own laid over it.
fn workload(flags_and_env: &Settings, from_file: &Settings, retention_days: u32) -> anyhow::Result<WorkloadConfig> {
    let either = |field: Field| field(flags_and_env).clone().or_else(|| field(from_file).clone());
    let given = |field| either(field).filter(|text| !text.is_empty());
    let mut workload = from_file.workload.clone();
    let secrets: [(&mut Option<SecretString>, Field); 5] = [
        (&mut workload.telegram.token, |settings| &settings.telegram_token),
        (&mut workload.telegram.webhook_secret, |settings| &settings.telegram_webhook_secret),
        (&mut workload.alert.webhook_url, |settings| &settings.alert_url),
        (&mut workload.alert.secret, |settings| &settings.alert_secret),
        (&mut workload.llm.secret_key, |settings| &settings.secret_key),
    ];
    for (secret, field) in secrets {
        if let Some(text) = given(field) {
            *secret = Some(text.into());
        }
    }
    if let Some(url) = given(|settings| &settings.telegram_url) {
        workload.telegram.base_url = url;
    }
    if let Some(directory) = flags_and_env.archive_dir.as_ref().or(from_file.archive_dir.as_ref()) {
        workload.retention.archive_dir = Some(directory.clone());
    }
    workload.retention.days = retention_days;
    workload.check().context("the settings of the task types are wrong")?;
    Ok(workload)
}

/// `Leptos.toml` named by `LEPTOS_CONFIG`, in the working directory, or above the program.
fn find_file() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("LEPTOS_CONFIG") {
        return Some(path.into());
    }
    let program = std::env::current_exe().ok();
    let beside = program.iter().flat_map(|program| program.ancestors().skip(1).take(3));
    std::iter::once(Path::new(".")).chain(beside).map(|directory| directory.join("Leptos.toml")).find(|path| path.is_file())
}

fn read_file(path: &Path) -> anyhow::Result<Settings> {
    #[derive(Deserialize)]
    struct File {
        #[serde(default)]
        taskscope: Settings,
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))?;
    let file: File = toml::from_str(&text).with_context(|| format!("{} is wrong", path.display()))?;
    Ok(file.taskscope)
}

fn leptos_options(file: Option<&Path>, addr: SocketAddr) -> anyhow::Result<LeptosOptions> {
    let text = file.map(|path| path.to_string_lossy().into_owned());
    let mut options = get_configuration(text.as_deref()).context("the Leptos configuration is wrong")?.leptos_options;
    options.site_addr = addr;
    if options.hash_files && !has_hashes(&options) {
        tracing::warn!(
            "{} is missing beside the program: pages come without styles and scripts until `make build` has run",
            options.hash_file
        );
        options.hash_files = false;
    }
    // A relative site root is meant from the file that names it.
    if let Some(directory) = file.and_then(Path::parent).filter(|_| Path::new(&*options.site_root).is_relative()) {
        options.site_root = directory.join(&*options.site_root).to_string_lossy().into_owned().into();
    }
    Ok(options)
}

/// Whether the file with the hashes of the site's files is where Leptos reads it, which otherwise panics on every page.
fn has_hashes(options: &LeptosOptions) -> bool {
    let program = std::env::current_exe().ok();
    program.as_deref().and_then(Path::parent).is_some_and(|directory| directory.join(&*options.hash_file).is_file())
}

fn default_data_dir() -> anyhow::Result<PathBuf> {
    if nix::unistd::geteuid().is_root() {
        return Ok("/var/lib/taskscope".into());
    }
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    let base = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute()).or_else(home);
    Ok(base.context("neither XDG_DATA_HOME nor HOME is set: say with TASKSCOPE_DATA_DIR where data may live")?.join("taskscope"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings { data_dir: Some("/tmp/x".into()), ..Settings::default() }
    }

    #[test]
    fn defaults_serve_loopback() {
        let config = Config::load(settings()).unwrap();
        assert_eq!(config.addr.to_string(), "127.0.0.1:3000");
        assert_eq!(config.retention_days, 30);
    }

    #[test]
    fn wrong_values_are_sentences() {
        let cases = [
            (Settings { addr: Some("localhost".to_owned()), ..settings() }, "TASKSCOPE_ADDR"),
            (Settings { addr: Some("0.0.0.0:3000".to_owned()), ..settings() }, "TASKSCOPE_LOGIN"),
            (Settings { retention_days: Some(0), ..settings() }, "TASK_LOG_RETENTION_DAYS"),
            (Settings { spool_limit_mb: Some(0), ..settings() }, "TASKSCOPE_SPOOL_LIMIT_MB"),
            (Settings { host_names: Some("a.example, *.example".to_owned()), ..settings() }, "TASKSCOPE_HOST_NAMES"),
            (Settings { nats_url: Some("http://x".to_owned()), ..settings() }, "TASKSCOPE_NATS_URL"),
            (
                Settings { nats_url: Some("x".to_owned()), nats_stream: Some("a.b".to_owned()), ..settings() },
                "TASKSCOPE_NATS_STREAM",
            ),
            (
                Settings { nats_url: Some("x".to_owned()), nats_subject: Some("a..b".to_owned()), ..settings() },
                "TASKSCOPE_NATS_SUBJECT",
            ),
            (
                Settings { nats_url: Some("x".to_owned()), nats_monitor_url: Some("x".to_owned()), ..settings() },
                "TASKSCOPE_NATS_MONITOR_URL",
            ),
        ];
        for (settings, word) in cases {
            assert!(Config::load(settings).unwrap_err().to_string().contains(word), "{word}");
        }
    }

    /// `cargo leptos` reads the table in Cargo.toml, the server reads Leptos.toml: they must say the same.
    #[test]
    fn leptos_toml_agrees_with_cargo_toml() {
        let table = |text: &str, path: &[&str]| {
            let mut value: toml::Value = toml::from_str(text).unwrap();
            for key in path {
                value = value.get(key).unwrap_or_else(|| panic!("no {key}")).clone();
            }
            value
        };
        let path = ["package", "metadata", "leptos"];
        let cargo = table(include_str!("../../Cargo.toml"), &path);
        let leptos = table(include_str!("../../Leptos.toml"), &path);
        for key in ["output-name", "site-root", "site-pkg-dir", "hash-files", "hash-file", "env"] {
            assert_eq!(cargo.get(key), leptos.get(key), "{key}");
        }
    }
}
