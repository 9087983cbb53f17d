//! The HTTP client of the tasks.

use std::time::Duration;

use anyhow::Context;

use crate::WorkloadConfig;

/// How long any request may take that sets no limit of its own.
const LIMIT: Duration = Duration::from_secs(10);

/// A client that follows no redirect: what is posted is meant for the one place that was configured.
///
/// # Errors
/// The machine's certificates can't be read.
pub(crate) fn client(config: &WorkloadConfig) -> anyhow::Result<reqwest::Client> {
    // Another part of the program may have chosen already, and that is as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(LIMIT)
        .connect_timeout(config.llm.connect_timeout())
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("taskscope/", env!("CARGO_PKG_VERSION")))
        .build()
        .context("the HTTP client can't be set up")
}
