use std::{
    any::{Any, type_name},
    error::Error,
    fmt::{self, Write},
};

use taskscope_wire::limits;

/// Sources of an error that are written down; a chain that never ends must not keep the task.
const MOST_SOURCES: usize = 64;
/// Follows the beginning of a text that was cut.
const NOTE: &str = "\n… (cut: ";

/// Why a task failed.
///
/// `From<&E>` makes one of any error: its type, its message, and its sources as the traceback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The type of the error, with its module.
    pub error_type: Option<String>,
    /// Why it failed, in one line or a few.
    pub message: String,
    /// More, such as the chain of sources or a stack trace. Beyond 64 KiB only the beginning is reported.
    pub traceback: Option<String>,
}

impl Failure {
    /// A failure of which only the reason is known.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { error_type: None, message: message.into(), traceback: None }
    }

    /// Sets the type of the error.
    #[must_use]
    pub fn error_type(mut self, error_type: impl Into<String>) -> Self {
        self.error_type = Some(error_type.into());
        self
    }

    /// Sets the traceback.
    #[must_use]
    pub fn traceback(mut self, traceback: impl Into<String>) -> Self {
        self.traceback = Some(traceback.into());
        self
    }

    /// What [`std::panic::catch_unwind`] caught.
    #[must_use]
    pub fn from_panic(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Self::new(text.unwrap_or("the task panicked")).error_type("panic")
    }

    pub(crate) fn cancelled() -> Self {
        Self::new("cancelled before it ended").error_type("cancelled")
    }

    pub(crate) fn panicking() -> Self {
        Self::new("the thread that ran it panicked").error_type("panic")
    }

    /// The same in a size that the server leaves alone.
    pub(crate) fn bounded(self) -> Self {
        self.cut_to(limits::TEXT)
    }

    /// The same with texts of at most so many bytes.
    pub(crate) fn cut_to(mut self, bytes: usize) -> Self {
        if let Some(name) = &mut self.error_type {
            name.truncate(name.floor_char_boundary(limits::NAME));
        }
        self.message = cut(self.message, bytes);
        self.traceback = self.traceback.map(|text| cut(text, bytes));
        self
    }

    /// About the bytes that it holds.
    pub(crate) fn size(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        size_of::<Self>() + length(&self.error_type) + self.message.len() + length(&self.traceback)
    }
}

impl<E: Error + ?Sized> From<&E> for Failure {
    fn from(error: &E) -> Self {
        let name = type_name::<E>();
        let error_type = if name.starts_with("dyn ") { name_in_debug(error) } else { Some(name.to_owned()) };
        Self { error_type, message: error.to_string(), traceback: chain(error) }
    }
}

/// The error and its sources, a line each; nothing if it has none.
fn chain<E: Error + ?Sized>(error: &E) -> Option<String> {
    let mut source = Some(error.source()?);
    let mut text = error.to_string();
    for _ in 0..MOST_SOURCES {
        let Some(cause) = source else { break };
        // Writing into a `String` fails only if the error's own `Display` does; what it has written stays.
        let _ = write!(text, "\ncaused by: {cause}");
        source = cause.source();
    }
    Some(text)
}

/// A derived `Debug` begins with the name of the type or of the variant. That is all there is to know of a `dyn Error`.
fn name_in_debug<E: Error + ?Sized>(error: &E) -> Option<String> {
    let mut start = Start(String::new());
    // It stops after the first bytes with an error, which says nothing.
    let _ = write!(start, "{error:?}");
    let text = start.0;
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let derived = rest.is_empty() || rest.starts_with('(') || rest.starts_with(" {");
    (derived && name.starts_with(char::is_uppercase)).then(|| name.to_owned())
}

/// Keeps the beginning of what is written.
struct Start(String);

impl Start {
    const BYTES: usize = 128;
}

impl Write for Start {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = Self::BYTES.saturating_sub(self.0.len());
        self.0.push_str(&text[..text.floor_char_boundary(room)]);
        if text.len() > room { Err(fmt::Error) } else { Ok(()) }
    }
}

fn cut(mut text: String, bytes: usize) -> String {
    if text.len() > bytes {
        let note = note_of(&text).map_or_else(|| format!("{NOTE}{} bytes in all)", text.len()), ToOwned::to_owned);
        text.truncate(text.floor_char_boundary(bytes.saturating_sub(note.len())));
        text.push_str(&note);
    }
    text
}

/// How a text ends that was cut before.
fn note_of(text: &str) -> Option<&str> {
    let note = &text[text.rfind(NOTE)?..];
    (note.len() < 64 && note.ends_with(" bytes in all)")).then_some(note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("no answer from the bank")]
    struct NoAnswer(#[from] std::num::ParseIntError);

    fn no_answer() -> NoAnswer {
        NoAnswer("x".parse::<i32>().unwrap_err())
    }

    #[test]
    fn an_error_gives_its_type_and_its_sources() {
        let failure = Failure::from(&no_answer());
        assert_eq!(failure.error_type.as_deref(), Some("taskscope_client::failure::tests::NoAnswer"));
        assert_eq!(failure.message, "no answer from the bank");
        let expected = "no answer from the bank\ncaused by: invalid digit found in string";
        assert_eq!(failure.traceback.as_deref(), Some(expected));
        assert_eq!(Failure::from(&"x".parse::<i32>().unwrap_err()).traceback, None);
    }

    #[test]
    fn a_boxed_error_gives_the_name_that_its_debug_text_begins_with() {
        let boxed: Box<dyn Error + Send + Sync> = Box::new(no_answer());
        assert_eq!(Failure::from(&*boxed).error_type.as_deref(), Some("NoAnswer"));
        let text: Box<dyn Error + Send + Sync> = "Connection to the bank failed".into();
        assert_eq!(Failure::from(&*text).error_type, None);
        let io: Box<dyn Error> = Box::new(std::io::Error::other("é".repeat(1000)));
        assert_eq!(Failure::from(&*io).error_type.as_deref(), Some("Custom"));
    }

    #[test]
    fn long_texts_are_cut_with_a_marker_that_fits() {
        let failure = Failure::new("é".repeat(limits::TEXT)).traceback("x").error_type("T".repeat(5000)).bounded();
        assert!(failure.message.len() <= limits::TEXT);
        assert!(failure.message.ends_with(&format!("(cut: {} bytes in all)", 2 * limits::TEXT)));
        assert_eq!(failure.error_type.map(|name| name.len()), Some(limits::NAME));
    }

    #[test]
    fn a_panic_gives_its_message() {
        let text = std::panic::catch_unwind(|| panic!("{}", 7)).unwrap_err();
        assert_eq!(Failure::from_panic(&*text), Failure::new("7").error_type("panic"));
        let value = std::panic::catch_unwind(|| std::panic::panic_any(7)).unwrap_err();
        assert_eq!(Failure::from_panic(&*value).message, "the task panicked");
    }
}
