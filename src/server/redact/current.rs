use std::sync::{Arc, PoisonError, RwLock};

use super::Redactor;

/// The rules that hold now, for all who use them. Clones share them.
#[derive(Debug, Clone)]
pub struct Current(Arc<RwLock<Arc<Redactor>>>);

impl Current {
    /// Begins with these.
    #[must_use]
    pub fn new(redactor: Redactor) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(redactor))))
    }

    /// The rules of this moment.
    #[must_use]
    pub fn get(&self) -> Arc<Redactor> {
        // What is behind the lock is replaced whole, so that a panic elsewhere leaves it whole.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on these hold.
    pub fn set(&self, redactor: Redactor) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(redactor);
    }
}
