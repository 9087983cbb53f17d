//! Finds secrets in what workers report and puts [`MARKER`] in their place: pure, so that what it promises can be proven.
//!
//! **Promises.** The value of a member whose name says that it is secret goes whole, at any depth; what looks like a secret goes wherever it stands.
//! JSON stays JSON, nothing else changes, and doing it again changes nothing. Every expression is matched in linear time, and what people add is bounded.
//!
//! **Fails** on the side of showing too little: `password: unknown` in a message loses its last word. It can't know a secret that has neither a
//! telling name nor a telling form, such as a password among positional arguments.
//!
//! **How.** Nearly no event holds a secret, so all its texts are looked through at once for the words that any finding begins with (`quick`).
//! Only where one is there, names (`names`), forms (`patterns`) and `name=value` pairs (`pairs`) are looked for; JSON is walked as
//! the text that it is (`json`), so that digits and spaces stay.

mod current;
mod json;
mod names;
mod numbers;
mod pairs;
mod patterns;
mod preview;
mod quick;
mod replace;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use taskscope_wire::{EventKind, Json, RedactionDefaults, RedactionRules, TaskEvent};

pub use self::{
    current::Current,
    preview::{Texts, preview},
};
use self::{names::Names, patterns::Patterns, quick::Quick, replace::Hit};

/// What stands where a secret was.
pub const MARKER: &str = "[redacted]";

/// Keys, patterns and exceptions that people may add, of each kind.
pub const MOST_RULES: usize = 100;
/// Bytes of the longest of them.
pub const LONGEST_RULE: usize = 500;
/// How often a text that changed is looked at again: what is replaced can bring together what wasn't.
const PASSES: usize = 8;
/// Bytes of the texts of most events.
const USUAL_BYTES: usize = 512;
/// How deep JSON is looked for in texts of JSON.
const NESTED: usize = 2;

/// A rule that can't hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {rule:?} {reason}")]
pub struct InvalidRule {
    /// `keys`, `patterns` or `exceptions`.
    pub kind: &'static str,
    /// The rule as it was given, or its beginning.
    pub rule: String,
    /// Why, as the end of a sentence.
    pub reason: String,
}

/// Rules, ready to be used.
#[derive(Debug)]
pub struct Redactor {
    names: Names,
    patterns: Patterns,
    quick: Quick,
    /// Whether the quick look can't say anything of an event: what people added may be written with escapes, or stand anywhere.
    looks_closer: bool,
    is_blind: bool,
}

impl Redactor {
    /// Makes rules ready, on top of the defaults.
    ///
    /// # Errors
    /// A rule can't hold: it is named, with the reason.
    pub fn new(rules: &RedactionRules) -> Result<Self, InvalidRule> {
        for (kind, given) in [("keys", &rules.keys), ("patterns", &rules.patterns), ("exceptions", &rules.exceptions)] {
            check(kind, given)?;
        }
        let names = Names::new(&rules.keys, &rules.exceptions)?;
        let patterns = Patterns::new(&rules.patterns)?;
        let quick = Quick::new(names.triggers().chain(patterns.triggers()))?;
        let looks_closer = names.are_hidden_by_escapes() || patterns.has_own();
        Ok(Self { names, patterns, quick, looks_closer, is_blind: false })
    }

    /// Redacts nothing. No setting leads here: it is how tests prove that they would find a secret.
    ///
    /// # Errors
    /// As [`Redactor::new`].
    pub fn blind() -> Result<Self, InvalidRule> {
        Ok(Self { is_blind: true, ..Self::new(&RedactionRules::default())? })
    }

    /// What holds whatever people set.
    #[must_use]
    pub fn defaults() -> RedactionDefaults {
        RedactionDefaults { keys: Names::defaults(), patterns: Patterns::defaults() }
    }

    /// Redacts params, labels, results, messages and tracebacks of events. Ids and names of tasks, queues and workers stay: executions are told apart by them.
    pub fn events(&self, events: &mut [TaskEvent]) {
        let mut scratch = Vec::with_capacity(USUAL_BYTES);
        for event in events {
            if !self.is_blind && self.may_hold_secrets(event, &mut scratch) {
                self.event(event);
            }
        }
    }

