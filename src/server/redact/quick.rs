//! The look that nearly every event passes.

use std::collections::BTreeSet;

use aho_corasick::{AhoCorasick, packed::Searcher};

use super::{InvalidRule, numbers};

/// What a finding begins with, or can be hidden behind: in lower case.
#[derive(Debug)]
pub(super) enum Quick {
    /// Many bytes at once, where the words are few enough for that.
    Packed(Box<Searcher>),
    /// A byte at a time, whatever the words are.
    Automaton(AhoCorasick),
}

/// Escapes in JSON that can hide a word: those of ASCII letters, and of a slash.
const HIDING: [&str; 2] = [r"\u00", r":\/"];

impl Quick {
    /// Looks for these words, which must be in lower case, and for long numbers.
    pub(super) fn new<'a>(words: impl Iterator<Item = &'a str>) -> Result<Self, InvalidRule> {
        let words: BTreeSet<&str> = words.chain(HIDING).collect();
        // A word that holds another adds nothing.
        let words: Vec<&str> =
            words.iter().copied().filter(|word| !words.iter().any(|other| other != word && word.contains(other))).collect();
        if let Some(searcher) = Searcher::new(&words) {
            return Ok(Self::Packed(Box::new(searcher)));
        }
        let automaton = AhoCorasick::new(&words).map_err(|error| InvalidRule {
            kind: "keys",
            rule: String::new(),
            reason: format!("are too many: {error}"),
        })?;
        Ok(Self::Automaton(automaton))
    }

    /// Whether there may be a secret in a text, given in lower case.
    pub(super) fn hits(&self, lower: &[u8]) -> bool {
        let has_word = match self {
            Self::Packed(searcher) => searcher.find(lower).is_some(),
            Self::Automaton(automaton) => automaton.is_match(lower),
        };
        has_word || numbers::has_long(lower)
    }
}
