use std::{error::Error, fmt::Write, panic::Location, time::Duration};

/// What a task body returns.
pub(crate) type TaskResult<T> = Result<T, Failure>;

/// Why an attempt failed: a sentence, the places in the code that it passed, and its causes. `?` makes one of any error and notes where
/// that was.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    error_type: &'static str,
    /// From where it began, outwards: what was said there, and the place.
    frames: Vec<(String, String)>,
    causes: Vec<String>,
    retry: Retry,
}

/// Whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    /// After the usual back-off.
    Usual,
    /// Not before this much time has passed.
    After(Duration),
    /// Never: the same would happen.
    Never,
}

impl Failure {
    /// A failure that another attempt may not have.
    #[track_caller]
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self::at(message, "Failure", Location::caller())
    }

    /// A failure that every attempt would have.
    #[track_caller]
    pub(crate) fn permanent(message: impl Into<String>) -> Self {
        Self { retry: Retry::Never, ..Self::at(message, "Failure", Location::caller()) }
    }

    /// A panic, with the place where it was.
    pub(crate) fn panic(message: &str, place: String) -> Self {
        let message = format!("panicked: {message}");
        let frames = vec![(message.clone(), place)];
        Self { message, error_type: "panic", frames, causes: Vec::new(), retry: Retry::Usual }
    }

    fn at(message: impl Into<String>, error_type: &'static str, place: &Location<'_>) -> Self {
        let message = message.into();
        let frames = vec![(message.clone(), place.to_string())];
        Self { message, error_type, frames, causes: Vec::new(), retry: Retry::Usual }
    }

    /// The same, to be tried again no sooner than this.
    pub(crate) fn retry_after(mut self, pause: Duration) -> Self {
        self.retry = Retry::After(pause);
        self
    }

    /// The same, never to be tried again.
    pub(crate) fn never_again(mut self) -> Self {
        self.retry = Retry::Never;
        self
    }

    /// The same, with one more place that it passed. What was being done is told there, and not in the sentence.
    #[track_caller]
    pub(crate) fn passing(mut self, doing: impl Into<String>) -> Self {
        self.frames.push((doing.into(), Location::caller().to_string()));
        self
    }

    /// The same, with a sentence before it that says what was being done.
    #[track_caller]
    pub(crate) fn explained(mut self, doing: impl Into<String>) -> Self {
        let doing = doing.into();
        self.frames.push((doing.clone(), Location::caller().to_string()));
        self.causes.insert(0, std::mem::replace(&mut self.message, doing));
        self
    }

    /// Whether trying again can help.
    pub(crate) fn retry(&self) -> Retry {
        self.retry
    }

    /// The sentence, with its causes.
    pub(crate) fn message(&self) -> String {
        self.causes.iter().fold(self.message.clone(), |message, cause| format!("{message}: {cause}"))
    }

    /// The type of the error that it began with.
    pub(crate) fn error_type(&self) -> &'static str {
        self.error_type
    }

    /// The sentence, the places from the outermost to where it began, and the causes, a line each.
    pub(crate) fn traceback(&self) -> String {
        let mut text = self.message();
        for (said, place) in self.frames.iter().rev() {
            // Writing to a string can't fail.
            let _ = write!(text, "\n    at {place}: {said}");
        }
        for cause in &self.causes {
            let _ = write!(text, "\ncaused by: {cause}");
        }
        text
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    #[track_caller]
    fn from(error: E) -> Self {
        let mut failure = Self::at(error.to_string(), std::any::type_name::<E>(), Location::caller());
        let mut source = error.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            // Many errors repeat their cause in their own text.
            if !failure.message().contains(&cause_text) {
                failure.causes.push(cause_text);
            }
            source = cause.source();
        }
        failure
    }
}

/// Says what was being done when an error came.
pub(crate) trait Explain<T> {
    /// Puts a sentence before the error.
    fn explain(self, doing: impl FnOnce() -> String) -> TaskResult<T>;
}

impl<T, E> Explain<T> for Result<T, E>
where
    Failure: From<E>,
{
    #[track_caller]
    fn explain(self, doing: impl FnOnce() -> String) -> TaskResult<T> {
        match self {
            Ok(value) => Ok(value),
            Err(error) => Err(Failure::from(error).explained(doing())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> TaskResult<u32> {
        Ok(text.parse::<u32>()?)
    }

    #[test]
    fn a_question_mark_notes_its_place() {
        let failure = parse("x").explain(|| "the limit can't be read".to_owned()).unwrap_err();
        assert_eq!(failure.message(), "the limit can't be read: invalid digit found in string");
        assert_eq!(failure.error_type(), "core::num::error::ParseIntError");
        let traceback = failure.traceback();
        let places = traceback.lines().filter(|line| line.contains("failure.rs:")).count();
        assert_eq!(places, 2, "{traceback}");
        assert!(traceback.ends_with("caused by: invalid digit found in string"), "{traceback}");
    }
}
