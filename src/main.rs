//! The one binary: `taskscope` serves and works, its subcommands do either alone, and the rest.

#![recursion_limit = "256"]

use std::{
    fs::File,
    io::{BufReader, BufWriter, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
    str::FromStr,
};

use anyhow::{Context, bail, ensure};
use clap::{Parser, Subcommand};
use secrecy::ExposeSecret;
use sqlx::postgres::PgConnectOptions;
use taskscope::server::{
    access::Gate,
    config::{Config, Settings},
    data_dir::DataDir,
    embedded_pg::EmbeddedPostgres,
    http::openapi,
    log_lines::LogLines,
    recorder::SpoolFile,
    redaction::redactor_of,
    serve::Server,
    store::Store,
    worker,
};
use taskscope_wire::{AccountChange, ErrorBody, NewAccount, Role, Secret, Triggered};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// A real-time monitor for background tasks.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Serve the dashboard, take events, and run the product's own tasks (the default).
    Serve,
    /// Only run the product's own tasks, and report them to a server.
    Worker {
        /// The server that is reported to [default: the one at TASKSCOPE_ADDR].
        #[arg(long, env = "TASKSCOPE_URL", value_name = "URL")]
        url: Option<String>,
    },
    /// Put a task into its queue, through a running server.
    Trigger {
        /// The task type.
        name: String,
        /// What it is called with: a JSON object.
        #[arg(long, default_value = "{}", value_name = "JSON")]
        params: String,
        /// The server [default: the one at TASKSCOPE_ADDR].
        #[arg(long, env = "TASKSCOPE_URL", value_name = "URL")]
        url: Option<String>,
    },
    /// Store sample messages.
    Seed,
    /// Prove that what was counted beforehand is what the log holds, while the server runs.
    Check {
        /// Count everything anew that is not, or can't be read.
        #[arg(long)]
        repair: bool,
    },
    /// Look after the events that wait for the database, while no server runs in the data directory.
    Spool {
        #[command(subcommand)]
        command: SpoolCommand,
    },
    /// Look after the accounts that people log in with.
    Account {
        #[command(subcommand)]
        command: AccountCommand,
    },
    /// Print the OpenAPI document.
    Openapi,
}

#[derive(Debug, Clone, Subcommand)]
enum AccountCommand {
    /// Make one. The password is read from standard input.
    Add {
        /// Its name.
        name: String,
        /// What it may do.
        #[arg(long, default_value = "viewer", value_name = "viewer|operator|admin")]
        role: Role,
    },
    /// Give one a new password, read from standard input, and end its sessions.
    Password {
        /// Its name.
        name: String,
    },
    /// List them.
    List,
}

#[derive(Debug, Clone, Subcommand)]
enum SpoolCommand {
    /// Look at every page and every event of it.
    Verify,
    /// Write its events, one JSON object a line, oldest first.
    Export {
        /// The file; it must not exist [default: standard output].
        file: Option<PathBuf>,
    },
    /// Put events behind those that wait: all of them, or none. Those that are stored already change nothing.
    Import {
        /// The file, as it was exported [default: standard input].
        file: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("taskscope=info,taskscope_workload=info,warn"));
    // Every HTTP client of the process takes it; that one was chosen already can't be.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Without colours, which are control characters themselves. A line that can't be written, as on a full disk, would be told on the same output, and
    // whoever logged it would panic.
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).log_internal_errors(false);
    log.with_writer(|| LogLines(std::io::stderr())).init();
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("taskscope: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(Arguments { settings, command }: Arguments) -> anyhow::Result<()> {
    let config = || Config::load(settings);
    match command.unwrap_or(Command::Serve) {
        Command::Serve => serve(config()?).await,
        Command::Worker { url } => work(config()?, url).await,
        Command::Trigger { name, params, url } => trigger(&config()?, &name, params, url).await,
        Command::Seed => {
            println!("{}", worker::seed_samples(database(&config()?)?).await?);
            Ok(())
        }
        Command::Check { repair } => check(&config()?, repair).await,
        Command::Spool { command } => spool(&config()?, command).await,
        Command::Account { command } => account(&config()?, command).await,
        Command::Openapi => {
            println!("{}", openapi().to_pretty_json()?);
            Ok(())
        }
    }
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let server = Server::start(config.clone()).await?;
    // Whether anybody reads it is nothing to stop for.
    let _ = writeln!(std::io::stdout(), "Taskscope serves http://{}/monitoring", server.addr);
    let stop = stop_signal()?;
    if !config.worker {
        return server.run_until(stop.cancelled_owned()).await;
    }
    let (url, database) = (format!("http://{}", server.addr), server.database.clone());
    let stop_server = CancellationToken::new();
    let worker = tokio::spawn({
        let (stop, stop_server) = (stop.clone(), stop_server.clone());
        async move {
            // The worker goes first, so that the server still hears how its tasks end; the server goes however that was.
            let _stop_server = stop_server.drop_guard();
            worker::run(&config, database, &url, stop.cancelled_owned()).await
        }
    });
    let served = server.run_until(stop_server.cancelled_owned()).await;
    stop.cancel();
    served.and(worker.await?)
}

async fn work(config: Config, url: Option<String>) -> anyhow::Result<()> {
    let url = url.unwrap_or_else(|| format!("http://{}", config.addr));
    let _ = writeln!(std::io::stdout(), "Taskscope's worker reports to {url}");
    let stop = stop_signal()?;
    worker::run(&config, database(&config)?, &url, stop.cancelled_owned()).await
}

