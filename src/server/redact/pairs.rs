//! `name=value` and `name: value` in messages and tracebacks.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;

use super::{MARKER, names::Names, replace::Hit};

/// A name with what stands between it and its value. Quotation marks around the name may be escaped, where a text of JSON or Python is in another.
static NAMES: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"([\pL_][\pL\d_.-]{0,100})(?:\[\d+\])?\\{0,3}["']?[ \t]{0,4}(?:=>|:=|==|=|:)[ \t]{0,4}"#).ok());

/// What a message says of a value instead of the value.
const NO_VALUES: [&str; 26] = [
    "none",
    "null",
    "nil",
    "true",
    "false",
    "undefined",
    "str",
    "string",
    "int",
    "bytes",
    "bool",
    "optional",
    "required",
    "missing",
    "invalid",
    "expired",
    "empty",
    "unknown",
    "unset",
    "must",
    "not",
    "is",
    "was",
    "has",
    "cannot",
    "expected",
];

/// Names whose value goes to the end of its line when it isn't in quotation marks: it has spaces.
const WHOLE_LINES: [&str; 2] = ["authorization", "cookie"];

/// Finds the values of secret names.
pub(super) fn find<'a>(text: &str, names: &'a Names, hits: &mut Vec<Hit<'a>>) {
    let Some(expression) = NAMES.as_ref() else { return };
    let mut at = 0;
    while let Some(found) = expression.captures_at(text, at) {
        let (Some(whole), Some(name)) = (found.get(0), found.get(1)) else { return };
        at = whole.end();
        let Some(rule) = names.secret(name.as_str()) else { continue };
        let range = value(text, whole.end(), WHOLE_LINES.contains(&rule));
        if is_secret(&text[range.clone()]) {
            at = range.end.max(at);
            hits.push(Hit { range, rule });
        }
    }
}

fn is_secret(value: &str) -> bool {
    !value.is_empty() && value != MARKER && !NO_VALUES.contains(&value.to_ascii_lowercase().as_str())
}

/// Where a value is that begins at `start`, without its quotation marks.
fn value(text: &str, start: usize, whole_line: bool) -> Range<usize> {
    let rest = &text[start..];
    // `b'…'`, `f"…"` of Python.
    let prefix = rest.find(|c: char| !c.is_ascii_alphabetic()).filter(|length| *length <= 2).unwrap_or(0);
    let escapes = rest[prefix..].bytes().take_while(|byte| *byte == b'\\').count();
    let open = prefix + escapes;
    match rest.as_bytes().get(open) {
        Some(quote @ (b'"' | b'\'')) => {
            let inner = open + 1;
            start + inner..start + quoted_end(rest, inner, *quote, escapes)
        }
        Some(b'{' | b'[') if open == 0 && !rest.starts_with(MARKER) => start..start + bracket_end(rest),
        _ if rest.starts_with(MARKER) => start..start + MARKER.len(),
        _ if whole_line => start..start + rest.find(['\n', '\r', '"', '\'']).unwrap_or(rest.len()),
        _ => start..start + bare_end(rest),
    }
}

/// The end of a text in quotation marks, each with so many backslashes before it; the end of all where there is none.
fn quoted_end(rest: &str, inner: usize, quote: u8, escapes: usize) -> usize {
    let mut backslashes = 0;
    for (place, byte) in rest.bytes().enumerate().skip(inner) {
        let closes = if escapes == 0 { backslashes % 2 == 0 } else { backslashes <= escapes };
        match byte {
            b'\\' => backslashes += 1,
            byte if byte == quote && closes => return place - backslashes.min(escapes),
            _ => backslashes = 0,
        }
    }
    rest.len()
}

/// The end of a list or an object: its closing bracket, or the end of its line.
fn bracket_end(rest: &str) -> usize {
    let mut depth = 0usize;
    for (place, byte) in rest.bytes().enumerate() {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return place + 1;
                }
            }
            b'\n' => return place,
            _ => {}
        }
    }
    rest.len()
}

/// The end of a value without quotation marks. A scheme such as `Bearer` is not the value yet.
fn bare_end(rest: &str) -> usize {
    let ends =
        |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '&' | ')' | ']' | '}' | '"' | '\'' | '<' | '>' | '\\' | '`');
    let end = rest.find(ends).unwrap_or(rest.len());
    let is_scheme = ["bearer", "basic", "token", "digest"].iter().any(|scheme| rest[..end].eq_ignore_ascii_case(scheme));
    match rest[end..].strip_prefix(' ') {
        Some(after) if is_scheme => end + 1 + after.find(ends).unwrap_or(after.len()),
        _ => end,
    }
}
