//! How pages of analysis stay current: by what happens to runs, and by fetching anew where that doesn't say enough.

use leptos::prelude::*;
use taskscope_wire::{AnalysisEvent, InvalidQuery};

use crate::{
    components::url,
    live::{Connection, Live, Refetch},
};

/// What is remembered of one fetch that never ends.
const MOST: usize = 500;

/// What came while something was being fetched: it may be newer than the answer, so it is put on top of it.
pub(super) struct Meanwhile<T: Send + Sync + 'static>(StoredValue<Vec<T>>);

impl<T: Send + Sync + 'static> Clone for Meanwhile<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Send + Sync + 'static> Copy for Meanwhile<T> {}

impl<T: Send + Sync + 'static> Meanwhile<T> {
    pub(super) fn new() -> Self {
        Self(StoredValue::new(Vec::new()))
    }

    /// A fetch begins: what came before it is in its answer.
    pub(super) fn begin(self) {
        self.0.try_update_value(Vec::clear);
    }

    /// Something came.
    pub(super) fn note(self, item: T) {
        self.0.try_update_value(|items| {
            if items.len() < MOST {
                items.push(item);
            }
        });
    }

    /// Goes through what came since the fetch began, oldest first.
    pub(super) fn each(self, job: impl FnMut(&T)) {
        self.0.with_value(|items| items.iter().for_each(job));
    }
}

/// Gives `take` everything that happens to runs.
pub(super) fn on_analysis(live: Live, take: impl Fn(&AnalysisEvent) + 'static) {
    let latest = live.analysis();
    Effect::new(move |again: Option<()>| {
        let latest = latest.get();
        // What came before this page was made is in the page.
        if again.is_some() {
            latest.iter().for_each(&take);
        }
    });
}

/// Fetches anew as soon as the page hears what happens: what happened between its first fetch and then would be missed. That fetch
/// begins before the page's part of the program is there.
pub(super) fn refetch_when_connected(live: Live, refetch: Refetch) {
    let connection = live.connection();
    Effect::new(move |before: Option<Connection>| {
        let now = connection.get();
        if now == Connection::Connected && before != Some(now) {
            refetch.soon();
        }
        now
    });
}

/// The page of a list that the address names.
pub(super) fn page_of(search: &str) -> Result<i64, InvalidQuery> {
    let Some(value) = url::param(search, url::PAGE) else { return Ok(1) };
    let page = value.trim().parse().ok().filter(|page| taskscope_wire::check_page(*page, 1).is_ok());
    page.ok_or_else(|| InvalidQuery {
        parameter: url::PAGE.to_owned(),
        allowed: "must be the number of a page, from 1".to_owned(),
        value: value.chars().take(100).collect(),
        at: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_read_from_the_address() {
        assert_eq!(page_of(""), Ok(1));
        assert_eq!(page_of("new&page=3"), Ok(3));
        for value in ["0", "-1", "two", "99999999999999"] {
            assert_eq!(page_of(&format!("page={value}")).unwrap_err().value, value);
        }
    }
}
