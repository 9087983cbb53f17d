//! What pages and other Rust programs ask the server: one file a noun. In the browser and with the `client` feature a call is
//! a request to `/api/fn/…`; in the server it is a function call.

pub mod events;
pub mod executions;
pub mod metrics;

pub use events::{LatestEvents, latest_events};
pub use executions::{GetExecution, GetHistory, get_execution, get_history};
pub use metrics::{GetMetrics, get_metrics};
