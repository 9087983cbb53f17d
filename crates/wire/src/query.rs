use std::fmt;

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{Cursor, TaskStatus, page::LAST_PAGE, search::Search, time};

/// Bounds of a page of history.
pub mod page_size {
    /// The page size where none is asked for, and the most (FR-012).
    pub const MOST: u32 = 50;
}

/// Which executions a page of history shows. Filters are joined by AND; values of one filter by OR.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryQuery {
    /// Task types.
    pub task_name: Vec<String>,
    /// Statuses.
    pub status: Vec<TaskStatus>,
    /// Only those that count as stalled.
    #[serde(default)]
    pub stalled: bool,
    /// Created at this time or later.
    pub start_date: Option<DateTime<Utc>>,
    /// Created at this time or earlier.
    pub end_date: Option<DateTime<Utc>>,
    /// A search, in the language of [`Search`].
    pub q: Option<String>,
    /// The worker.
    pub worker: Option<String>,
    /// The queue.
    pub queue: Option<String>,
    /// Ran this long or longer.
    pub min_duration_ms: Option<i64>,
    /// Ran this long or shorter.
    pub max_duration_ms: Option<i64>,
    /// The page, from 1.
    pub page: u32,
    /// Executions a page.
    pub page_size: u32,
    /// The moment that pages are counted by; none for now.
    #[serde(default)]
    pub cursor: Option<Cursor>,
}

impl Default for HistoryQuery {
    fn default() -> Self {
        Self {
            task_name: Vec::new(),
            status: Vec::new(),
            stalled: false,
            start_date: None,
            end_date: None,
            q: None,
            worker: None,
            queue: None,
            min_duration_ms: None,
            max_duration_ms: None,
            page: 1,
            page_size: page_size::MOST,
            cursor: None,
        }
    }
}

/// A parameter of a query is not what it may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{parameter} {allowed}, not {value:?}")]
pub struct InvalidQuery {
    /// The parameter.
    pub parameter: String,
    /// What it must be.
    pub allowed: String,
    /// What it was.
    pub value: String,
    /// The first wrong character of the whole value, from 0, where one can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<usize>,
}

impl InvalidQuery {
    fn new(parameter: &str, allowed: impl fmt::Display, value: &str) -> Self {
        let value = value.chars().take(100).collect();
        Self { parameter: parameter.to_owned(), allowed: allowed.to_string(), value, at: None }
    }
}

impl HistoryQuery {
    /// Reads the parameters of a URL. Empty values count as left out, as forms send them; unknown ones are passed over.
    ///
    /// # Errors
    /// The first parameter that is not what it may be.
    pub fn from_params<'a>(params: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, InvalidQuery> {
        let mut query = Self::default();
        for (name, value) in params.into_iter().filter(|(_, value)| !value.trim().is_empty()) {
            match name {
                "task_name" => query.task_name.push(text(name, value)?),
                "status" => {
                    let status = value
                        .parse()
                        .map_err(|_| InvalidQuery::new(name, "must be pending, running, success or failed", value))?;
                    query.status.push(status);
                }
                "stalled" => query.stalled = flag(name, value)?,
                "start_date" => query.start_date = Some(date(name, value)?),
                "end_date" => query.end_date = Some(end_of(date(name, value)?, value)),
                "q" => {
                    search(value.trim())?;
                    query.q = Some(value.trim().to_owned());
                }
                "worker" => query.worker = Some(text(name, value)?),
                "queue" => query.queue = Some(text(name, value)?),
                "min_duration_ms" => query.min_duration_ms = Some(number(name, value, 0, i64::MAX)?),
                "max_duration_ms" => query.max_duration_ms = Some(number(name, value, 0, i64::MAX)?),
                "page" => query.page = number(name, value, 1, LAST_PAGE)?,
                "cursor" => {
                    let invalid = |_| InvalidQuery::new(name, "must be the cursor of a page of history", value);
                    query.cursor = Some(value.parse().map_err(invalid)?);
                }
                "page_size" => query.page_size = number(name, value, 1, page_size::MOST)?,
                _ => {}
            }
        }
        if let (Some(start), Some(end)) = (query.start_date, query.end_date)
            && start > end
        {
            return Err(InvalidQuery::new("start_date", "must not be after end_date", &start.to_rfc3339()));
        }
        Ok(query)
    }

    /// The parameters of a URL that [`HistoryQuery::from_params`] reads back, without those at their default.
    #[must_use]
    pub fn to_params(&self) -> Vec<(&'static str, String)> {
        let default = Self::default();
        let time = |time: DateTime<Utc>| time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
        let mut params = Vec::new();
        params.extend(self.task_name.iter().map(|name| ("task_name", name.clone())));
        params.extend(self.status.iter().map(|status| ("status", status.to_string())));
        let optional = [
            ("stalled", self.stalled.then(|| "true".to_owned())),
            ("start_date", self.start_date.map(time)),
            ("end_date", self.end_date.map(time)),
            ("q", self.q.clone()),
            ("worker", self.worker.clone()),
            ("queue", self.queue.clone()),
            ("min_duration_ms", self.min_duration_ms.map(|ms| ms.to_string())),
            ("max_duration_ms", self.max_duration_ms.map(|ms| ms.to_string())),
            ("page", (self.page != default.page).then(|| self.page.to_string())),
            ("page_size", (self.page_size != default.page_size).then(|| self.page_size.to_string())),
            ("cursor", self.cursor.map(|cursor| cursor.to_string())),
        ];
        params.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
        params
    }

    /// What `q` searches for.
    ///
    /// # Errors
    /// It is no search.
    pub fn search(&self) -> Result<Option<Search>, InvalidQuery> {
        self.q.as_deref().map(search).transpose()
    }

    /// Whether any filter is set.
    #[must_use]
    pub fn is_filtered(&self) -> bool {
        *self != Self { page: self.page, page_size: self.page_size, cursor: self.cursor, ..Self::default() }
    }
}

