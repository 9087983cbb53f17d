//! `make torture`: the long form, or any other measure of it.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use taskscope_torture::{
    Plan, report, run,
    streams::{self, StreamsPlan},
};

/// Flaws that are told.
const FLAWS: usize = 20;

/// Breaks what a running Taskscope stands on, and proves that it loses, doubles and falsifies nothing.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    scene: Option<Scene>,
    #[command(flatten)]
    faults: Faults,
}

/// What is done instead.
#[derive(Debug, Subcommand)]
enum Scene {
    /// Loses connections of watchers on several servers, and proves that each was told everything in order, or what it missed.
    Streams(Streams),
}

/// What every scene is told.
#[derive(Debug, Args)]
struct Run {
    /// What all that is random comes from: the same seed gives the same faults [default: drawn from the time].
    #[arg(long)]
    seed: Option<u64>,
    /// The program.
    #[arg(long, default_value = "target/release/taskscope", value_name = "FILE")]
    program: PathBuf,
    /// Where the report is written [default: nowhere].
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Begin with the short plan that `make test` has, instead of the long one.
    #[arg(long)]
    short: bool,
}

/// `make streams`, or any other measure of it.
#[derive(Debug, Args)]
struct Streams {
    #[command(flatten)]
    run: Run,
    /// Servers on one Postgres.
    #[arg(long)]
    instances: Option<usize>,
    /// Watchers at a time.
    #[arg(long)]
    watchers: Option<usize>,
    /// Disconnects.
    #[arg(long)]
    disconnects: Option<u64>,
    /// Restarts of a server.
    #[arg(long)]
    restarts: Option<usize>,
}

impl Streams {
    fn plan(&self) -> StreamsPlan {
        let seed = self.run.seed();
        let base = if self.run.short { StreamsPlan::short(seed) } else { StreamsPlan::long(seed) };
        StreamsPlan {
            instances: self.instances.unwrap_or(base.instances),
            watchers: self.watchers.unwrap_or(base.watchers),
            disconnects: self.disconnects.unwrap_or(base.disconnects),
            restarts: self.restarts.unwrap_or(base.restarts),
            ..base
        }
    }
}

/// `make torture`, or any other measure of it.
#[derive(Debug, Args)]
struct Faults {
    #[command(flatten)]
    run: Run,
    /// Tasks at once.
    #[arg(long)]
    tasks: Option<usize>,
    /// The mean pause between two reports of a task, in milliseconds.
    #[arg(long)]
    pace: Option<u64>,
    /// SIGKILLs of the server.
    #[arg(long)]
    kills: Option<usize>,
    /// Immediate stops of Postgres.
    #[arg(long)]
    stops: Option<usize>,
    /// Freezes of Postgres.
    #[arg(long)]
    freezes: Option<usize>,
    /// Seconds of the long outage; 0 for none.
    #[arg(long)]
    outage: Option<u64>,
    /// Full disks.
    #[arg(long)]
    full_disks: Option<usize>,
    /// Jumps of the server's clock.
    #[arg(long)]
    clock_jumps: Option<usize>,
    /// How often both networks are cut, slow and half-open.
    #[arg(long)]
    weathers: Option<usize>,
    /// Megabytes in the spool at a last start; 0 for none.
    #[arg(long)]
    backlog: Option<u64>,
}

impl Run {
    /// The seed that is given, or one of the time.
    fn seed(&self) -> u64 {
        self.seed.unwrap_or_else(|| chrono::Utc::now().timestamp_millis().unsigned_abs() % 1_000_000)
    }
}

impl Faults {
    fn plan(&self) -> Plan {
        let seed = self.run.seed();
        let base = if self.run.short { Plan::short(seed) } else { Plan::long(seed) };
        Plan {
            seed,
            tasks: self.tasks.unwrap_or(base.tasks),
            pace: self.pace.map_or(base.pace, Duration::from_millis),
            kills: self.kills.unwrap_or(base.kills),
            stops: self.stops.unwrap_or(base.stops),
            freezes: self.freezes.unwrap_or(base.freezes),
            outage: self.outage.map_or(base.outage, Duration::from_secs),
            full_disks: self.full_disks.unwrap_or(base.full_disks),
            mounts: base.mounts && nix::unistd::geteuid().is_root(),
            clock_jumps: self.clock_jumps.unwrap_or(base.clock_jumps),
            weathers: self.weathers.unwrap_or(base.weathers),
            backlog_megabytes: self.backlog.unwrap_or(base.backlog_megabytes),
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let work = async {
        match &arguments.scene {
            None => torture(&arguments.faults).await,
            Some(Scene::Streams(arguments)) => watch_streams(arguments).await,
        }
    };
    let done = tokio::select! {
        done = work => done,
        // What runs is dropped, and so ended.
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("taskscope-torture: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing was lost, doubled or falsified.
async fn torture(arguments: &Faults) -> anyhow::Result<bool> {
    let plan = arguments.plan();
    println!("seed {}: {} faults", plan.seed, plan.faults().len());
    let program = std::path::absolute(&arguments.run.program)?;
    let outcome = run(&plan, &program, |line| println!("{line}")).await?;
    println!("{}", outcome.verdict);
    tell(&report::write(&plan, &outcome, build_of(&program)), arguments.run.report.as_deref())?;
    Ok(outcome.verdict.is_clean())
}

/// Whether everybody was told everything in order, or what was missed.
async fn watch_streams(arguments: &Streams) -> anyhow::Result<bool> {
    let plan = arguments.plan();
    println!("seed {}: {} disconnects, {} restarts", plan.seed, plan.disconnects, plan.restarts);
    let program = std::path::absolute(&arguments.run.program)?;
    let outcome = streams::run(&plan, &program, |line| println!("{line}")).await?;
    outcome.flaws().take(FLAWS).for_each(|flaw| println!("    {flaw}"));
    println!("{}", outcome.verdict);
    tell(&streams::write(&plan, &outcome, build_of(&program)), arguments.run.report.as_deref())?;
    Ok(outcome.is_clean())
}

fn build_of(program: &Path) -> &'static str {
    if program.components().any(|part| part.as_os_str() == "release") { "release" } else { "debug" }
}

/// Writes a report, or shows it.
fn tell(text: &str, file: Option<&Path>) -> std::io::Result<()> {
    match file {
        Some(file) => std::fs::write(file, text),
        None => {
            println!("{text}");
            Ok(())
        }
    }
}
