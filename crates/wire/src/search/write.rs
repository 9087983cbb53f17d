//! A search as text, which reads as the same search.

use std::fmt::{self, Display, Formatter, Write};

use chrono::SecondsFormat;

use super::{Expr, Name, ParamTest, Range, Scalar, Search, Term, When, value::UNITS};

impl Display for Search {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.expr().fmt(f)
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(parts) => joined(f, parts, " ", |f, part| match part {
                Self::Any(_) => write!(f, "({part})"),
                _ => part.fmt(f),
            }),
            Self::Any(parts) => joined(f, parts, " OR ", |f, part| part.fmt(f)),
            Self::Not(inner) => match **inner {
                Self::All(_) | Self::Any(_) => write!(f, "-({inner})"),
                _ => write!(f, "-{inner}"),
            },
            Self::Term(term) => term.fmt(f),
        }
    }
}

impl Display for Term {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            // A short word in quotation marks is no different, and what could be a key or a keyword is a text in them.
            Self::Text(text) if is_plain_word(text) => f.write_str(text),
            Self::Text(text) => quoted(f, text),
            Self::Error(text) => {
                f.write_str("error:")?;
                value(f, text)
            }
            Self::Task(names) => listed(f, "task", names),
            Self::Worker(names) => listed(f, "worker", names),
            Self::Queue(names) => listed(f, "queue", names),
            Self::Id(names) => listed(f, "id", names),
            Self::Status(statuses) => listed(f, "status", statuses),
            Self::Source(sources) => {
                f.write_str("source:")?;
                joined(f, sources, ",", |f, source| f.write_str(source.as_str()))
            }
            Self::Param { path, test } => write!(f, "params.{}:{test}", path.join(".")),
            Self::Duration(range) => write!(f, "duration:{}", Spans(range)),
            Self::Wait(range) => write!(f, "wait:{}", Spans(range)),
            Self::Attempt(range) => {
                f.write_str("attempt:")?;
                write_range(f, range, |f, attempt| attempt.fmt(f))
            }
            Self::Created(range) => {
                f.write_str("created:")?;
                write_range(f, range, |f, when| when.fmt(f))
            }
            Self::Is(flag) => write!(f, "is:{}", flag.as_str()),
        }
    }
}

impl Display for Name {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => value(f, name),
            Self::Glob(glob) => f.write_str(glob),
        }
    }
}

impl Display for ParamTest {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any(values) => joined(f, values, ",", |f, value| match value {
                Scalar::Bare(text) | Scalar::Glob(text) => f.write_str(text),
                Scalar::Text(text) => quoted(f, text),
            }),
            Self::Number(range) => write_range(f, range, |f, number| f.write_str(number.as_str())),
        }
    }
}

impl Display for When {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(at) => f.write_str(&at.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            Self::Day(day) => day.fmt(f),
            Self::Ago(ms) => span(f, *ms),
        }
    }
}

struct Spans<'a>(&'a Range<i64>);

impl Display for Spans<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_range(f, self.0, |f, ms| span(f, *ms))
    }
}

/// A span of time in the greatest unit that has no fraction.
fn span(f: &mut Formatter<'_>, ms: i64) -> fmt::Result {
    let unit = UNITS.into_iter().find(|(_, unit)| ms != 0 && ms % unit == 0);
    let (word, unit) = unit.unwrap_or(("ms", 1));
    write!(f, "{}{word}", ms / unit)
}

fn write_range<T>(f: &mut Formatter<'_>, range: &Range<T>, one: impl Fn(&mut Formatter<'_>, &T) -> fmt::Result) -> fmt::Result {
    let (sign, value) = match range {
        Range::Is(value) => ("", value),
        Range::More(value) => (">", value),
        Range::AtLeast(value) => (">=", value),
        Range::Less(value) => ("<", value),
        Range::AtMost(value) => ("<=", value),
        Range::Between(first, last) => {
            one(f, first)?;
            f.write_str("..")?;
            return one(f, last);
        }
    };
    f.write_str(sign)?;
    one(f, value)
}

fn listed<T: Display>(f: &mut Formatter<'_>, key: &str, values: &[T]) -> fmt::Result {
    write!(f, "{key}:")?;
    joined(f, values, ",", |f, value| value.fmt(f))
}

fn joined<T>(
    f: &mut Formatter<'_>,
    parts: &[T],
    between: &str,
    one: impl Fn(&mut Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            f.write_str(between)?;
        }
        one(f, part)?;
    }
    Ok(())
}

fn value(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    if is_plain_value(text) { f.write_str(text) } else { quoted(f, text) }
}

fn quoted(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for char in text.chars() {
        if matches!(char, '"' | '\\') {
            f.write_char('\\')?;
        }
        f.write_char(char)?;
    }
    f.write_char('"')
}

fn is_plain_word(text: &str) -> bool {
    is_plain(text, "_-./") && text.chars().nth(2).is_some() && !matches!(text, "AND" | "NOT")
}

/// Whether a value needs no quotation marks.
pub(super) fn is_plain_value(text: &str) -> bool {
    is_plain(text, "_-./:@")
}

fn is_plain(text: &str, marks: &str) -> bool {
    text.starts_with(|first: char| first.is_alphanumeric() || first == '_')
        && text.chars().all(|char| char.is_alphanumeric() || marks.contains(char))
}
