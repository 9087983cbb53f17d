use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

use crate::{Source, TaskStatus};

/// What must hold of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// All of these: two or more, none of them [`Expr::All`].
    All(Vec<Self>),
    /// One of these: two or more, none of them [`Expr::Any`].
    Any(Vec<Self>),
    /// Not this, which is no [`Expr::Not`].
    Not(Box<Self>),
    /// One thing.
    Term(Term),
}

/// One thing that must hold. Of several values one must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Term {
    /// The text occurs in error, traceback, task id or params, in small or capital letters.
    Text(String),
    /// The text occurs in the error's message or type.
    Error(String),
    /// The task type.
    Task(Vec<Name>),
    /// The worker.
    Worker(Vec<Name>),
    /// The queue.
    Queue(Vec<Name>),
    /// The broker's id of the task.
    Id(Vec<Name>),
    /// The status.
    Status(Vec<TaskStatus>),
    /// The protocol that reported it.
    Source(Vec<Source>),
    /// The value at a path into the params, or one element of the list there.
    Param {
        /// Keys of objects, indexes of lists from 0.
        path: Vec<String>,
        /// What the value must be.
        test: ParamTest,
    },
    /// How long it ran, in milliseconds.
    Duration(Range<i64>),
    /// From queued to started, in milliseconds.
    Wait(Range<i64>),
    /// The attempt, from 1.
    Attempt(Range<i64>),
    /// When it was created.
    Created(Range<When>),
    /// What is true of it.
    Is(Flag),
}

/// A name, or a pattern of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// The whole name.
    Exact(String),
    /// A name in which each `*` stands for any characters, or none.
    Glob(String),
}

/// What is true of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// It is active and counts as stalled.
    Stalled,
    /// It failed and a later attempt of the same task is known.
    Retried,
}

/// What a value in the params must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParamTest {
    /// One of these.
    Any(Vec<Scalar>),
    /// A number in this range.
    Number(Range<Number>),
}

/// A value in the params.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scalar {
    /// What was written without quotation marks: the number, true, false or null that it looks like, or the text.
    Bare(String),
    /// The text only.
    Text(String),
    /// A text in which each `*` stands for any characters, or none.
    Glob(String),
}

/// A number as it was written: sign, digits, and a fraction if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number(String);

/// Which values are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Range<T> {
    /// This one.
    Is(T),
    /// Greater ones.
    More(T),
    /// This one and greater ones.
    AtLeast(T),
    /// Smaller ones.
    Less(T),
    /// This one and smaller ones.
    AtMost(T),
    /// From the first to the second, with both.
    Between(T, T),
}

/// A time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// A moment.
    At(DateTime<Utc>),
    /// A whole day, in UTC.
    Day(NaiveDate),
    /// So many milliseconds ago.
    Ago(i64),
}

impl Expr {
    /// All of some parts, without a level that means nothing.
    pub(super) fn all(parts: Vec<Self>) -> Option<Self> {
        Self::flat(parts, Self::All, |part| if let Self::All(inner) = part { Ok(inner) } else { Err(part) })
    }

    /// One of some parts, without a level that means nothing.
    pub(super) fn any(parts: Vec<Self>) -> Option<Self> {
        Self::flat(parts, Self::Any, |part| if let Self::Any(inner) = part { Ok(inner) } else { Err(part) })
    }

    /// The opposite.
    pub(super) fn negated(self) -> Self {
        if let Self::Not(inner) = self { *inner } else { Self::Not(Box::new(self)) }
    }

    fn flat(parts: Vec<Self>, whole: fn(Vec<Self>) -> Self, inner: fn(Self) -> Result<Vec<Self>, Self>) -> Option<Self> {
        let mut flat: Vec<Self> = Vec::with_capacity(parts.len());
        for part in parts {
            match inner(part) {
                Ok(parts) => flat.extend(parts),
                Err(part) => flat.push(part),
            }
        }
        if flat.len() > 1 { Some(whole(flat)) } else { flat.pop() }
    }
}

impl Name {
    /// Whether a name is meant.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == name,
            Self::Glob(glob) => glob_matches(glob, name),
        }
    }
}

/// The first part at the start, the last at the end, the others in their order between: each as early as it can be.
fn glob_matches(glob: &str, name: &str) -> bool {
    let Some((first, rest)) = glob.split_once('*') else { return glob == name };
    let Some(mut left) = name.strip_prefix(first) else { return false };
    let (middle, last) = rest.rsplit_once('*').map_or((None, rest), |(middle, last)| (Some(middle), last));
    for part in middle.into_iter().flat_map(|middle| middle.split('*')) {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(last)
}

impl Flag {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Stalled, Self::Retried];

    /// The word after `is:`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stalled => "stalled",
            Self::Retried => "retried",
        }
    }
}

impl Number {
    /// Reads a number that is written as in JSON, without an exponent and with 30 characters at the most.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        (text.len() <= 30 && is_number(whole) && is_number(fraction)).then(|| Self(text.to_owned()))
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Range<When> {
    /// The first moment that is meant, and the first after it that is not; none where there is no end to them.
    #[must_use]
    pub fn bounds(&self, now: DateTime<Utc>) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
        let from = |when: When| Some(when.span(now).0);
        let to = |when: When| Some(when.span(now).1);
        // The greater an age, the earlier the time.
        let back = |when: When| matches!(when, When::Ago(_));
        match *self {
            Self::Is(when) => (from(when), to(when)),
            Self::More(when) if back(when) => (None, from(when)),
            Self::Less(when) if back(when) => (to(when), None),
            Self::AtLeast(when) if back(when) => (None, to(when)),
            Self::AtMost(when) if back(when) => (from(when), None),
            Self::Between(first, last) if back(first) => (from(last), to(first)),
            Self::More(when) => (to(when), None),
            Self::Less(when) => (None, from(when)),
            Self::AtLeast(when) => (from(when), None),
            Self::AtMost(when) => (None, to(when)),
            Self::Between(first, last) => (from(first), to(last)),
        }
    }
}

impl When {
    /// Its first moment, and the first after it. Postgres keeps microseconds.
    fn span(self, now: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
        match self {
            Self::At(at) => (at, at + TimeDelta::microseconds(1)),
            Self::Day(day) => {
                let start = day.and_time(NaiveTime::MIN).and_utc();
                (start, start + TimeDelta::days(1))
            }
            Self::Ago(ms) => {
                let at = now - TimeDelta::milliseconds(ms);
                (at, at + TimeDelta::microseconds(1))
            }
        }
    }
}
