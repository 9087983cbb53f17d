//! The key that keys of language model providers are sealed with: a setting, or a file that the server makes in its data directory.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::Context;
use secrecy::SecretString;

/// The key of this data directory, made where there is none.
///
/// # Errors
/// A sentence: the file can't be read or written.
pub(super) fn make(directory: &Path) -> anyhow::Result<SecretString> {
    if let Some(key) = find(directory)? {
        return Ok(key);
    }
    let path = path(directory);
    let advice = || format!("{} can't be written: set TASKSCOPE_SECRET_KEY instead", path.display());
    let key = taskscope_workload::new_secret_key();
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).with_context(advice)?;
    file.write_all(key.as_bytes()).and_then(|()| file.sync_all()).with_context(advice)?;
    Ok(key.into())
}

/// The key of this data directory, if there is one.
///
/// # Errors
/// A sentence: the file can't be read.
pub(super) fn find(directory: &Path) -> anyhow::Result<Option<SecretString>> {
    let path = path(directory);
    match fs::read_to_string(&path) {
        Ok(key) => Ok(Some(key.trim().into())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} can't be read: set TASKSCOPE_SECRET_KEY instead", path.display())),
    }
}

fn path(directory: &Path) -> PathBuf {
    directory.join("secret.key")
}
