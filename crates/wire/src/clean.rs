use std::borrow::Cow;

/// Arrays and objects nested deeper than this are replaced by a sentence.
pub const MAX_DEPTH: usize = 64;

/// Numbers with more digits, or an exponent beyond this, become strings, as does what is too large for a float: Postgres refuses what `numeric`
/// can't hold, and we could not read it back.
const MAX_NUMBER: usize = 300;

/// Makes any body that a client calls JSON acceptable to serde and to Postgres, so that no event is lost for a value:
///
/// | found | becomes |
/// |---|---|
/// | invalid UTF-8 | U+FFFD |
/// | `\u0000`, half of a surrogate pair | the same six characters as visible text |
/// | `NaN`, `Infinity`, `-Infinity` (Python's `json.dumps`) | `null` |
/// | `1e999999`, a number of more than 300 digits | a string with its text |
/// | arrays and objects nested deeper than [`MAX_DEPTH`] | a string that says so |
///
/// Whatever else is not JSON stays as it is, for the parser to report.
#[must_use]
pub fn clean(body: &[u8]) -> Cow<'_, str> {
    // The usual check first: it is several times as fast as the one that can repair.
    let text = str::from_utf8(body).map_or_else(|_| String::from_utf8_lossy(body), Cow::Borrowed);
    if !needs_cleaning(text.as_bytes()) {
        return text;
    }
    let mut cleaner = Cleaner { input: text.as_bytes(), at: 0, out: Vec::with_capacity(text.len() + 64), depth: 0 };
    cleaner.run();
    Cow::Owned(String::from_utf8_lossy(&cleaner.out).into_owned())
}

/// A quick look that nearly every body passes: none of the rare things is there.
fn needs_cleaning(input: &[u8]) -> bool {
    let mut depth = 0usize;
    let mut digits = 0usize;
    for (at, byte) in input.iter().enumerate() {
        digits = if byte.is_ascii_digit() { digits + 1 } else { 0 };
        match byte {
            b'\\' if matches!(input.get(at + 1), Some(b'u')) => return true,
            b'N' | b'I' => return true,
            b'e' | b'E' if at > 0 && input[at - 1].is_ascii_digit() => return true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH || digits > MAX_NUMBER {
            return true;
        }
    }
    false
}

struct Cleaner<'a> {
    input: &'a [u8],
    at: usize,
    out: Vec<u8>,
    depth: usize,
}

