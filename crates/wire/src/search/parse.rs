use super::{
    Expr, Key, SearchError, Term, key,
    search_limits::{DEPTH, TERMS, TEXT, WORD},
    value,
};

const QUOTE_IT: &str = "put a text in quotation marks to search for it as it is";

pub(super) fn parse(text: &str) -> Result<Expr, SearchError> {
    let chars: Vec<char> = text.chars().collect();
    if let Some(at) = chars.iter().position(|char| *char == '\0') {
        return Err(error(at, 1, "a search has no NUL character"));
    }
    if text.len() > TEXT {
        let most = text.char_indices().take_while(|(byte, char)| byte + char.len_utf8() <= TEXT).count();
        return Err(error(most, chars.len() - most, format!("a search has at most {TEXT} bytes")));
    }
    let mut parser = Parser { chars: &chars, at: 0, terms: 0, depth: 0 };
    let expr = parser.alternatives()?;
    if parser.at < chars.len() {
        return Err(error(parser.at, 1, format!("this parenthesis closes none: {QUOTE_IT}")));
    }
    Ok(expr)
}

pub(super) fn error(at: usize, length: usize, message: impl Into<String>) -> SearchError {
    SearchError { at, length, message: message.into() }
}

/// A piece of the text, and where it stood.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) quoted: bool,
    pub(super) at: usize,
    pub(super) length: usize,
}

impl Piece {
    pub(super) fn error(&self, message: impl Into<String>) -> SearchError {
        error(self.at, self.length, message)
    }
}

pub(super) struct Parser<'a> {
    chars: &'a [char],
    at: usize,
    terms: usize,
    depth: usize,
}

