//! Days of the execution log as files: one row a line of JSON, compressed by zstd.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use chrono::NaiveDate;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tokio::{sync::mpsc, task::JoinHandle};

/// Rows that wait to be written.
const WAITING: usize = 1000;
/// Names that are tried for a day, which has a second file only if rows of it came after it was archived.
const MOST_FILES: u32 = 10_000;

/// Why a day can't be archived.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    #[error("the archive in {0} can't be written")]
    Write(PathBuf, #[source] io::Error),
    #[error("the archive in {0} does not read as it was written")]
    Verify(PathBuf),
    #[error("the thread that writes the archive ended")]
    Thread,
}

/// A file that is being written, under a name of its own.
pub(crate) struct Archive {
    rows: mpsc::Sender<String>,
    writer: JoinHandle<Result<Archived, ArchiveError>>,
}

/// A file that reads as it was written, but has no name yet. Dropped, it is gone.
#[derive(Debug)]
pub(crate) struct Archived {
    pub(crate) rows: u64,
    file: NamedTempFile,
    directory: PathBuf,
    day: NaiveDate,
}

impl Archive {
    pub(crate) fn begin(directory: PathBuf, day: NaiveDate) -> Result<Self, ArchiveError> {
        let failed = |error| ArchiveError::Write(directory.clone(), error);
        fs::create_dir_all(&directory).map_err(failed)?;
        let file =
            tempfile::Builder::new().prefix(".task_execution_logs_").suffix(".tmp").tempfile_in(&directory).map_err(failed)?;
        let (rows, received) = mpsc::channel(WAITING);
        Ok(Self { rows, writer: tokio::task::spawn_blocking(move || write(received, file, directory, day)) })
    }

    /// Whether the row will be written; if not, `finish` tells why.
    pub(crate) async fn write(&mut self, row: String) -> bool {
        self.rows.send(row).await.is_ok()
    }

    /// Writes the rest out to the disk, and reads all of it back.
    pub(crate) async fn finish(self) -> Result<Archived, ArchiveError> {
        drop(self.rows);
        self.writer.await.map_err(|_| ArchiveError::Thread)?
    }
}

impl Archived {
    /// Gives the file its name, which no other has.
    pub(crate) fn publish(self) -> Result<PathBuf, ArchiveError> {
        let failed = |error| ArchiveError::Write(self.directory.clone(), error);
        let mut file = self.file;
        for number in 1..=MOST_FILES {
            let suffix = if number == 1 { String::new() } else { format!(".{number}") };
            let path = self.directory.join(format!("task_execution_logs_{}{suffix}.ndjson.zst", self.day));
            match file.persist_noclobber(&path) {
                Ok(_) => {
                    File::open(&self.directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
                    return Ok(path);
                }
                Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => file = error.file,
                Err(error) => return Err(failed(error.error)),
            }
        }
        Err(failed(io::ErrorKind::AlreadyExists.into()))
    }
}

fn write(
    rows: mpsc::Receiver<String>,
    file: NamedTempFile,
    directory: PathBuf,
    day: NaiveDate,
) -> Result<Archived, ArchiveError> {
    let failed = |error| ArchiveError::Write(directory.clone(), error);
    let (written, hash) = compress(rows, file.as_file()).map_err(failed)?;
    let read = read_back(file.path()).map_err(failed)?;
    if read != (written, hash) {
        return Err(ArchiveError::Verify(directory));
    }
    Ok(Archived { rows: written, file, directory, day })
}

fn compress(mut rows: mpsc::Receiver<String>, file: &File) -> io::Result<(u64, Vec<u8>)> {
    let (mut count, mut hash) = (0, Sha256::new());
    let mut encoder = zstd::Encoder::new(BufWriter::new(file), 0)?;
    // A checksum of zstd's own, for whoever reads it in years.
    encoder.include_checksum(true)?;
    while let Some(mut row) = rows.blocking_recv() {
        row.push('\n');
        hash.update(&row);
        encoder.write_all(row.as_bytes())?;
        count += 1;
    }
    encoder.finish()?.flush()?;
    file.sync_all()?;
    Ok((count, hash.finalize().to_vec()))
}

fn read_back(path: &Path) -> io::Result<(u64, Vec<u8>)> {
    let (mut count, mut hash) = (0, Sha256::new());
    let mut reader = BufReader::new(zstd::Decoder::new(File::open(path)?)?);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        hash.update(&line);
        count += 1;
        line.clear();
    }
    Ok((count, hash.finalize().to_vec()))
}
