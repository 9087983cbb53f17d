//! The reporter against a real HTTP server that behaves as Taskscope does, and misbehaves as networks do.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod apalis;
mod bounds;
mod delivery;
mod heartbeats;
mod layer;
mod lifecycle;
mod nats;
mod network;
mod outage;
mod runs;
mod server;

use std::{process::Command, time::Duration};

use taskscope_client::{Reporter, ReporterBuilder, Work};

use self::server::Server;

/// The longest that anything may take: on a loaded machine, much longer than it does.
const LONG: Duration = Duration::from_secs(60);

fn builder(server: &Server) -> ReporterBuilder {
    Reporter::builder(server.url()).flush_interval(Duration::from_millis(5)).heartbeat(None)
}

fn work(id: impl ToString) -> Work {
    Work::new(id.to_string(), "orders.charge")
}

/// Waits until it holds.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(LONG, wait).await.is_ok(), "{what} didn't happen");
}

/// Runs an ignored test of this program in a process of its own, for what a process has only one of.
fn run_alone(test: &str, environment: &[(&str, &str)]) {
    let mut program = Command::new(std::env::current_exe().unwrap());
    let output = program.args(["--exact", "--ignored", test]).envs(environment.iter().copied()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
