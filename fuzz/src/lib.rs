//! What must hold whatever bytes arrive. Each module is a target: a plain function that panics where a promise is broken. The fuzzer
//! calls it with what it makes up (`scripts/fuzz`), a test with all inputs that are kept (`tests/kept.rs`).

pub mod cursors;
pub mod events;
mod postgres;
pub mod redaction;
pub mod search;
pub mod socket;
pub mod state;
pub mod taskiq;

/// Pure parts of the root package, taken in by their path: that package itself takes minutes to build.
#[path = "../../src/server/redact/mod.rs"]
pub mod redact;

/// As above.
#[path = "../../src/live/state.rs"]
pub mod dashboard;

/// A target: its name, which is also its folder under `seeds` and `regressions`, and what it checks.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 7] = [
    ("cursors", cursors::check),
    ("events", events::check),
    ("redaction", redaction::check),
    ("search", search::check),
    ("socket", socket::check),
    ("state", state::check),
    ("taskiq", taskiq::check),
];

/// The moment that all targets take for now: a failure must be the same tomorrow.
fn now() -> chrono::DateTime<chrono::Utc> {
    taskscope_wire::time::parse("2026-11-28T12:00:00Z").unwrap_or_default()
}
