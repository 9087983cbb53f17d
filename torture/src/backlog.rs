//! A start with much in the spool: how much memory it takes, and when what is new shows.

use std::{
    io::Write,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use chrono::Utc;
use serde_json::json;
use taskscope_wire::NativeEvent;

use crate::{probe::Probes, scene::Scene};

/// What fills an event to about a kilobyte.
const FILLING: &str = "All that is kept of a task that somebody called with a lot. ";
/// How long an idle server is left alone before its memory is looked at.
const IDLE: Duration = Duration::from_secs(3);
/// How long all of it may take to be stored.
const PATIENCE: Duration = Duration::from_secs(1800);

/// What a start with a backlog took.
#[derive(Debug, Clone, Copy)]
pub struct Backlog {
    /// Megabytes of events.
    pub megabytes: u64,
    /// Events.
    pub events: u64,
    /// Memory of the idle server, in megabytes.
    pub idle_megabytes: f64,
    /// The most memory from its start until all was stored.
    pub most_megabytes: f64,
    /// From the start until the server took events.
    pub answers_after: Duration,
    /// From the start until all that waited was stored.
    pub stored_after: Duration,
    /// From the start until an event showed that was sent after it.
    pub live_after: Duration,
}

/// Fills the spool of a settled scene and starts its server again.
pub(crate) async fn measure(scene: &mut Scene, megabytes: u64) -> anyhow::Result<Backlog> {
    scene.server.stop().await?;
    scene.server.start(&scene.clock)?;
    scene.server.ready().await?;
    tokio::time::sleep(IDLE).await;
    let [idle_megabytes, _] = scene.server.memory()?;
    scene.server.stop().await?;
    let events = import(scene, megabytes).await?;
    let began = Instant::now();
    scene.server.start(&scene.clock)?;
    let mut probes = Probes::start(scene.server.port, &scene.ledger)?;
    scene.server.answers().await?;
    let answers_after = began.elapsed();
    let stored = async {
        while scene.server.waiting().await? > 100 {
            ensure!(began.elapsed() < PATIENCE, "the backlog isn't stored");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok::<_, anyhow::Error>(began.elapsed())
    };
    let (stored_after, live_after) = tokio::try_join!(stored, probes.live_after(began))?;
    let [_, most_megabytes] = scene.server.memory()?;
    probes.finish().await;
    Ok(Backlog { megabytes, events, idle_megabytes, most_megabytes, answers_after, stored_after, live_after })
}

/// Puts so many megabytes of events into the spool, by the program's own import.
async fn import(scene: &Scene, megabytes: u64) -> anyhow::Result<u64> {
    let mut command = scene.server.command();
    command.args(["spool", "import"]).stdin(Stdio::piped()).stdout(Stdio::null());
    tokio::task::spawn_blocking(move || {
        let mut child = command.spawn()?;
        let mut input = std::io::BufWriter::new(child.stdin.take().context("there is no way in")?);
        let (mut events, mut bytes) = (0, 0);
        while bytes < megabytes * 1024 * 1024 {
            let line = line(events)?;
            input.write_all(line.as_bytes())?;
            bytes += line.len() as u64;
            events += 1;
        }
        input.flush()?;
        drop(input);
        ensure!(child.wait()?.success(), "the import failed");
        Ok(events)
    })
    .await?
}

fn line(number: u64) -> anyhow::Result<String> {
    let now = Utc::now();
    let params = json!({ "number": number, "text": FILLING.repeat(13) });
    let event = json!({
        "type": "task_completed", "task_id": format!("backlog-{number}"), "task_name": "torture_backlog",
        "timestamp": now.to_rfc3339(), "params": params,
    });
    let event = NativeEvent::decode(&event.to_string(), now).map_err(anyhow::Error::msg)?;
    Ok(serde_json::to_string(&event)? + "\n")
}
