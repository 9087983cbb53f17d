//! The values after a key.

use chrono::{Datelike, NaiveDate};

use super::{
    Flag, Key, Name, Number, ParamTest, Range, Scalar, SearchError, Term, When,
    parse::{Parser, Piece},
    search_limits::WORD,
};
use crate::{Source, TaskStatus, time};

/// The units of a span of time, in milliseconds, greatest first.
pub(super) const UNITS: [(&str, i64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The longest span of time: a hundred years.
const LONGEST: f64 = 36_525.0 * 86_400_000.0;

const SPAN: &str =
    "must be a number with a unit (ms, s, m, h or d) such as 1.5s, one with <, <=, > or >= before it, or a range such as 1s..5s";

pub(super) fn term(parser: &mut Parser<'_>, key: Key, path: Piece) -> Result<Term, SearchError> {
    Ok(match key.word {
        "status" => {
            Term::Status(each(parser, key, "pending, running, success or failed", |word| word.parse::<TaskStatus>().ok())?)
        }
        "source" => Term::Source(each(parser, key, "native, taskiq or sql", Source::parse)?),
        "task" => Term::Task(names(parser)?),
        "worker" => Term::Worker(names(parser)?),
        "queue" => Term::Queue(names(parser)?),
        "id" => Term::Id(names(parser)?),
        "params" => Term::Param { path: keys(&path)?, test: param_test(&parser.values()?)? },
        "duration" => Term::Duration(span(&parser.value()?, key)?),
        "wait" => Term::Wait(span(&parser.value()?, key)?),
        "attempt" => Term::Attempt(attempt(&parser.value()?)?),
        "created" => Term::Created(created(&parser.value()?)?),
        "is" => Term::Is(flag(&parser.value()?)?),
        _ => Term::Error(message(parser.value()?)?),
    })
}

/// A span of time in milliseconds.
pub(super) fn milliseconds(text: &str) -> Option<i64> {
    let unit = text.find(|char: char| char.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit);
    let (_, ms) = UNITS.into_iter().find(|(word, _)| *word == unit)?;
    let number: f64 = Number::parse(number)?.as_str().parse().ok()?;
    let total = (number * ms as f64).round();
    #[expect(clippy::cast_possible_truncation, reason = "it was rounded, and is in the range of a hundred years")]
    (0.0..=LONGEST).contains(&total).then_some(total as i64)
}

fn each<T>(parser: &mut Parser<'_>, key: Key, allowed: &str, read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, SearchError> {
    let one = |value: &Piece| {
        read(&value.text.to_ascii_lowercase())
            .ok_or_else(|| value.error(format!("{} must be {allowed}, not {:?}", key.word, value.text)))
    };
    parser.values()?.iter().map(one).collect()
}

fn names(parser: &mut Parser<'_>) -> Result<Vec<Name>, SearchError> {
    let name =
        |value: Piece| if !value.quoted && value.text.contains('*') { Name::Glob(value.text) } else { Name::Exact(value.text) };
    Ok(parser.values()?.into_iter().map(name).collect())
}

fn flag(value: &Piece) -> Result<Flag, SearchError> {
    let word = value.text.to_ascii_lowercase();
    let flag = Flag::ALL.into_iter().find(|flag| flag.as_str() == word);
    flag.ok_or_else(|| value.error(format!("is must be stalled or retried, not {:?}", value.text)))
}

fn message(value: Piece) -> Result<String, SearchError> {
    if value.text.chars().count() < WORD {
        return Err(value.error(format!("a text to search for must have {WORD} characters or more")));
    }
    Ok(value.text)
}

fn keys(path: &Piece) -> Result<Vec<String>, SearchError> {
    let keys: Vec<String> = path.text.split('.').map(str::to_owned).collect();
    if keys.iter().any(String::is_empty) || path.text.contains(['"', ',']) {
        return Err(
            path.error("params must be followed by the path of a param, such as params.message_id:42 or params.user.name:ada")
        );
    }
    Ok(keys)
}

fn param_test(values: &[Piece]) -> Result<ParamTest, SearchError> {
    if let [value] = values
        && !value.quoted
    {
        if value.text.starts_with(['<', '>']) {
            let (sign, _) = sign(&value.text);
            return number_range(value)
                .ok_or_else(|| value.error(format!("a number must stand after {sign}")))
                .map(ParamTest::Number);
        }
        if let Some(range) = number_range(value).filter(|range| matches!(range, Range::Between(..))) {
            return Ok(ParamTest::Number(range));
        }
    }
    values.iter().map(scalar).collect::<Result<_, _>>().map(ParamTest::Any)
}

fn scalar(value: &Piece) -> Result<Scalar, SearchError> {
    let text = value.text.clone();
    Ok(match value.quoted {
        true => Scalar::Text(text),
        false if text.starts_with(['<', '>']) => return Err(value.error("a comparison must stand alone, not in a list")),
        false if text.contains('*') => Scalar::Glob(text),
        false => Scalar::Bare(text),
    })
}

fn number_range(value: &Piece) -> Option<Range<Number>> {
    range(&value.text, Number::parse)
}

fn span(value: &Piece, key: Key) -> Result<Range<i64>, SearchError> {
    let range = range(&value.text, milliseconds).ok_or_else(|| value.error(format!("{} {SPAN}", key.word)))?;
    in_order(value, range)
}

fn attempt(value: &Piece) -> Result<Range<i64>, SearchError> {
    let read = |text: &str| text.parse::<i32>().ok().filter(|attempt| *attempt >= 1).map(i64::from);
    let allowed = "attempt must be a whole number from 1, one with <, <=, > or >= before it, or a range such as 2..5";
    in_order(value, range(&value.text, read).ok_or_else(|| value.error(allowed))?)
}

fn in_order(value: &Piece, range: Range<i64>) -> Result<Range<i64>, SearchError> {
    match range {
        Range::Between(first, last) if first > last => Err(value.error("a range has the smaller one first")),
        range => Ok(range),
    }
}

fn created(value: &Piece) -> Result<Range<When>, SearchError> {
    let range = range(&value.text, when).ok_or_else(|| {
        value.error("created must be a date or time such as 2026-11-21 or 2026-11-21T10:30Z, with <, <=, > or >= before it if need be, an age such as <1h, or a range of them")
    })?;
    let is_age = |when: &When| matches!(when, When::Ago(_));
    match &range {
        Range::Is(When::Ago(_)) => Err(value.error("< or > must stand before an age: created:<1h is the last hour")),
        Range::Between(first, last) if is_age(first) != is_age(last) => Err(value.error("a range has two ages or two times")),
        _ => Ok(range),
    }
}

fn when(text: &str) -> Option<When> {
    let when = match milliseconds(text) {
        Some(ms) => return Some(When::Ago(ms)),
        None => match text.parse::<NaiveDate>() {
            Ok(day) => When::Day(day),
            // Minutes with a Z are not for every parser of times.
            Err(_) => When::At(time::parse(text).or_else(|| time::parse(text.strip_suffix('Z')?))?),
        },
    };
    let year = match when {
        When::Day(day) => day.year(),
        When::At(at) => at.year(),
        When::Ago(_) => return Some(when),
    };
    (1970..=9999).contains(&year).then_some(when)
}

fn range<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Option<Range<T>> {
    let (sign, rest) = sign(text);
    Some(match sign {
        "<=" => Range::AtMost(read(rest)?),
        ">=" => Range::AtLeast(read(rest)?),
        "<" => Range::Less(read(rest)?),
        ">" => Range::More(read(rest)?),
        _ => match text.split_once("..") {
            Some((first, last)) => Range::Between(read(first)?, read(last)?),
            None => Range::Is(read(text)?),
        },
    })
}

fn sign(text: &str) -> (&str, &str) {
    let length = text.find(|char| !matches!(char, '<' | '>' | '=')).unwrap_or(text.len());
    text.split_at(length)
}
