//! A walk through the text of a JSON value: what is found is replaced where it stands, and all around it stays byte by byte.

use std::{borrow::Cow, ops::Range};

use serde_json::value::RawValue;

use super::{MARKER, Redactor, numbers, patterns::CARD};

/// A secret on the walk.
#[derive(Debug)]
pub(super) struct Found<'a> {
    /// Where it is, from the value that the walk began at: `.user.password`, `.cards[0]`.
    pub(super) place: String,
    /// What it is redacted for.
    pub(super) rule: &'a str,
    /// The secret.
    pub(super) value: Cow<'a, str>,
}

/// Whether a text is an object or an array of JSON.
pub(super) fn is_json(text: &str) -> bool {
    let text = text.trim();
    (text.starts_with('{') && text.ends_with('}') || text.starts_with('[') && text.ends_with(']'))
        && serde_json::from_str::<&RawValue>(text).is_ok()
}

/// The JSON without its secrets, where it has any; each is told. `depth` counts the texts that this JSON was in.
pub(super) fn changed(redactor: &Redactor, json: &str, depth: usize, tell: &mut dyn FnMut(Found<'_>)) -> Option<String> {
    let mut walk = Walk { redactor, json, depth, at: 0, inside: Vec::new(), edits: Vec::new(), tell };
    walk.run();
    let edits = walk.edits;
    if edits.is_empty() {
        return None;
    }
    let (mut out, mut at) = (String::with_capacity(json.len()), 0);
    for (range, new) in edits {
        out.push_str(&json[at..range.start]);
        out.push_str(&new);
        at = range.end;
    }
    out.push_str(&json[at..]);
    Some(out)
}

/// What the walk is inside of.
enum Inside<'a> {
    /// An object, at the member of this name, or before a name.
    Object(Option<Cow<'a, str>>),
    /// An array, at the element with this number.
    Array(usize),
}

struct Walk<'a, 'b> {
    redactor: &'a Redactor,
    json: &'a str,
    depth: usize,
    at: usize,
    inside: Vec<Inside<'a>>,
    /// In the order of their places.
    edits: Vec<(Range<usize>, String)>,
    tell: &'b mut dyn FnMut(Found<'_>),
}

impl<'a> Walk<'a, '_> {
    fn run(&mut self) {
        while let Some(byte) = self.json.as_bytes().get(self.at) {
            match byte {
                b'"' => self.string(),
                b'-' | b'0'..=b'9' => self.number(),
                b'{' => self.enter(Inside::Object(None)),
                b'[' => self.enter(Inside::Array(0)),
                b'}' | b']' => {
                    self.inside.pop();
                    self.at += 1;
                }
                b',' => self.next(),
                _ => self.at += 1,
            }
        }
    }

    fn enter(&mut self, inside: Inside<'a>) {
        self.inside.push(inside);
        self.at += 1;
    }

    fn next(&mut self) {
        self.at += 1;
        match self.inside.last_mut() {
            Some(Inside::Object(name)) => *name = None,
            Some(Inside::Array(number)) => *number += 1,
            None => {}
        }
    }

    fn string(&mut self) {
        let token = self.at..string_end(self.json, self.at);
        self.at = token.end;
        let text = decoded(&self.json[token.clone()]);
        if let Some(Inside::Object(name @ None)) = self.inside.last_mut() {
            *name = Some(text.clone());
            return self.member(&token, &text);
        }
        self.text(token, &text);
    }

    /// A name: its value goes, or it is looked at like any text.
    fn member(&mut self, token: &Range<usize>, name: &str) {
        let redactor = self.redactor;
        let Some(rule) = redactor.names.secret(name) else { return self.text(token.clone(), name) };
        let rest = &self.json[token.end..];
        let start = token.end + rest.find(|c: char| c != ':' && !c.is_ascii_whitespace()).unwrap_or(rest.len());
        let value = start..value_end(self.json, start);
        self.at = value.end;
        let raw = &self.json[value.clone()];
        let shown = if raw.starts_with('"') { decoded(raw) } else { Cow::Borrowed(raw) };
        if shown != MARKER && !raw.is_empty() {
            let place = self.place();
            (self.tell)(Found { place, rule, value: shown });
            self.edits.push((value, quoted(MARKER)));
        }
    }

    fn text(&mut self, token: Range<usize>, text: &str) {
        let Some(changed) = self.redactor.changed_text(text, self.depth) else { return };
        let place = self.place();
        self.redactor.tell_text(text, self.depth, &place, self.tell);
        self.edits.push((token, quoted(&changed)));
    }

    fn number(&mut self) {
        let rest = &self.json[self.at..];
        let length = rest.find(|c: char| !matches!(c, '+' | '-' | '.' | '0'..='9' | 'e' | 'E')).unwrap_or(rest.len());
        let token = self.at..self.at + length;
        self.at = token.end;
        let number = &self.json[token.clone()];
        // As a text of its own, so that what stands around it has no say.
        if length < 14 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return self.own_number(token);
        }
        if numbers::is_card(number, &(0..length)) {
            let place = self.place();
            (self.tell)(Found { place, rule: CARD, value: Cow::Borrowed(number) });
            self.edits.push((token, quoted(MARKER)));
        } else {
            self.own_number(token);
        }
    }

    /// Numbers can be what an added pattern looks for.
    fn own_number(&mut self, token: Range<usize>) {
        if self.redactor.patterns.has_own() {
            let number = &self.json[token.clone()];
            self.text(token, number);
        }
    }

    fn place(&self) -> String {
        let mut place = String::new();
        for inside in &self.inside {
            match inside {
                Inside::Object(Some(name)) => place.extend([".", name]),
                Inside::Object(None) => {}
                Inside::Array(number) => place.push_str(&format!("[{number}]")),
            }
        }
        place
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// What a string of JSON says. One that can't be read is taken as it stands.
fn decoded(token: &str) -> Cow<'_, str> {
    let inner = token.strip_prefix('"').and_then(|token| token.strip_suffix('"')).unwrap_or(token);
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    serde_json::from_str::<String>(token).map_or(Cow::Borrowed(inner), Cow::Owned)
}

/// Behind the string that begins at `start`.
fn string_end(json: &str, start: usize) -> usize {
    let mut is_escaped = false;
    for (place, byte) in json.bytes().enumerate().skip(start + 1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return place + 1,
            _ => {}
        }
    }
    json.len()
}

/// Behind the value that begins at `start`.
fn value_end(json: &str, start: usize) -> usize {
    let (mut at, mut depth) = (start, 0usize);
    while let Some(byte) = json.as_bytes().get(at) {
        match byte {
            b'"' => at = string_end(json, at) - 1,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return at,
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => return at,
            byte if byte.is_ascii_whitespace() && depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    json.len()
}
