//! Texts as the rules read them.

/// Whether a text, in small letters, has a word or phrase; with `*` at its end also words that begin so.
pub(super) fn has(text: &str, phrase: &str) -> bool {
    let (phrase, stem) = phrase.strip_suffix('*').map_or((phrase, false), |phrase| (phrase, true));
    text.match_indices(phrase).any(|(start, found)| {
        let before = text[..start].chars().next_back();
        let after = text[start + found.len()..].chars().next();
        let open = |next: Option<char>| next.is_none_or(|next| !next.is_alphanumeric());
        (open(before) || !phrase.starts_with(char::is_alphanumeric))
            && (stem || open(after) || !phrase.ends_with(char::is_alphanumeric))
    })
}

/// The first of these that a text has.
pub(super) fn first<'a>(text: &str, phrases: &[&'a str]) -> Option<&'a str> {
    phrases.iter().copied().find(|phrase| has(text, phrase))
}

pub(super) fn count(text: &str) -> usize {
    text.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).count()
}

/// Tickets such as `HRB-412`, in their order, each once.
pub(super) fn tickets(text: &str) -> Vec<String> {
    let mut tickets: Vec<String> = Vec::new();
    for word in text.split(|character: char| !character.is_alphanumeric() && character != '-') {
        let Some((project, number)) = word.split_once('-') else { continue };
        let named = (2..=10).contains(&project.len()) && project.bytes().all(|byte| byte.is_ascii_uppercase());
        let numbered = (1..=7).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
        if named && numbered && project != "UTF" && project != "ISO" && !tickets.iter().any(|known| known == word) {
            tickets.push(word.to_owned());
        }
    }
    tickets
}

/// Hashtags, in small letters with their sign.
pub(super) fn hashtags(text: &str) -> Vec<String> {
    let tags = text.split_whitespace().filter_map(|word| word.strip_prefix('#'));
    let tags = tags.map(|tag| tag.trim_end_matches(|character: char| !character.is_alphanumeric()));
    // A number behind the sign is that of an issue or a place.
    tags.filter(|tag| tag.chars().any(char::is_alphabetic)).map(|tag| format!("#{}", tag.to_lowercase())).collect()
}

/// A text as a title: its first sentence without what announces it, beginning large, and cut between words.
pub(super) fn title(text: &str) -> String {
    const LONGEST: usize = 90;
    let text = without_announcement(text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim());
    let text = text.split_once(": http").map_or(text, |(text, _)| text);
    let title = cut(sentence(text), LONGEST);
    let title = title.trim_end_matches(['.', ',', ';', ':', ' ']);
    let mut characters = title.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

fn without_announcement(text: &str) -> &str {
    const ANNOUNCEMENTS: [&str; 10] =
        ["bug", "decision", "decided", "question", "agreed", "idea", "рішення", "вирішили", "питання", "баг"];
    let mut rest = text;
    while let Some((head, tail)) = rest.split_once([':', ',']) {
        let head = head.trim().to_lowercase();
        let announces = ANNOUNCEMENTS.iter().any(|word| head == *word) || head.starts_with("decision ");
        if !announces || count(tail) < 2 {
            break;
        }
        rest = tail.trim_start();
    }
    rest
}

/// The first sentence, if it is one.
fn sentence(text: &str) -> &str {
    let end = text.match_indices(['.', '?', '!']).find(|(at, _)| {
        let (said, rest) = text.split_at(at + 1);
        count(said) >= 3 && rest.starts_with(' ')
    });
    end.map_or(text, |(at, _)| &text[..=at])
}

fn cut(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let kept: String = text.chars().take(longest).collect();
    let kept = kept.rsplit_once(' ').map_or(kept.as_str(), |(kept, _)| kept);
    format!("{}…", kept.trim_end_matches([',', ';', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_whole_and_stems_at_their_beginning() {
        assert!(has("the import fails", "fails") && has("помилка у звіті", "помилк*") && has("is it?", "?"));
        assert!(!has("the debugger", "bug") && !has("failsafe", "fails") && !has("unmerged", "merge*"));
    }

    #[test]
    fn tickets_and_hashtags_are_found() {
        assert_eq!(tickets("HRB-412 is one, HRB-398 and HRB-412, not UTF-8, 4-5 or a-1"), ["HRB-412", "HRB-398"]);
        assert_eq!(hashtags("see #Import, #42 and c#"), ["#import"]);
    }

    #[test]
    fn titles_say_it_in_a_line() {
        for (text, wanted) in [
            (
                "bug: an empty file crashes the new parser, index out of bounds",
                "An empty file crashes the new parser, index out of bounds",
            ),
            ("Agreed. Decision: HRB-412 is priority one", "Agreed. Decision: HRB-412 is priority one"),
            ("decision from it: we alert on queue age. Soon.", "We alert on queue age"),
            ("incident note: https://wiki.example/1", "Incident note"),
            ("помилка у звіті за п'ятницю", "Помилка у звіті за п'ятницю"),
        ] {
            assert_eq!(title(text), wanted);
        }
        let long = title(&"word ".repeat(40));
        assert!(long.ends_with("word…") && long.chars().count() <= 91, "{long}");
    }
}
