//! Whether a text has a word. Both are in lower case; a word also stands for those that begin with it, as `fail` for `failed`, which
//! matters the more in Ukrainian.

/// Whether the word is in the text, at the beginning of one of its words.
pub(crate) fn has(text: &str, word: &str) -> bool {
    !word.is_empty()
        && text.match_indices(word).any(|(place, _)| {
            let before = text[..place].chars().next_back();
            // A word that begins with a sign, such as `#urgent`, begins wherever it is.
            before.is_none_or(|before| !is_of_word(before)) || !word.starts_with(is_of_word)
        })
}

/// Whether the text addresses somebody: `@` and a name, which is no address of mail.
pub(crate) fn mentions_somebody(text: &str) -> bool {
    text.match_indices('@').any(|(place, _)| {
        let before = text[..place].chars().next_back();
        let after = text[place + 1..].chars().next();
        before.is_none_or(|before| !is_of_word(before) && before != '.') && after.is_some_and(is_of_word)
    })
}

fn is_of_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_where_words_begin() {
        assert!(has("the build failed again", "fail"));
        assert!(has("bug: it is empty", "bug"));
        assert!(!has("i debug it", "bug"));
        assert!(has("сталася помилка", "помил"));
        assert!(has("now #urgent", "#urgent"));
        assert!(!has("anything", ""));
    }

    #[test]
    fn somebody_is_addressed_but_not_by_mail() {
        assert!(mentions_somebody("@marta ok"));
        assert!(mentions_somebody("ok (@тарас)"));
        assert!(!mentions_somebody("write to a.b@example.org"));
        assert!(!mentions_somebody("5 @ 3"));
    }
}