impl Parser<'_> {
    fn alternatives(&mut self) -> Result<Expr, SearchError> {
        let mut parts = vec![self.together()?];
        while self.keyword("OR") {
            parts.push(self.together()?);
        }
        Expr::any(parts).ok_or_else(|| self.term_missing())
    }

    /// Terms that must all hold. An index finds a short word only where a longer one stands beside it.
    fn together(&mut self) -> Result<Expr, SearchError> {
        let mut parts = Vec::new();
        let mut short = None;
        let mut long = false;
        loop {
            self.skip_spaces();
            if matches!(self.peek(), None | Some(')')) || self.is_keyword("OR") {
                break;
            }
            if !parts.is_empty() && self.keyword("AND") {
                self.skip_spaces();
            }
            let start = self.at;
            let part = self.part()?;
            match length_of_text(&part) {
                Some((length, _)) if length < WORD => _ = short.get_or_insert((start, self.at - start)),
                Some((_, positive)) => long |= positive,
                None => {}
            }
            parts.push(part);
        }
        match short {
            Some((at, length)) if !long => {
                Err(error(at, length, format!("a text to search for must have {WORD} characters or more")))
            }
            _ => Expr::all(parts).ok_or_else(|| self.term_missing()),
        }
    }

    fn part(&mut self) -> Result<Expr, SearchError> {
        let start = self.at;
        let is_minus = self.peek() == Some('-') && self.chars.get(start + 1).is_some_and(|next| !next.is_whitespace());
        if is_minus {
            self.at += 1;
        }
        if is_minus || self.keyword("NOT") {
            return self.nested(start, |parser| {
                parser.skip_spaces();
                parser.part().map(Expr::negated)
            });
        }
        match self.peek() {
            Some('(') => self.nested(start, |parser| parser.group(start)),
            None | Some(')') => Err(self.term_missing()),
            Some(_) if self.is_keyword("OR") || self.is_keyword("AND") => Err(self.term_missing()),
            Some(_) => self.term().map(Expr::Term),
        }
    }

    fn group(&mut self, start: usize) -> Result<Expr, SearchError> {
        self.at += 1;
        let inner = self.alternatives()?;
        if self.peek() != Some(')') {
            return Err(error(start, 1, format!("this parenthesis is not closed: {QUOTE_IT}")));
        }
        self.at += 1;
        Ok(inner)
    }

    fn nested(&mut self, start: usize, inner: impl FnOnce(&mut Self) -> Result<Expr, SearchError>) -> Result<Expr, SearchError> {
        if self.depth == DEPTH {
            return Err(error(start, 1, format!("at most {DEPTH} parentheses and negations may stand within each other")));
        }
        self.depth += 1;
        let expr = inner(self)?;
        self.depth -= 1;
        Ok(expr)
    }

    fn term(&mut self) -> Result<Term, SearchError> {
        self.terms += 1;
        if self.terms > TERMS {
            return Err(error(self.at, self.chars.len() - self.at, format!("a search has at most {TERMS} terms")));
        }
        match self.key()? {
            Some((key, path)) => value::term(self, key, path),
            None => Ok(Term::Text(self.piece(false)?.text)),
        }
    }

    /// Reads a key with its colon, and for a param the path; none where a plain word stands. What a text is likely to hold is no key: a
    /// word with a colon at its end, the letter of a drive, the beginning of a URL, a host with its port.
    fn key(&mut self) -> Result<Option<(Key, Piece)>, SearchError> {
        let start = self.at;
        let word: String = self.chars[start..].iter().take_while(|char| char.is_ascii_alphabetic() || **char == '_').collect();
        let mut colon = start + word.len();
        if word == "params" && self.chars.get(colon) == Some(&'.') {
            colon += self.chars[colon..].iter().take_while(|char| **char != ':' && !ends_word(**char)).count();
        }
        if word.is_empty() || self.chars.get(colon) != Some(&':') {
            return Ok(None);
        }
        let after = &self.chars[colon + 1..];
        let has_value = after.first().is_some_and(|next| !next.is_whitespace() && *next != ')');
        let is_lower = !word.contains(|char: char| char.is_ascii_uppercase());
        match key::find(&word) {
            Some(key) if is_lower || has_value => {
                self.at = colon + 1;
                Ok(Some((key, self.path(start, colon))))
            }
            None if is_lower && word.len() > 1 && has_value && after[0] != '/' && !is_port(after) => {
                Err(error(start, word.len(), unknown(&word)))
            }
            _ => Ok(None),
        }
    }

    /// What stands between the key `params` and its colon.
    fn path(&self, start: usize, colon: usize) -> Piece {
        let text = self.chars[start..colon].iter().collect::<String>();
        let text = text.split_once('.').map(|(_, path)| path.to_owned()).unwrap_or_default();
        Piece { text, quoted: false, at: start, length: colon - start }
    }

    /// The values after a key, between commas.
    pub(super) fn values(&mut self) -> Result<Vec<Piece>, SearchError> {
        let mut values = vec![self.piece(true)?];
        while self.peek() == Some(',') {
            self.at += 1;
            values.push(self.piece(true)?);
        }
        Ok(values)
    }

    /// The one value after a key, which may hold commas.
    pub(super) fn value(&mut self) -> Result<Piece, SearchError> {
        self.piece(false)
    }

    fn piece(&mut self, in_list: bool) -> Result<Piece, SearchError> {
        let at = self.at;
        let quoted = self.peek() == Some('"');
        let text = if quoted { self.quoted()? } else { self.bare(in_list) };
        let piece = Piece { text, quoted, at, length: self.at - at };
        if piece.text.is_empty() {
            return Err(piece.error("something to search for must stand here"));
        }
        Ok(piece)
    }

    /// A text in quotation marks. A backslash stands before a quotation mark or a backslash that belongs to the text.
    fn quoted(&mut self) -> Result<String, SearchError> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        while let Some(char) = self.peek() {
            self.at += 1;
            match (char, self.peek()) {
                ('"', _) => return Ok(text),
                ('\\', Some(escaped @ ('"' | '\\'))) => {
                    self.at += 1;
                    text.push(escaped);
                }
                _ => text.push(char),
            }
        }
        Err(error(start, self.at - start, "this quotation mark is not closed"))
    }

    /// A word with the parentheses that open and close in it.
    fn bare(&mut self, in_list: bool) -> String {
        let start = self.at;
        let mut open = 0_usize;
        while let Some(char) = self.peek() {
            match char {
                _ if char.is_whitespace() => break,
                ',' if in_list => break,
                ')' if open == 0 => break,
                ')' => open -= 1,
                '(' => open += 1,
                _ => {}
            }
            self.at += 1;
        }
        self.chars[start..self.at].iter().collect()
    }

    fn keyword(&mut self, word: &str) -> bool {
        self.skip_spaces();
        let is = self.is_keyword(word);
        if is {
            self.at += word.len();
        }
        is
    }

    fn is_keyword(&self, word: &str) -> bool {
        let mut rest = self.chars[self.at..].iter();
        word.chars().all(|char| rest.next() == Some(&char)) && rest.next().is_none_or(|next| ends_word(*next))
    }

    fn skip_spaces(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn term_missing(&self) -> SearchError {
        let length = usize::from(self.at < self.chars.len());
        error(
            self.at,
            length,
            format!("a term must stand here: a word, a phrase in quotation marks or a key such as status:; {QUOTE_IT}"),
        )
    }
}

