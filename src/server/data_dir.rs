//! The directory that one Taskscope has to itself.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use nix::fcntl::{Flock, FlockArg};

/// How long the lock of a process that was just killed may linger.
const LOCK_LIMIT: Duration = Duration::from_secs(5);

/// A data directory that no other process uses as long as this value lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: Flock<fs::File>,
}

impl DataDir {
    /// Makes the directory where it is missing and takes it.
    ///
    /// # Errors
    /// It can't be made, or another process has it; the sentence says what to do.
    pub async fn take(path: &Path) -> anyhow::Result<Self> {
        let advice = || format!("{} can't be used: choose a directory with TASKSCOPE_DATA_DIR", path.display());
        fs::create_dir_all(path).with_context(advice)?;
        let patience = Instant::now() + LOCK_LIMIT;
        loop {
            let file =
                fs::OpenOptions::new().create(true).truncate(false).write(true).open(path.join("lock")).with_context(advice)?;
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => return Ok(Self { path: path.to_owned(), _lock: lock }),
                Err(_) if Instant::now() > patience => bail!(
                    "{} is in use by another running Taskscope: stop it, or choose another directory with TASKSCOPE_DATA_DIR",
                    path.display()
                ),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// The directory of the spool, which only this process's user may enter.
    ///
    /// # Errors
    /// It can't be made.
    pub fn spool(&self) -> anyhow::Result<PathBuf> {
        let spool = self.path.join("spool");
        fs::create_dir_all(&spool).with_context(|| format!("{} can't be made", spool.display()))?;
        fs::set_permissions(&spool, fs::Permissions::from_mode(0o700))?;
        Ok(spool)
    }
}
