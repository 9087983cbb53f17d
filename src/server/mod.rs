//! The server, listed as data flows: a request comes in by `http`, its events go through the `recorder` into the `store` and
//! out by the `hub`.

pub mod access;
pub mod config;
pub mod data_dir;
pub mod embedded_pg;
pub mod http;
pub mod hub;
pub mod log_lines;
mod login_page;
pub mod nats;
pub mod notices;
mod page_caller;
mod page_error;
pub mod recorder;
pub mod redact;
pub mod redaction;
mod secret_key;
pub mod serve;
pub mod store;
mod watchdog;
pub mod worker;
pub mod workload;

pub use page_caller::{page_admin, page_caller, page_note, page_replay, page_role};

use std::sync::{
    LazyLock,
    atomic::{AtomicU64, Ordering},
};

/// An id that no other request of this process or an earlier one has: a user quotes it, and the log has the cause beside it.
fn new_request_id() -> String {
    static STARTED: LazyLock<i64> = LazyLock::new(|| chrono::Utc::now().timestamp_millis());
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{:x}-{:x}", *STARTED, COUNT.fetch_add(1, Ordering::Relaxed))
}
