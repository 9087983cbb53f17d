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
#[path = "parse_tests.rs"]
mod tests;