fn search(text: &str) -> Result<Search, InvalidQuery> {
    Search::parse(text).map_err(|error| InvalidQuery {
        at: Some(error.at),
        ..InvalidQuery::new("q", format!("is wrong at character {}: {error}", error.at + 1), text)
    })
}

/// Checks a text that Postgres is asked about.
///
/// # Errors
/// What is allowed.
pub fn check_text(parameter: &str, value: &str) -> Result<String, InvalidQuery> {
    if value.trim().is_empty() {
        return Err(InvalidQuery::new(parameter, "must not be empty", value));
    }
    text(parameter, value)
}

fn text(parameter: &str, value: &str) -> Result<String, InvalidQuery> {
    if value.contains('\0') || value.len() > 1024 {
        return Err(InvalidQuery::new(parameter, "must be at most 1024 bytes without a NUL character", value));
    }
    Ok(value.to_owned())
}

fn flag(parameter: &str, value: &str) -> Result<bool, InvalidQuery> {
    value.trim().parse().map_err(|_| InvalidQuery::new(parameter, "must be true or false", value))
}

fn date(parameter: &str, value: &str) -> Result<DateTime<Utc>, InvalidQuery> {
    // A `+` of an offset that was not escaped in the URL arrives as a space.
    let escaped = value.trim().replace(' ', "+");
    let date = time::parse(value).or_else(|| time::parse(&escaped));
    // Years beyond are for neither Postgres nor ISO 8601.
    date.filter(|date| (1..=9999).contains(&date.year())).ok_or_else(|| {
        InvalidQuery::new(parameter, "must be an ISO 8601 date or time such as 2026-11-21 or 2026-11-21T10:30:00Z", value)
    })
}

/// A bare date as the end of a range means its whole day.
fn end_of(end: DateTime<Utc>, value: &str) -> DateTime<Utc> {
    let is_bare_date = value.trim().len() == "2026-11-21".len();
    if is_bare_date { end + TimeDelta::days(1) - TimeDelta::microseconds(1) } else { end }
}

fn number<T: std::str::FromStr + PartialOrd + fmt::Display>(
    parameter: &str,
    value: &str,
    least: T,
    most: T,
) -> Result<T, InvalidQuery> {
    value
        .trim()
        .parse()
        .ok()
        .filter(|number| (&least..=&most).contains(&number))
        .ok_or_else(|| InvalidQuery::new(parameter, format!("must be a whole number from {least} to {most}"), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(params: &[(&str, &str)]) -> Result<HistoryQuery, InvalidQuery> {
        HistoryQuery::from_params(params.iter().copied())
    }

    #[test]
    fn a_query_survives_the_url() {
        let query = parse(&[
            ("task_name", "a"),
            ("task_name", "b"),
            ("status", "failed"),
            ("status", ""),
            ("start_date", "2026-11-21T10:30"),
            ("end_date", "2026-11-21"),
            ("q", "refused"),
            ("min_duration_ms", "20"),
            ("page", "3"),
            ("cursor", "1764028740123456.17"),
            ("other", "x"),
        ])
        .unwrap();
        let params = query.to_params();
        assert_eq!(HistoryQuery::from_params(params.iter().map(|(n, v)| (*n, v.as_str()))), Ok(query.clone()));
        assert_eq!(query.end_date.unwrap().to_rfc3339(), "2026-11-21T23:59:59.999999+00:00");
        assert!(query.is_filtered() && !HistoryQuery { page: 2, ..HistoryQuery::default() }.is_filtered());
    }

    #[test]
    fn an_unescaped_plus_is_understood() {
        assert!(parse(&[("start_date", "2026-11-21T10:30:00 02:00")]).is_ok());
    }

    #[test]
    fn bad_parameters_are_named() {
        let cases = [
            ("start_date", "invalid"),
            ("end_date", "2026-02-30"),
            ("end_date", "+262142-12-31"),
            ("start_date", "-0001-01-01"),
            ("status", "done"),
            ("page", "0"),
            ("page", "-1"),
            ("page", "1.5"),
            ("page_size", "51"),
            ("page_size", "0"),
            ("cursor", "17"),
            ("q", "ab"),
            ("q", "status:done"),
            ("stalled", "1"),
            ("min_duration_ms", "-1"),
        ];
        for (name, value) in cases {
            let error = parse(&[(name, value)]).unwrap_err();
            assert_eq!((error.parameter.as_str(), error.value.as_str()), (name, value));
            assert!(error.to_string().starts_with(name), "{error}");
        }
        let error = parse(&[("q", " -status:done")]).unwrap_err();
        assert_eq!(error.at, Some(8));
        let sentence = "q is wrong at character 9: status must be pending, running, success or failed, not \"done\"";
        assert!(error.to_string().starts_with(sentence), "{error}");
        assert_eq!(parse(&[("start_date", "2026-11-22"), ("end_date", "2026-11-21")]).unwrap_err().parameter, "start_date");
    }
}
