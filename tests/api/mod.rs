mod contract;
mod export;
mod native;
pub mod routes;
mod task_logging;
mod taskiq;
mod tasks;
