//! A summary of what is known of a topic, from the lines of its atoms.

use std::fmt::Write;

/// Kinds in the order in which they are told, and how.
const PARTS: [(&str, &str, &str); 7] = [
    ("decision", "decision", "Decided"),
    ("requirement", "requirement", "Required"),
    ("problem", "problem", "Problems"),
    ("solution", "solution", "Solutions"),
    ("insight", "insight", "Understood"),
    ("pattern", "pattern", "How it is done"),
    ("question", "open question", "Open questions"),
];
/// The most titles that are told of one kind.
const TOLD: usize = 4;

pub(super) fn text(name: &str, lines: &[String]) -> String {
    let atoms: Vec<_> = lines.iter().filter_map(|line| split(line)).collect();
    let of_kind = |kind: &str| atoms.iter().filter(|(other, _)| *other == kind).map(|(_, title)| *title).collect::<Vec<_>>();
    let counts: Vec<_> = PARTS
        .iter()
        .map(|(kind, noun, _)| (of_kind(kind).len(), noun))
        .filter(|(count, _)| *count > 0)
        .map(|(count, noun)| format!("{count} {noun}{}", if count == 1 { "" } else { "s" }))
        .collect();
    if counts.is_empty() {
        return format!("Nothing is known of {name} yet.");
    }
    let mut text = format!("{name}: {}.", counts.join(", "));
    for (kind, _, heading) in PARTS {
        let titles = of_kind(kind);
        if titles.is_empty() {
            continue;
        }
        // Writing to a string can't fail.
        let _ = write!(text, " {heading}: {}", titles.iter().take(TOLD).copied().collect::<Vec<_>>().join("; "));
        let more = titles.len().saturating_sub(TOLD);
        let _ = if more == 0 { write!(text, ".") } else { write!(text, "; and {more} more.") };
    }
    text
}

/// `[problem] Title — content` as a kind and a title.
fn split(line: &str) -> Option<(&str, &str)> {
    let (kind, rest) = line.strip_prefix('[')?.split_once("] ")?;
    let title = rest.split_once(" — ").map_or(rest, |(title, _)| title);
    Some((kind, title.trim_end_matches('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_counts_and_tells() {
        let lines = ["[problem] Imports fail — with Excel files", "[decision] 5 % first — then more", "[problem] Slow"]
            .map(str::to_owned);
        assert_eq!(text("Import", &lines), "Import: 1 decision, 2 problems. Decided: 5 % first. Problems: Imports fail; Slow.");
        assert_eq!(text("Import", &[]), "Nothing is known of Import yet.");
    }
}
