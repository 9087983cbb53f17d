//! A disk on which nothing more can be written while events keep coming and Postgres is away.

use std::{
    fs::File,
    io::Write,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};

use crate::scene::Scene;

/// The size that no file of the server may pass while the disk counts as full.
const LIMIT: u64 = 32 * 1024;
/// What a small file system has besides what is there already, in bytes.
const ROOM: u64 = 8 * 1024 * 1024;
/// What of it isn't taken at once, so that it is the spool that fills it.
const LEFT: u64 = 256 * 1024;
/// Requests that must have been refused.
const REFUSALS: u64 = 10;
/// How long the spool may take to be full.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long Postgres is back before there is room again: what waits can be stored, and what is stored can't be forgotten.
const STILL_FULL: Duration = Duration::from_secs(2);

/// By a limit on files; the moment from which there is room again.
pub(crate) async fn limit(scene: &mut Scene) -> anyhow::Result<Instant> {
    scene.server.limit_files(Some(LIMIT))?;
    while_full(scene).await?;
    scene.server.limit_files(None)?;
    Ok(Instant::now())
}

/// By a file system of its own; the moment from which there is room again. The server is killed before and afterwards, to be moved.
pub(crate) async fn fill_mounted(scene: &mut Scene) -> anyhow::Result<Instant> {
    let place = scene.server.directory.clone();
    let kept = place.with_extension("kept");
    scene.server.kill();
    let used: u64 = output("du", &["-sb"], &[&place])?.split_whitespace().next().context("du says nothing")?.parse()?;
    output("cp", &["-a"], &[&place, &kept])?;
    output("mount", &["-t", "tmpfs", "-o", &format!("size={}", used + ROOM), "tmpfs"], &[&place])?;
    let mounted = Mounted(&place);
    output("cp", &["-a"], &[&kept.join("."), &place])?;
    scene.server.start(&scene.clock)?;
    scene.server.answers().await?;
    let ballast = place.join("ballast");
    fill(&ballast)?;
    while_full(scene).await?;
    std::fs::remove_file(&ballast)?;
    let whole = Instant::now();
    scene.probes.live_after(whole).await?;
    scene.server.kill();
    std::fs::remove_dir_all(&kept)?;
    output("cp", &["-a"], &[&place, &kept])?;
    drop(mounted);
    std::fs::remove_dir_all(&place)?;
    std::fs::rename(&kept, &place)?;
    scene.server.start(&scene.clock)?;
    scene.server.answers().await?;
    Ok(whole)
}

/// Waits until the server has refused often enough, with Postgres away and then back.
async fn while_full(scene: &mut Scene) -> anyhow::Result<()> {
    let before = scene.ledger.answers.refused();
    scene.postgres.stop_at_once().await?;
    let began = Instant::now();
    while scene.ledger.answers.refused() < before + REFUSALS {
        ensure!(began.elapsed() < PATIENCE, "a server that can't write refuses nothing");
        ensure!(!scene.server.has_ended(), "the server ended on a full disk");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    scene.postgres.start_again().await?;
    tokio::time::sleep(STILL_FULL).await;
    Ok(())
}

/// Takes all the room there is but a little.
fn fill(ballast: &Path) -> anyhow::Result<()> {
    let mut file = File::create(ballast)?;
    let block = vec![0; 64 * 1024];
    let mut written = 0;
    while file.write_all(&block).is_ok() {
        written += block.len() as u64;
    }
    Ok(file.set_len(written.saturating_sub(LEFT))?)
}

/// A mounted file system, which is taken away however its use ends.
struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        // What still runs there is killed with the scene, and the kernel lets go then.
        if let Err(error) = output("umount", &["-l"], &[self.0]) {
            eprintln!("{error:#}");
        }
    }
}

fn output(program: &str, arguments: &[&str], places: &[&Path]) -> anyhow::Result<String> {
    let output = Command::new(program).args(arguments).args(places).output().with_context(|| format!("no {program}"))?;
    ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8(output.stdout)?)
}
