//! The workload as a whole: real Postgres, real HTTP, the real client.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    reason = "a test may panic, and its name says what it is for"
)]

mod alerts;
mod analysis;
mod cleanup;
mod digest;
mod knowledge;
mod llm;
mod messages;
mod pool;
mod providers;
mod queue;
mod resilience;
mod schedule;
mod seeding;
mod support;
mod telegram;
