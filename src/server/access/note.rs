//! What an action tells the audit log.

use std::sync::{Arc, Mutex, PoisonError};

/// What an action adds to its line in the audit log.
#[derive(Debug, Clone, Default)]
pub struct AuditNote(Arc<Mutex<String>>);

impl AuditNote {
    /// Says on what it was done, or what came out.
    pub fn set(&self, text: impl Into<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = text.into();
    }

    /// What was said last.
    #[must_use]
    pub fn take(&self) -> String {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
