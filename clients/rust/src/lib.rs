//! Reports background tasks to Taskscope.
//!
//! ```no_run
//! use taskscope_client::{Failure, Reporter, Work};
//!
//! # async fn charge() -> Result<(), std::io::Error> { Ok(()) }
//! # async fn example() -> Result<(), taskscope_client::StartError> {
//! let reporter = Reporter::builder("http://127.0.0.1:3000").queues(["orders"]).concurrency(8).start()?;
//!
//! let run = reporter.start(Work::new("order-7", "orders.charge").queue("orders"));
//! match charge().await {
//!     Ok(()) => run.succeed(None),
//!     Err(error) => run.fail(Failure::from(&error)),
//! }
//!
//! reporter.shutdown(std::time::Duration::from_secs(5)).await;
//! # Ok(())
//! # }
//! ```
//!
//! **Promises.** Reporting never fails, panics or waits: it puts an event into a buffer that is bounded by events and bytes. One
//! background task sends them in batches and tries again until the server has them; another sends heartbeats. What doesn't fit is
//! dropped, counted, and told to the server in the next heartbeat. A task that is cancelled or panics is reported as failed.
//!
//! **Fails** by losing: while the server is away for longer than the buffer lasts, new events are dropped, and what waits is gone with the
//! process unless [`Reporter::shutdown`] was given the time to send it.

#[cfg(feature = "apalis")]
pub mod apalis;
mod backoff;
mod batch;
mod buffer;
mod builder;
mod endpoint;
mod event;
mod failure;
mod heart;
mod http_client;
#[cfg(feature = "tower")]
mod layer;
#[cfg(feature = "nats")]
mod nats;
mod reporter;
mod run;
mod sender;
mod work;

pub use builder::{ReporterBuilder, StartError};
pub use failure::Failure;
#[cfg(feature = "tower")]
pub use layer::{BoxError, Describe, NoPreview, Preview, ReportFuture, ReportLayer, ReportService};
pub use reporter::{Reporter, Stats};
pub use run::Run;
pub use taskscope_wire::Json;
pub use work::Work;
