mod contract;
mod native;
mod routes;
mod taskiq;
mod task_logging;
