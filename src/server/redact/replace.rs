//! From places in a text to the text without them.

use std::ops::Range;

use super::MARKER;

/// A place that holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hit<'a> {
    pub(super) range: Range<usize>,
    /// What it is redacted for.
    pub(super) rule: &'a str,
}

/// The text with a marker in place of each hit, none where nothing changes. Hits that touch become one; a marker is never cut.
pub(super) fn replace(text: &str, hits: Vec<Hit<'_>>) -> Option<String> {
    let merged = merge(text, hits);
    if merged.is_empty() {
        return None;
    }
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for Hit { range, .. } in merged {
        out.push_str(&text[at..range.start]);
        out.push_str(MARKER);
        at = range.end;
    }
    out.push_str(&text[at..]);
    Some(out)
}

/// Hits in order, those that overlap or touch as one, without what is redacted already.
pub(super) fn merge<'a>(text: &str, mut hits: Vec<Hit<'a>>) -> Vec<Hit<'a>> {
    if hits.is_empty() {
        return hits;
    }
    let markers: Vec<Range<usize>> = text.match_indices(MARKER).map(|(start, found)| start..start + found.len()).collect();
    hits.retain(|hit| !hit.range.is_empty() && !markers.iter().any(|marker| holds(marker, &hit.range)));
    for hit in &mut hits {
        let Range { start, end } = hit.range.clone();
        for marker in markers.iter().filter(|marker| marker.start < end && start < marker.end) {
            hit.range = hit.range.start.min(marker.start)..hit.range.end.max(marker.end);
        }
    }
    hits.sort_by_key(|hit| (hit.range.start, hit.range.end));
    let mut merged: Vec<Hit<'a>> = Vec::with_capacity(hits.len());
    for hit in hits {
        match merged.last_mut() {
            Some(last) if hit.range.start <= last.range.end => last.range.end = last.range.end.max(hit.range.end),
            _ => merged.push(hit),
        }
    }
    merged
}

fn holds(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}
