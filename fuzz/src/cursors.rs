//! The query string of a page of history, and the cursor that leads to the other pages.

use chrono::{DateTime, Datelike, Utc};
use taskscope_wire::{Cursor, HistoryQuery};

/// The input is a query string.
pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(cursor) = text.parse::<Cursor>() {
        cursor_is_kept(cursor);
    }
    let pairs: Vec<(String, String)> = form_urlencoded::parse(input).into_owned().collect();
    let query = match HistoryQuery::from_params(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))) {
        Ok(query) => query,
        Err(error) => return assert!(pairs.iter().any(|(name, _)| *name == error.parameter), "{error}"),
    };
    query.cursor.into_iter().for_each(cursor_is_kept);
    query.start_date.into_iter().chain(query.end_date).for_each(postgres_knows);
    assert!(matches!(query.search(), Ok(search) if search.is_some() == query.q.is_some()));
    assert!((1..=50).contains(&query.page_size) && query.page > 0);
    let url: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(query.to_params()).finish();
    let again: Vec<(String, String)> = form_urlencoded::parse(url.as_bytes()).into_owned().collect();
    let again = HistoryQuery::from_params(again.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    assert_eq!(again.as_ref(), Ok(&query), "{url}");
    let json = serde_json::to_string(&query).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(serde_json::from_str::<HistoryQuery>(&json).ok().as_ref(), Some(&query), "{json}");
}

fn cursor_is_kept(cursor: Cursor) {
    assert_eq!(cursor.to_string().parse(), Ok(cursor));
    postgres_knows(cursor.until);
}

/// A `timestamptz` ends in the year 294276, and begins long before what anybody means.
fn postgres_knows(time: DateTime<Utc>) {
    assert!((-4000..=290_000).contains(&time.year()), "Postgres has no {time}");
}
