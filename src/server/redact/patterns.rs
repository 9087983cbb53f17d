//! Secrets that are known by how they look.

use std::ops::Range;

use regex::{Regex, RegexBuilder};

use super::{InvalidRule, numbers, replace::Hit};

/// Bytes that an added expression may take when it is compiled: its time to match grows with them.
const COMPILED: usize = 256 * 1024;
/// How deep its groups may be nested.
const GROUPS: u32 = 20;

/// What numbers of payment cards are called.
pub(super) const CARD: &str = "number of a payment card";

/// A form that holds always.
struct Known {
    label: &'static str,
    /// What any such secret has in one piece, in lower case. Numbers of cards are found by their length.
    triggers: &'static [&'static str],
    /// Where it has a group, only what the group matches is secret.
    expression: &'static str,
    /// What an expression can't say.
    check: Option<fn(&str, &Range<usize>) -> bool>,
}

const KNOWN: [Known; 13] = [
    Known {
        label: "private key (PEM)",
        triggers: &["-----begin"],
        // One whose end was cut off goes to the end of the text.
        expression: r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\z)",
        check: None,
    },
    Known {
        label: "bearer token",
        triggers: &["bearer", "basic "],
        expression: r"(?i)\b(?:bearer|basic)\s+([a-z0-9._~+/=-]{8,})",
        check: Some(looks_random),
    },
    Known {
        label: "JSON web token",
        triggers: &["eyj"],
        expression: r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){0,3}",
        check: None,
    },
    Known {
        label: "password in a URL",
        triggers: &["://"],
        expression: r#"(?i)\b[a-z][a-z0-9+.-]*://[^\s/?\#@:"'<>]*:([^\s/"'<>]+)@"#,
        check: None,
    },
    Known { label: "AWS access key", triggers: &["akia", "asia"], expression: r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b", check: None },
    Known {
        label: "GitHub token",
        triggers: &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"],
        expression: r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})",
        check: None,
    },
    Known { label: "GitLab token", triggers: &["glpat-"], expression: r"\bglpat-[A-Za-z0-9_-]{16,}", check: None },
    Known {
        label: "Slack token",
        triggers: &["xox", "xapp-", "hooks.slack.com/services/"],
        expression: r"\b(?:xox[a-z]|xapp)-[A-Za-z0-9-]{10,}|\bhooks\.slack\.com/services/[A-Za-z0-9/]{10,}",
        check: None,
    },
    Known { label: "OpenAI or Anthropic key", triggers: &["sk-"], expression: r"\bsk-[A-Za-z0-9_-]{20,}", check: Some(is_key) },
    Known {
        label: "Telegram bot token",
        triggers: &[":aa"],
        expression: r"(?:\b|bot)(\d{8,10}:AA[A-Za-z0-9_-]{33})",
        check: None,
    },
    Known {
        label: "Stripe key",
        triggers: &["k_live_", "k_test_"],
        expression: r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{10,}",
        check: None,
    },
    Known { label: "Google API key", triggers: &["aiza"], expression: r"\bAIza[A-Za-z0-9_-]{35}", check: None },
    Known {
        label: CARD,
        triggers: &[],
        expression: r"\b(?:\d{14,16}|\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{4}|\d{4}[ -]\d{6}[ -]\d{4,5})\b",
        check: Some(numbers::is_card),
    },
];

/// Secrets by their form: the known ones, and what people added.
#[derive(Debug)]
pub(super) struct Patterns {
    known: Vec<Pattern>,
    own: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    label: String,
    expression: Regex,
    check: Option<fn(&str, &Range<usize>) -> bool>,
    /// Whether only what its first group matches is secret.
    has_group: bool,
}

impl Patterns {
    pub(super) fn new(own: &[String]) -> Result<Self, InvalidRule> {
        let compile = |Known { label, expression, check, .. }: &Known| -> Result<Pattern, InvalidRule> {
            let expression = Regex::new(expression).map_err(|error| invalid(label, &error))?;
            let has_group = expression.captures_len() > 1;
            Ok(Pattern { label: (*label).to_owned(), expression, check: *check, has_group })
        };
        Ok(Self {
            known: KNOWN.iter().map(compile).collect::<Result<_, _>>()?,
            own: own.iter().map(|pattern| Pattern::added(pattern)).collect::<Result<_, _>>()?,
        })
    }

    /// The kinds of secrets that are known always.
    pub(super) fn defaults() -> Vec<String> {
        KNOWN.iter().map(|known| known.label.to_owned()).collect()
    }

    /// What any known secret but a card's number has in one piece, in lower case.
    pub(super) fn triggers(&self) -> impl Iterator<Item = &str> {
        KNOWN.iter().flat_map(|known| known.triggers).copied()
    }

    /// Whether people have added some.
    pub(super) fn has_own(&self) -> bool {
        !self.own.is_empty()
    }

    pub(super) fn find_known<'a>(&'a self, text: &str, hits: &mut Vec<Hit<'a>>) {
        self.known.iter().for_each(|pattern| pattern.find(text, hits));
    }

    pub(super) fn find_own<'a>(&'a self, text: &str, hits: &mut Vec<Hit<'a>>) {
        self.own.iter().for_each(|pattern| pattern.find(text, hits));
    }
}

impl Pattern {
    fn added(pattern: &str) -> Result<Self, InvalidRule> {
        let mut builder = RegexBuilder::new(pattern);
        let expression = builder.size_limit(COMPILED).nest_limit(GROUPS).build().map_err(|error| invalid(pattern, &error))?;
        if expression.is_match("") {
            let reason = "matches an empty text, and so every text: let it match one character at least".to_owned();
            return Err(InvalidRule { kind: "patterns", rule: pattern.to_owned(), reason });
        }
        let has_group = expression.captures_len() > 1;
        Ok(Self { label: pattern.to_owned(), expression, check: None, has_group })
    }

    fn find<'a>(&'a self, text: &str, hits: &mut Vec<Hit<'a>>) {
        let fits = |range: &Range<usize>| self.check.is_none_or(|check| check(text, range));
        let hit = |range| Hit { range, rule: self.label.as_str() };
        if self.has_group {
            let groups = self.expression.captures_iter(text).filter_map(|found| found.get(1).or_else(|| found.get(0)));
            hits.extend(groups.map(|group| group.range()).filter(fits).map(hit));
        } else {
            hits.extend(self.expression.find_iter(text).map(|found| found.range()).filter(fits).map(hit));
        }
    }
}

fn invalid(pattern: &str, error: &regex::Error) -> InvalidRule {
    let reason = match error {
        regex::Error::CompiledTooBig(_) => "is too large when it is compiled: repeat less in it".to_owned(),
        // The lines before draw where; the last one says what.
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            format!("is no regular expression: {}", last.strip_prefix("error: ").unwrap_or(last))
        }
    };
    InvalidRule { kind: "patterns", rule: pattern.to_owned(), reason }
}

/// Whether it is no word of a sentence: `basic authentication` isn't a secret.
fn looks_random(text: &str, range: &Range<usize>) -> bool {
    let value = &text[range.clone()];
    value.len() >= 16 || value.bytes().any(|byte| byte.is_ascii_digit() || matches!(byte, b'=' | b'_' | b'+' | b'/'))
}

/// Whether it is no row of words, such as the name of a package.
fn is_key(text: &str, range: &Range<usize>) -> bool {
    let value = &text[range.clone()];
    value.bytes().any(|byte| byte.is_ascii_digit()) || value.split(['-', '_']).any(|piece| piece.len() >= 16)
}
