//! What those who run the server should know, and can do something about: told in the live state, on the Workers page and by `/readyz`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Sentences by what they are about. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Notices(Arc<Mutex<BTreeMap<&'static str, String>>>);

impl Notices {
    /// Says something in place of what was said about the same before. The log has it where it is new.
    pub fn say(&self, about: &'static str, sentence: &str) {
        let before = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(about, sentence.to_owned());
        if before.as_deref() != Some(sentence) {
            tracing::warn!(about, "{sentence}");
        }
    }

    /// There is nothing to say about it any more.
    pub fn clear(&self, about: &'static str) {
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(about).is_some() {
            tracing::info!(about, "mended");
        }
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
