//! Integration tests, in folders that mirror the routes: every one against a real Postgres and, where it asks by HTTP, a real server.

#![recursion_limit = "256"]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    reason = "a test may panic, and its name says what it is for"
)]

mod analysis;
mod api;
mod live;
mod nats;
mod pages;
mod reliability;
mod rules;
mod search;
mod series;
mod spool;
mod store;
mod support;
mod workers;
