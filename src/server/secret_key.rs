//! The key that keys of language model providers are sealed with: a setting, or a file that the server makes in its data directory.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use secrecy::SecretString;

/// The shortest key, in bytes.
const SHORTEST: usize = 16;

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
    // Whole or not at all: half a key would be none, and what is sealed with it could be opened by anybody.
    let unfinished = directory.join("secret.key.new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished).with_context(advice)?;
    file.write_all(key.as_bytes()).and_then(|()| file.sync_all()).with_context(advice)?;
    fs::rename(&unfinished, &path).with_context(advice)?;
    Ok(key.into())
}

/// The key of this data directory, if there is one.
///
/// # Errors
/// A sentence: the file can't be read.
pub(super) fn find(directory: &Path) -> anyhow::Result<Option<SecretString>> {
    let path = path(directory);
    match fs::read_to_string(&path) {
        Ok(key) if key.trim().len() < SHORTEST => {
            bail!("{} holds no key: put the right one back, or delete it and store the providers' keys again", path.display())
        }
        Ok(key) => Ok(Some(key.trim().into())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} can't be read: set TASKSCOPE_SECRET_KEY instead", path.display())),
    }
}

fn path(directory: &Path) -> PathBuf {
    directory.join("secret.key")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        assert!(find(directory.path()).unwrap().is_none());
        let key = make(directory.path()).unwrap();
        assert_eq!(key.expose_secret().len(), 64);
        assert_eq!(make(directory.path()).unwrap().expose_secret(), key.expose_secret());
        let path = directory.path().join("secret.key");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "").unwrap();
        assert!(make(directory.path()).unwrap_err().to_string().contains("holds no key"));
    }
}
