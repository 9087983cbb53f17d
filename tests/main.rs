//! Integration tests, in folders that mirror the routes: every one against a real Postgres and, where it asks by HTTP, a real server.

#![recursion_limit = "256"]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    reason = "a test may panic, and its name says what it is for"
)]

mod access;
mod analysis;
mod api;
mod attacks;
mod backlog;
mod live;
mod nats;
mod pages;
mod redaction;
mod reliability;
mod rules;
mod search;
mod series;
mod spool;
mod spool_tail;
mod store;
mod streams;
mod support;
mod torture;
mod workers;
