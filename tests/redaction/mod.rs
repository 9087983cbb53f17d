//! Secrets reach neither disk nor database nor screen, whatever way they come; and the search that proves it finds them where nothing is redacted.

mod everywhere;
mod rules;
