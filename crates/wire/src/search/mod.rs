//! The language in which the history is searched: `status:failed task:score_* -queue:bulk "connection refused" (timeout OR refused)`.
//!
//! Terms beside each other must all hold; `OR` stands between alternatives and binds less; `-` or `NOT` before a term turns it round;
//! parentheses group. A term is a word or a quoted phrase, which must occur somewhere in error, traceback, task id or params, or a key with
//! values. The text is parsed on both sides: the browser shows where it is wrong, the server makes SQL of it.

mod complete;
mod expr;
mod key;
mod parse;
mod simple;
mod value;
mod write;

pub use complete::{Completion, Completions, Known, complete};
pub use expr::{Expr, Flag, Name, Number, ParamTest, Range, Scalar, Term, When};
pub use key::{KEYS, Key};
pub use simple::Simple;

/// Bounds of a search.
pub mod search_limits {
    /// The longest text, in bytes.
    pub const TEXT: usize = 1024;
    /// The most terms.
    pub const TERMS: usize = 20;
    /// The most parentheses and negations within each other.
    pub const DEPTH: usize = 5;
    /// The shortest text that an index can find, in characters.
    pub const WORD: usize = 3;
}

/// What is searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search(Expr);

/// A text is no search. It points at the characters that are wrong, and its sentence says what is allowed there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SearchError {
    /// The first wrong character, from 0.
    pub at: usize,
    /// How many characters are wrong; 0 where something is missing before it.
    pub length: usize,
    /// What is allowed.
    pub message: String,
}

impl Search {
    /// Reads a search.
    ///
    /// # Errors
    /// The first place that is wrong.
    pub fn parse(text: &str) -> Result<Self, SearchError> {
        parse::parse(text).map(Self)
    }

    /// The search for all executions of one task, by the broker's id.
    #[must_use]
    pub fn of_task_id(task_id: &str) -> Self {
        Self(Expr::Term(Term::Id(vec![Name::Exact(task_id.to_owned())])))
    }

    /// What must hold.
    #[must_use]
    pub const fn expr(&self) -> &Expr {
        &self.0
    }

    /// The terms of which every one must hold, whatever else does.
    pub fn required(&self) -> impl Iterator<Item = &Term> {
        let parts = match &self.0 {
            Expr::All(parts) => &parts[..],
            one => std::slice::from_ref(one),
        };
        parts.iter().filter_map(|part| if let Expr::Term(term) = part { Some(term) } else { None })
    }
}