/// How long the text of a term is, and whether it must occur rather than must not.
fn length_of_text(part: &Expr) -> Option<(usize, bool)> {
    match part {
        Expr::Term(Term::Text(text)) => Some((text.chars().count(), true)),
        Expr::Not(inner) => length_of_text(inner).map(|(length, _)| (length, false)),
        _ => None,
    }
}

fn ends_word(char: char) -> bool {
    char.is_whitespace() || matches!(char, '(' | ')')
}

fn is_port(after: &[char]) -> bool {
    let mut word = after.iter().take_while(|char| !ends_word(**char));
    word.all(char::is_ascii_digit)
}

fn unknown(word: &str) -> String {
    let keys: Vec<&str> = key::KEYS.iter().map(|key| key.word).collect();
    format!("{word:?} is none of the keys {}: {QUOTE_IT}", keys.join(", "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Search, SearchError};

    fn shown(text: &str) -> String {
        let search = Search::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let shown = search.to_string();
        assert_eq!(Search::parse(&shown), Ok(search), "{text} → {shown}");
        shown
    }

    fn refused(text: &str) -> SearchError {
        Search::parse(text).expect_err(text)
    }

    #[test]
    fn a_search_has_one_way_to_be_written() {
        let cases = [
            ("  connection   refused ", "connection refused"),
            ("connection AND refused", "connection refused"),
            ("0f8fad5b-d9cb-469f-a165-70867728950e", "0f8fad5b-d9cb-469f-a165-70867728950e"),
            ("\"connection refused\"", "\"connection refused\""),
            (r#""a \"b\" \\ \n""#, r#""a \"b\" \\ \\n""#),
            ("aaa bbb OR ccc", "aaa bbb OR ccc"),
            ("aaa (bbb OR ccc)", "aaa (bbb OR ccc)"),
            ("(aaa bbb) (ccc)", "aaa bbb ccc"),
            ("aaa OR (bbb OR (ccc ddd))", "aaa OR bbb OR ccc ddd"),
            ("NOT status:failed", "-status:failed"),
            ("-(aaa OR bbb)", "-(aaa OR bbb)"),
            ("NOT -aaa", "aaa"),
            ("failed to connect", "failed \"to\" connect"),
            ("status:failed,running", "status:failed,running"),
            ("STATUS:failed", "status:failed"),
            ("task:score_*,app.tasks:add", "task:score_*,app.tasks:add"),
            ("task:\"a*,b\"", "task:\"a*,b\""),
            ("-queue:bulk", "-queue:bulk"),
            ("error:\"connection refused\"", "error:\"connection refused\""),
            ("id:0f8f*", "id:0f8f*"),
            ("params.message_id:42", "params.message_id:42"),
            ("params.a.0.b:\"42\",true,al*", "params.a.0.b:\"42\",true,al*"),
            ("params.n:>-1.5", "params.n:>-1.5"),
            ("params.n:1..5", "params.n:1..5"),
            ("params.n:1..x", "params.n:1..x"),
            ("duration:>2000ms", "duration:>2s"),
            ("duration:1.5s..2m", "duration:1500ms..2m"),
            ("duration:>=0s wait:<90m", "duration:>=0ms wait:<90m"),
            ("attempt:2", "attempt:2"),
            ("created:<1h", "created:<1h"),
            ("created:2026-11-01..2026-11-05", "created:2026-11-01..2026-11-05"),
            ("created:>=2026-11-01T10:30", "created:>=2026-11-01T10:30:00Z"),
            ("created:<2026-11-01T10:30Z", "created:<2026-11-01T10:30:00Z"),
            ("source:taskiq,sql is:stalled", "source:taskiq,sql is:stalled"),
        ];
        for (text, canonical) in cases {
            assert_eq!(shown(text), canonical, "{text}");
        }
    }

    #[test]
    fn what_texts_hold_is_no_key() {
        for text in [
            "ValueError: x",
            "Error: no such file",
            "http://host/a",
            "localhost:5432",
            "app.tasks:add",
            "10:30:22",
            "c:\\temp",
            "f(a,b)",
            "{\"a\":1}",
        ] {
            let search = Search::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert!(
                search.simple().is_none() && search.required().all(|term| matches!(term, super::Term::Text(_))),
                "{search:?}"
            );
        }
    }

    #[test]
    fn errors_point_at_what_is_wrong() {
        let cases = [
            ("", 0, 0, "a term must stand here"),
            ("ab", 0, 2, "3 characters or more"),
            ("status:failed ab", 14, 2, "3 characters or more"),
            ("aaa (bb OR ccc)", 5, 2, "3 characters or more"),
            ("-ab", 0, 3, "3 characters or more"),
            ("aaa \"bbb", 4, 4, "not closed"),
            ("aaa (bbb", 4, 1, "not closed"),
            ("aaa) bbb", 3, 1, "closes none"),
            ("aaa OR", 6, 0, "a term must stand here"),
            ("OR aaa", 0, 1, "a term must stand here"),
            ("aaa OR OR bbb", 7, 1, "a term must stand here"),
            ("()", 1, 1, "a term must stand here"),
            ("aaa AND", 7, 0, "a term must stand here"),
            ("NOT", 3, 0, "a term must stand here"),
            ("aaa \"\"", 4, 2, "something to search for"),
            ("ééé stauts:failed", 4, 6, "none of the keys status, task,"),
            ("aaa\0", 3, 1, "NUL"),
            ("status:", 7, 0, "something to search for"),
            ("status:failed,", 14, 0, "something to search for"),
            ("status:failed,done", 14, 4, "must be pending, running, success or failed, not \"done\""),
            ("task:a,,b", 7, 0, "something to search for"),
            ("error:ab", 6, 2, "3 characters or more"),
            ("params:42", 0, 6, "params.message_id:42"),
            ("params.a..b:42", 0, 11, "params.message_id:42"),
            ("params.a:>x", 9, 2, "a number must stand after >"),
            ("params.a:1,>5", 11, 2, "alone"),
            ("duration:2", 9, 1, "ms, s, m, h or d"),
            ("duration:>", 9, 1, "ms, s, m, h or d"),
            ("duration:5s..1s", 9, 6, "smaller one first"),
            ("wait:>1y", 5, 3, "ms, s, m, h or d"),
            ("duration:>99999999h", 9, 10, "ms, s, m, h or d"),
            ("attempt:0", 8, 1, "whole number from 1"),
            ("created:1h", 8, 2, "before an age"),
            ("created:>yesterday", 8, 10, "2026-11-21"),
            ("created:1h..2026-11-01", 8, 14, "two ages or two times"),
            ("source:grpc", 7, 4, "native, taskiq or sql"),
            ("is:late", 3, 4, "stalled or retried"),
            ("------aaa", 5, 1, "at most 5"),
        ];
        for (text, at, length, message) in cases {
            let error = refused(text);
            assert_eq!((error.at, error.length), (at, length), "{text}: {error}");
            assert!(error.message.contains(message), "{text}: {error}");
        }
        let many = "abc ".repeat(21);
        assert!(refused(&many).at == 80 && refused(&many).message.contains("at most 20 terms"));
        let long = format!("é{}", "a".repeat(1024));
        assert_eq!((refused(&long).at, refused(&long).length), (1023, 2));
    }

    /// Texts of pieces that mean something, in any order.
    fn pieces() -> impl Strategy<Value = String> {
        let words = prop::sample::select(vec![
            "status:",
            "failed",
            ",",
            "task:",
            "a*b",
            "params.",
            "x.y",
            ":",
            "42",
            ">",
            "<=",
            "..",
            "duration:",
            "2s",
            "1.5h",
            "created:",
            "2026-11-01",
            "2026-11-01T10:30:00+02:00",
            "error:",
            "wait:",
            "attempt:",
            "is:",
            "retried",
            "source:",
            "sql",
            "id:",
            "\"",
            "\\",
            "(",
            ")",
            "-",
            "NOT ",
            " OR ",
            " AND ",
            " ",
            "refused",
            "to",
            "é",
            "*",
            "null",
            "1e5",
            "-7",
        ]);
        prop::collection::vec(words, 0..14).prop_map(|words| words.concat())
    }

    fn check(text: &str) -> Result<(), TestCaseError> {
        match Search::parse(text) {
            Ok(search) => {
                let shown = search.to_string();
                prop_assert_eq!(Search::parse(&shown), Ok(search), "{} → {}", text, shown);
            }
            Err(error) => {
                let length = text.chars().count();
                prop_assert!(error.at + error.length <= length, "{text}: {error:?}");
                prop_assert!(!error.message.is_empty());
            }
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn any_text_is_a_search_or_an_error_in_it(text in "\\PC{0,60}") {
            check(&text)?;
        }

        #[test]
        fn pieces_are_a_search_or_an_error_in_it(text in pieces()) {
            check(&text)?;
        }
    }
}