impl Cleaner<'_> {
    fn run(&mut self) {
        while let Some(&byte) = self.input.get(self.at) {
            match byte {
                b'"' => self.string(),
                b'{' | b'[' if self.depth == MAX_DEPTH => self.too_deep(),
                b'{' | b'[' => {
                    self.depth += 1;
                    self.copy(1);
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.copy(1);
                }
                b'-' | b'0'..=b'9' | b'N' | b'I' => self.number_or_name(),
                _ => self.copy(1),
            }
        }
    }

    fn copy(&mut self, length: usize) {
        let end = (self.at + length).min(self.input.len());
        self.out.extend_from_slice(&self.input[self.at..end]);
        self.at = end;
    }

    /// A string, with the escapes that can't be stored made visible.
    fn string(&mut self) {
        self.copy(1);
        while let Some(&byte) = self.input.get(self.at) {
            match byte {
                b'"' => return self.copy(1),
                b'\\' => self.escape(),
                _ => self.copy(1),
            }
        }
    }

    fn escape(&mut self) {
        match self.code_unit(self.at) {
            None => self.copy(2),
            Some(0xD800..=0xDBFF) if matches!(self.code_unit(self.at + 6), Some(0xDC00..=0xDFFF)) => self.copy(12),
            Some(0 | 0xD800..=0xDFFF) => {
                self.out.push(b'\\');
                self.copy(6);
            }
            Some(_) => self.copy(6),
        }
    }

    /// The value of the escape of four hex digits at this place, if there is one.
    fn code_unit(&self, at: usize) -> Option<u16> {
        let escape = self.input.get(at..at + 6)?;
        let hex = std::str::from_utf8(escape.strip_prefix(b"\\u")?).ok()?;
        u16::from_str_radix(hex, 16).ok()
    }

    fn number_or_name(&mut self) {
        let rest = &self.input[self.at..];
        let length = rest
            .iter()
            .position(|byte| !matches!(byte, b'+' | b'-' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z'))
            .unwrap_or(rest.len());
        let token = &rest[..length];
        if matches!(token, b"NaN" | b"Infinity" | b"-Infinity") {
            self.out.extend_from_slice(b"null");
            self.at += length;
        } else if is_too_large(token) {
            self.out.push(b'"');
            self.copy(length);
            self.out.push(b'"');
        } else {
            self.copy(length);
        }
    }

    /// Replaces the value that starts here by a sentence.
    fn too_deep(&mut self) {
        self.out.extend_from_slice(format!("\"(nested deeper than {MAX_DEPTH} levels)\"").as_bytes());
        let mut depth = 0usize;
        let mut in_string = false;
        while let Some(&byte) = self.input.get(self.at) {
            self.at += 1;
            match byte {
                b'\\' if in_string => self.at += 1,
                b'"' => in_string = !in_string,
                b'{' | b'[' if !in_string => depth += 1,
                b'}' | b']' if !in_string => {
                    depth -= 1;
                    if depth == 0 {
                        return;
                    }
                }
                _ => {}
            }
        }
    }
}

fn is_too_large(token: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(token) else { return false };
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let is_number =
        mantissa.bytes().any(|b| b.is_ascii_digit()) && mantissa.bytes().all(|b| matches!(b, b'-' | b'.' | b'0'..=b'9'));
    let large_exponent = exponent.parse::<i64>().map_or(exponent.len() > 4, |e| e.unsigned_abs() > MAX_NUMBER as u64);
    is_number && (mantissa.len() > MAX_NUMBER || large_exponent || text.parse::<f64>().is_ok_and(f64::is_infinite))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cleaned(body: &str) -> serde_json::Value {
        serde_json::from_str(&clean(body.as_bytes())).unwrap()
    }

    #[test]
    fn harmless_bodies_are_borrowed() {
        assert!(matches!(clean(br#"{"a": [1, "x", null]}"#), Cow::Borrowed(_)));
    }

    #[test]
    fn nul_and_lone_surrogates_become_visible_text() {
        assert_eq!(cleaned(r#"["a\u0000b"]"#)[0], "a\\u0000b");
        assert_eq!(cleaned(r#"["\ud800"]"#)[0], "\\ud800");
        assert_eq!(cleaned(r#"["\udc00\ud800x"]"#)[0], "\\udc00\\ud800x");
        assert_eq!(cleaned(r#"["\ud83d\ude00"]"#)[0], "😀");
        assert_eq!(cleaned(r#"["\\u0000"]"#)[0], "\\u0000", "an escaped backslash is no escape");
    }

    #[test]
    fn numbers_that_json_or_postgres_refuse() {
        assert_eq!(cleaned("[NaN, Infinity, -Infinity]"), serde_json::json!([null, null, null]));
        assert_eq!(cleaned("[1e999999, -1E-999999]"), serde_json::json!(["1e999999", "-1E-999999"]));
        assert_eq!(clean(b"[1e309, -2e308, 123e297]"), r#"["1e309", "-2e308", 123e297]"#, "a float ends at 1.8e308");
        assert_eq!(cleaned(&format!("[{}]", "9".repeat(310)))[0], "9".repeat(310));
        assert_eq!(cleaned(&format!("[{}]", "9".repeat(500)))[0], "9".repeat(500));
        assert_eq!(clean(b"[1180591620717411303424, 1e300]"), "[1180591620717411303424, 1e300]");
        assert_eq!(cleaned(r#"["NaN", "1e999999"]"#), serde_json::json!(["NaN", "1e999999"]));
    }

    #[test]
    fn deep_nesting_is_cut() {
        let deep = format!("{}\"]\"{}", "[".repeat(5000), "]".repeat(5000));
        let text = clean(deep.as_bytes()).into_owned();
        assert!(text.contains("nested deeper than 64 levels"));
        assert_eq!(text.matches('[').count(), MAX_DEPTH);
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
    }

    #[test]
    fn invalid_utf8_is_replaced() {
        assert_eq!(clean(b"[\"\xff\"]"), "[\"\u{fffd}\"]");
    }

    proptest! {
        #[test]
        fn valid_json_keeps_its_meaning(words in proptest::collection::vec(".{0,12}", 0..6), n in any::<i64>()) {
            let value = serde_json::json!({"words": words.iter().map(|w| w.replace('\0', "")).collect::<Vec<_>>(), "n": n});
            prop_assert_eq!(cleaned(&value.to_string()), value);
        }

        #[test]
        fn any_bytes_are_survived(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = clean(&body);
        }
    }
}