    /// Redacts a text that may be JSON, such as an event that can't be read.
    #[must_use]
    pub fn line<'a>(&self, line: &'a str) -> Cow<'a, str> {
        match self.changed(line) {
            Some(changed) => Cow::Owned(changed),
            None => Cow::Borrowed(line),
        }
    }

    /// A quick look at all texts at once, each in lower case in `scratch`.
    fn may_hold_secrets(&self, event: &TaskEvent, scratch: &mut Vec<u8>) -> bool {
        if self.looks_closer {
            return true;
        }
        scratch.clear();
        let mut add = |text: Option<&str>| {
            if let Some(text) = text {
                scratch.extend_from_slice(text.as_bytes());
                scratch.push(b'\n');
            }
        };
        add(event.params.as_ref().map(Json::as_str));
        add(event.labels.as_ref().map(Json::as_str));
        if let EventKind::Finished(finish) = &event.kind {
            add(finish.error_message.as_deref());
            add(finish.error_traceback.as_deref());
            add(finish.result.as_ref().map(Json::as_str));
        }
        scratch.make_ascii_lowercase();
        self.quick.hits(scratch)
    }

    fn event(&self, event: &mut TaskEvent) {
        self.change_json(&mut event.params);
        self.change_json(&mut event.labels);
        if let EventKind::Finished(finish) = &mut event.kind {
            self.change_text(&mut finish.error_message);
            self.change_text(&mut finish.error_traceback);
            self.change_json(&mut finish.result);
        }
    }

    fn change_json(&self, json: &mut Option<Json>) {
        let changed = json.as_ref().and_then(|json| self.changed_json(json.as_str(), 0));
        if let Some(changed) = changed.and_then(|changed| Json::parse(changed).ok()) {
            *json = Some(changed);
        }
    }

    fn change_text(&self, text: &mut Option<String>) {
        if let Some(changed) = text.as_ref().and_then(|text| self.changed(text)) {
            *text = Some(changed);
        }
    }

    /// The text without its secrets, where it has any.
    fn changed(&self, text: &str) -> Option<String> {
        if self.is_blind { None } else { self.changed_text(text, 0) }
    }

    /// The same; `depth` counts the texts that this one was in.
    fn changed_text(&self, text: &str, depth: usize) -> Option<String> {
        if depth < NESTED && json::is_json(text) {
            return self.changed_json(text, depth + 1);
        }
        let mut changed = None;
        for _ in 0..PASSES {
            let now: &str = changed.as_deref().unwrap_or(text);
            let Some(next) = replace::replace(now, self.hits(now)) else { break };
            changed = Some(next);
        }
        changed
    }

    fn changed_json(&self, text: &str, depth: usize) -> Option<String> {
        json::changed(self, text, depth, &mut |_| ())
    }

    /// The places of secrets in a text that is no JSON.
    fn hits(&self, text: &str) -> Vec<Hit<'_>> {
        let mut hits = Vec::new();
        self.patterns.find_own(text, &mut hits);
        // Names in other alphabets have no trigger.
        if self.names.are_hidden_by_escapes() || self.quick.hits(text.to_ascii_lowercase().as_bytes()) {
            self.patterns.find_known(text, &mut hits);
            pairs::find(text, &self.names, &mut hits);
        }
        hits
    }
}

fn check(kind: &'static str, given: &[String]) -> Result<(), InvalidRule> {
    if given.len() > MOST_RULES {
        let reason = format!("and others are too many: at most {MOST_RULES} can be given, not {}", given.len());
        return Err(InvalidRule { kind, rule: given.first().cloned().unwrap_or_default(), reason });
    }
    match given.iter().find(|rule| rule.len() > LONGEST_RULE) {
        Some(long) => Err(InvalidRule {
            kind,
            rule: format!("{}…", &long[..long.floor_char_boundary(40)]),
            reason: format!("is too long: at most {LONGEST_RULE} bytes, not {}", long.len()),
        }),
        None => Ok(()),
    }
}