async fn trigger(config: &Config, name: &str, params: String, url: Option<String>) -> anyhow::Result<()> {
    let params: serde_json::Value = serde_json::from_str(&params).context("--params must be a JSON object")?;
    let base = url.unwrap_or_else(|| format!("http://{}", config.addr));
    let mut address = reqwest::Url::parse(&base).with_context(|| format!("{base:?} is no URL"))?;
    match address.path_segments_mut() {
        Ok(mut path) => drop(path.pop_if_empty().extend(["api", "v1", "tasks", name])),
        Err(()) => bail!("{base:?} is no URL of a server"),
    }
    let client = reqwest::Client::builder().no_proxy().build()?;
    let mut request = client.post(address).json(&serde_json::json!({ "params": params }));
    if let Some(token) = &config.api_token {
        request = request.bearer_auth(token.expose_secret());
    }
    let answer = request.send().await.with_context(|| format!("no server answers at {base}"))?;
    if answer.status().is_success() {
        let Triggered { task_id, task_name, queue } = answer.json().await?;
        println!("{task_name} waits in the queue {queue} as {task_id}");
        return Ok(());
    }
    let status = answer.status();
    match answer.json::<ErrorBody>().await {
        Ok(body) => bail!("{}", body.error),
        Err(_) => bail!("the server answered {status}"),
    }
}

/// Compares day by day what was counted with the log, and prints what differs.
async fn check(config: &Config, repair: bool) -> anyhow::Result<()> {
    let store = Store::new(database(config)?);
    let mut differences = 0;
    let days = store.counted_days().await.context("the log can't be read")?;
    for day in &days {
        let found = store.check_day(*day).await.with_context(|| format!("{} can't be checked", day.date_naive()))?;
        for difference in &found {
            println!("{difference}");
        }
        differences += found.len();
    }
    if differences == 0 {
        println!("{} days checked: what was counted is what the log holds", days.len());
        return Ok(());
    }
    if !repair {
        bail!("{differences} counts differ from the log: call taskscope check --repair to count anew");
    }
    store.mark_all_hours().await?;
    while store.keep_rollups().await? {}
    println!("{differences} counts differed from the log: everything was counted anew");
    Ok(())
}

async fn spool(config: &Config, command: SpoolCommand) -> anyhow::Result<()> {
    let nothing = || format!("there is no spool in {}: no server has run with this data directory", config.data_dir.display());
    ensure!(config.data_dir.join("spool").is_dir(), nothing());
    // Held until the end: a server that starts meanwhile says that the directory is in use.
    let directory = DataDir::take(&config.data_dir).await?;
    let mut spool = SpoolFile::open(&directory.spool()?)?;
    let redactor = redactor_of(&config.data_dir)?;
    match command {
        SpoolCommand::Verify => {
            let findings = spool.verify()?;
            println!("{findings}");
            ensure!(
                findings.flaws.is_empty(),
                "the spool has flaws; taskscope spool export writes out what stands before a batch that can't be read"
            );
        }
        SpoolCommand::Export { file: None } => {
            let written = spool.export(&redactor, std::io::stdout().lock())?;
            eprintln!("{written} events exported; they still wait in the spool");
        }
        SpoolCommand::Export { file: Some(file) } => {
            let new = File::create_new(&file).with_context(|| format!("{} can't be made", file.display()))?;
            let written = spool.export(&redactor, BufWriter::new(new))?;
            println!("{written} events exported to {}; they still wait in the spool", file.display());
        }
        SpoolCommand::Import { file: None } => {
            println!("{} events imported", spool.import(&redactor, std::io::stdin().lock())?);
        }
        SpoolCommand::Import { file: Some(file) } => {
            let old = File::open(&file).with_context(|| format!("{} can't be read", file.display()))?;
            println!("{} events imported", spool.import(&redactor, BufReader::new(old))?);
        }
    }
    Ok(())
}

async fn account(config: &Config, command: AccountCommand) -> anyhow::Result<()> {
    let store = Store::new(database(config)?);
    store.migrate().await.context("the tables can't be brought up to this version")?;
    let gate = Gate::new(config.login.clone(), None, store);
    match command {
        AccountCommand::Add { name, role } => {
            gate.create_account(NewAccount { name: name.clone(), role, password: Some(password()?) }).await?;
            println!("{name} can log in as {role}");
        }
        AccountCommand::Password { name } => {
            let accounts = gate.accounts().await?;
            let account = accounts.iter().find(|account| account.name.to_lowercase() == name.to_lowercase());
            let id = account.with_context(|| format!("there is no account {name}"))?.id;
            gate.change_account(id, AccountChange { password: Some(password()?), ..AccountChange::default() }).await?;
            println!("{name} has a new password, and has to log in anew");
        }
        AccountCommand::List => {
            for account in gate.accounts().await? {
                println!("{}\t{}{}", account.name, account.role, if account.disabled { "\tdisabled" } else { "" });
            }
        }
    }
    Ok(())
}

/// A password from standard input: it stands in no list of processes and no history of a shell.
fn password() -> anyhow::Result<Secret> {
    if std::io::stdin().is_terminal() {
        eprintln!("The password (it shows while it is typed), then Enter:");
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("the password can't be read from standard input")?;
    Ok(Secret(line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// The database that the settings name, or the one of the server that runs in the data directory.
fn database(config: &Config) -> anyhow::Result<PgConnectOptions> {
    match &config.database_url {
        Some(url) => PgConnectOptions::from_str(url).context("DATABASE_URL is no Postgres URL"),
        None => EmbeddedPostgres::of_running_server(&config.data_dir),
    }
}

/// Cancelled by Ctrl-C or SIGTERM. The second one ends the process at once.
fn stop_signal() -> anyhow::Result<CancellationToken> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        for number in 0.. {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if number > 0 {
                std::process::exit(130);
            }
            stopped.cancel();
        }
    });
    Ok(stop)
}
