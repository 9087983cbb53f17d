//! The product's own task types, and the worker that runs them, in the order in which a task passes through: the table of task types, the
//! queue, the worker, an attempt, what the bodies do, and what they are done with.
//!
//! **Promises.** A task that was queued is run until it succeeds or its attempts are used up, at least once each time: its body can be
//! repeated. A worker that dies, or loses the database, loses no task. A tick of the clock is queued once, however many workers there are.
//! The bodies know nothing of monitoring: attempts are reported where they are run.

pub mod analysis;
mod archive;
mod attempt;
mod bounds;
mod config;
mod context;
mod demo;
mod failure;
mod http;
mod ingest_run;
pub mod knowledge;
mod llm;
pub mod messages;
mod panics;
mod params;
mod pool;
pub mod providers;
mod queue;
mod registry;
mod reporting;
mod sample;
mod scheduler;
mod scoring;
mod seed;
mod service;
mod service_error;
mod tasks;
pub mod telegram;
mod webhook;
mod worker;

pub use config::{AlertConfig, AnalysisConfig, RetentionConfig, TelegramConfig, WebhookConfig, WorkloadConfig};
pub use demo::demo_work;
pub use ingest_run::imports;
pub use llm::{LlmConfig, Price};
pub use pool::pool_options;
pub use queue::{Queue, TriggerError};
pub use registry::{queues, task_types};
pub use seed::{SeedOutcome, seed};
pub use service::{Service, new_secret_key};
pub use service_error::ServiceError;
pub use worker::Worker;
