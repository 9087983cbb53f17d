use super::keywords;
use crate::llm::SourceMessage;

/// Which messages are worth a question.
#[derive(Debug)]
pub(super) struct Prefilter {
    /// In lower case; none lets every message pass that is long enough.
    keywords: Vec<String>,
    /// Characters.
    min_length: usize,
}

impl Prefilter {
    pub(super) fn new(keywords: &[String], min_length: usize) -> Self {
        let keywords = keywords.iter().map(|word| word.trim().to_lowercase()).filter(|word| !word.is_empty()).collect();
        Self { keywords, min_length }
    }

    /// A message passes that addresses somebody, or that is long enough and has a keyword.
    pub(super) fn passes(&self, message: &SourceMessage) -> bool {
        let text = message.content.trim();
        keywords::mentions_somebody(text) || (text.chars().count() >= self.min_length && self.has_keyword(&text.to_lowercase()))
    }

    fn has_keyword(&self, text: &str) -> bool {
        self.keywords.is_empty() || self.keywords.iter().any(|word| keywords::has(text, word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(content: &str) -> SourceMessage {
        SourceMessage { id: 1, author: "Ira".to_owned(), sent_at: chrono::Utc::now(), content: content.to_owned() }
    }

    #[test]
    fn keywords_length_and_mentions_decide() {
        let filter = Prefilter::new(&["Bug".to_owned(), "помилк".to_owned(), "  ".to_owned()], 8);
        let passes = |text: &str| filter.passes(&message(text));
        assert!(passes("a BUG in it"));
        assert!(passes("тут Помилка є"));
        assert!(!passes("bug!"), "too short");
        assert!(!passes("nothing to see here"), "no keyword");
        assert!(passes("@ira ?"), "a mention is enough");
        assert!(!passes("        bug        "), "blanks don't count");
    }

    #[test]
    fn without_keywords_length_decides() {
        let filter = Prefilter::new(&[], 5);
        assert!(filter.passes(&message("hello there")));
        assert!(!filter.passes(&message("hi")));
    }
}
