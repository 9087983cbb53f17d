//! The rules of redaction: in Postgres for all servers, in force here, and as a copy on this server's disk.
//!
//! **Promises.** Rules hold without Postgres: those of the last time that it answered, also after a restart. Where none were ever known, the defaults hold.
//! A change is in force on every server within seconds, and on the one that made it at once.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context;
use taskscope_wire::{Redaction as Answer, RedactionPreview, RedactionRules};

use super::{
    redact::{Current, InvalidRule, Redactor, Texts, preview},
    store::{ExecutionTexts, Store, StoreError, StoredRules},
};
use crate::error::AppError;

/// The copy in the data directory.
const COPY: &str = "redaction.json";
/// How often other servers' changes are looked for.
const POLL: Duration = Duration::from_secs(1);
/// Executions that a preview looks at, and the bytes of their texts at the most.
const PREVIEWED: i64 = 500;
const PREVIEWED_BYTES: i64 = 16 * 1024 * 1024;

/// Why rules were not looked up, tried or changed.
#[derive(Debug, thiserror::Error)]
pub enum RedactionError {
    /// A rule can't hold.
    #[error(transparent)]
    Invalid(#[from] InvalidRule),
    /// Postgres doesn't answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The rules, for those who use and who change them. Clones share them.
#[derive(Debug, Clone)]
pub struct Redaction {
    store: Store,
    current: Current,
    copy: Arc<PathBuf>,
    /// The version that is in force, once Postgres has told it.
    version: Arc<Mutex<Option<i64>>>,
}

impl Redaction {
    /// Begins with the rules that the data directory has a copy of.
    ///
    /// # Errors
    /// The defaults can't be made ready.
    pub fn start(data_dir: &Path, store: Store) -> anyhow::Result<Self> {
        let current = Current::new(redactor_of(data_dir)?);
        Ok(Self { store, current, copy: Arc::new(data_dir.join(COPY)), version: Arc::default() })
    }

    /// The rules in force, ready to be used.
    #[must_use]
    pub fn current(&self) -> &Current {
        &self.current
    }

    /// Follows what other servers change, for ever.
    pub async fn follow(self) {
        loop {
            match self.store.redaction_rules().await {
                Ok(stored) => self.adopt(stored),
                Err(error) => tracing::debug!(%error, "the rules of redaction stay as they were"),
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The rules as they are stored, with what holds always.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn rules(&self) -> Result<Answer, StoreError> {
        Ok(answer(self.store.redaction_rules().await?))
    }

    /// Puts other rules in force, here at once.
    ///
    /// # Errors
    /// A rule can't hold, or Postgres doesn't answer. Nothing is changed then.
    pub async fn change(&self, rules: &RedactionRules) -> Result<Answer, RedactionError> {
        drop(Redactor::new(rules)?);
        let stored = self.store.save_redaction_rules(rules).await?;
        self.adopt(stored.clone());
        Ok(answer(stored))
    }

    /// What rules would redact in the newest executions, without changing anything.
    ///
    /// # Errors
    /// A rule can't hold, or Postgres doesn't answer.
    pub async fn preview(&self, rules: &RedactionRules) -> Result<RedactionPreview, RedactionError> {
        let redactor = Redactor::new(rules)?;
        let executions: Vec<Texts> =
            self.store.newest_texts(PREVIEWED, PREVIEWED_BYTES).await?.into_iter().map(Texts::from).collect();
        let looked_through = tokio::task::spawn_blocking(move || preview(&redactor, &executions)).await;
        looked_through.map_err(|error| StoreError::Unavailable(format!("the preview ended: {error}")).into())
    }

    /// Puts stored rules in force, unless they are.
    fn adopt(&self, stored: StoredRules) {
        let mut version = self.version.lock().unwrap_or_else(PoisonError::into_inner);
        if version.is_some_and(|known| known >= stored.version) {
            return;
        }
        match Redactor::new(&stored.rules) {
            Ok(redactor) => self.current.set(redactor),
            // Said once, since the version is noted all the same.
            Err(error) => tracing::error!(%error, "the stored rules of redaction can't hold; those from before do"),
        }
        if let Err(error) = write_copy(&self.copy, &stored.rules) {
            tracing::error!(
                error = format!("{error:#}"),
                "the rules of redaction have no copy: after a restart without Postgres older ones would hold"
            );
        }
        *version = Some(stored.version);
    }
}

/// The rules of a data directory as they were last known there; the defaults where none were, or where they can't be read.
///
/// # Errors
/// The defaults can't be made ready.
pub fn redactor_of(data_dir: &Path) -> anyhow::Result<Redactor> {
    let copy = match fs::read(data_dir.join(COPY)) {
        Ok(copy) => serde_json::from_slice::<RedactionRules>(&copy)
            .context("it is no list of rules")
            .and_then(|rules| Ok(Redactor::new(&rules)?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Redactor::new(&RedactionRules::default()).map_err(Into::into),
        Err(error) => Err(error.into()),
    };
    copy.or_else(|error| {
        tracing::error!(
            error = format!("{error:#}"),
            "the copy of the rules of redaction can't be used: the defaults hold until Postgres answers"
        );
        Ok(Redactor::new(&RedactionRules::default())?)
    })
}

/// Whole or not at all, and for this process's user alone.
fn write_copy(path: &Path, rules: &RedactionRules) -> anyhow::Result<()> {
    let unfinished = path.with_extension("json.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(&serde_json::to_vec_pretty(rules)?)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    Ok(())
}

fn answer(stored: StoredRules) -> Answer {
    Answer { rules: stored.rules, defaults: Redactor::defaults(), changed_at: stored.changed_at }
}

impl From<ExecutionTexts> for Texts {
    fn from(texts: ExecutionTexts) -> Self {
        let all = [
            ("params", texts.params),
            ("labels", texts.labels),
            ("result", texts.result),
            ("error_message", texts.error_message),
            ("error_traceback", texts.error_traceback),
        ];
        let given = all.into_iter().filter_map(|(name, text)| Some((name, text?))).collect();
        Self { id: texts.id, task_name: texts.task_name, texts: given }
    }
}

impl From<RedactionError> for AppError {
    fn from(error: RedactionError) -> Self {
        match error {
            RedactionError::Invalid(error) => Self::Refused(error.to_string()).with_status(),
            RedactionError::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_copy_is_read_back_and_a_broken_one_leaves_the_defaults() {
        let directory = tempfile::tempdir().unwrap();
        let reads = |text: &str| redactor_of(directory.path()).unwrap().line(text).into_owned();
        assert_eq!((reads("own=1"), reads("password=1")), ("own=1".to_owned(), "password=[redacted]".to_owned()));
        let copy = directory.path().join(COPY);
        write_copy(&copy, &RedactionRules { keys: vec!["own".to_owned()], ..RedactionRules::default() }).unwrap();
        assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!((reads("own=1"), reads("password=1")), ("own=[redacted]".to_owned(), "password=[redacted]".to_owned()));
        for broken in ["", "{", r#"{"keys": [], "patterns": ["("], "exceptions": []}"#] {
            fs::write(&copy, broken).unwrap();
            assert_eq!((reads("own=1"), reads("password=1")), ("own=1".to_owned(), "password=[redacted]".to_owned()), "{broken}");
        }
    }
}
