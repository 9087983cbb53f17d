//! The data sets: thirty days of executions up to the day on which they were made, in the data directory of a program. They are made once
//! and kept below `target/bench-data`, for one version of the schema and of this module, for a day.

mod failures;
mod kinds;
mod load;
mod rows;

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

pub(crate) use failures::RARE_TERM;
pub(crate) use kinds::{CHATS, KINDS};
pub(crate) use rows::DAYS;

use crate::{
    figure::{Figure, size_word},
    program::{Program, root},
};

/// Counts up when rows are made differently.
const GENERATION: u32 = 1;
/// A set ends where it was made, and windows that end now slide out of it.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// The bar for making ten million rows.
const BAR: Duration = Duration::from_secs(15 * 60);
/// Says in a directory that its set is whole.
const COMPLETE: &str = "complete";

/// A program that runs on a data set.
#[derive(Debug)]
pub(crate) struct DataSet {
    pub(crate) program: Program,
    pub(crate) rows: u64,
    /// When its newest execution was created.
    pub(crate) newest: DateTime<Utc>,
}

impl DataSet {
    /// Starts a program on a set of this size, which is made where there is none.
    pub(crate) async fn open(rows: u64, figures: &mut Vec<Figure>) -> anyhow::Result<Self> {
        let directory = directory(rows)?;
        if !is_fresh(&directory) {
            figures.push(make(rows, &directory).await?);
        }
        warm(&directory)?;
        let program = Program::on(&directory).await?;
        let newest = sqlx::query_scalar("select max(created_at) from task_execution_logs").fetch_one(&program.pool).await?;
        Ok(Self { program, rows, newest })
    }
}

fn sets() -> PathBuf {
    root().join("target/bench-data")
}

/// Where a set of this size and of today's schema is.
fn directory(rows: u64) -> anyhow::Result<PathBuf> {
    let mut migrations: Vec<PathBuf> =
        fs::read_dir(root().join("migrations"))?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    migrations.sort();
    let mut hash = Sha256::new_with_prefix(GENERATION.to_le_bytes());
    for migration in migrations {
        hash.update(fs::read(migration)?);
    }
    let version: String = hash.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    Ok(sets().join(format!("{rows}-{version}")))
}

fn is_fresh(directory: &Path) -> bool {
    let made = fs::metadata(directory.join(COMPLETE)).and_then(|complete| complete.modified());
    made.is_ok_and(|made| made.elapsed().is_ok_and(|age| age < KEPT))
}

async fn make(rows: u64, directory: &Path) -> anyhow::Result<Figure> {
    eprintln!("making a data set of {rows} rows");
    remove_others(rows)?;
    fs::create_dir_all(directory)?;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755))?;
    let began = Instant::now();
    let program = Program::on(directory).await?;
    load::load(&program, rows).await?;
    program.stop().await?;
    fs::File::create(directory.join(COMPLETE))?.write_all(began.elapsed().as_secs().to_string().as_bytes())?;
    let (took, gigabytes) = (began.elapsed(), bytes(directory)? as f64 / 1e9);
    eprintln!("  made in {:.0} s, {gigabytes:.1} GB", took.as_secs_f64());
    Ok(Figure::new(
        format!("making the data set of {} rows", size_word(rows)),
        format!("{:.0} s, {gigabytes:.1} GB", took.as_secs_f64()),
    )
    .bar("≤ 15 min", took <= BAR))
}

/// Removes sets of this size that are unfinished, too old, or of another schema.
fn remove_others(rows: u64) -> anyhow::Result<()> {
    let Ok(entries) = fs::read_dir(sets()) else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&format!("{rows}-")) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Reads the set once, so that what is measured first finds as much in memory as what is measured last.
fn warm(directory: &Path) -> anyhow::Result<()> {
    for_each_file(&directory.join("data/base"), &mut |file| io::copy(&mut fs::File::open(file)?, &mut io::sink()).map(drop))
}

fn bytes(directory: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for_each_file(directory, &mut |file| {
        bytes += fs::metadata(file)?.len();
        Ok(())
    })?;
    Ok(bytes)
}

fn for_each_file(directory: &Path, visit: &mut impl FnMut(&Path) -> io::Result<()>) -> anyhow::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        match entry.file_type()? {
            kind if kind.is_dir() => for_each_file(&entry.path(), visit)?,
            kind if kind.is_file() => visit(&entry.path())?,
            _ => {}
        }
    }
    Ok(())
}
