mod contract;
mod native;
mod routes;
mod task_logging;
mod taskiq;
mod tasks;
