//! The server, listed as data flows: a request comes in by `http`, its events go through the `recorder` into the `store` and
//! out by the `hub`.

pub mod config;
mod data_dir;
pub mod embedded_pg;
pub mod http;
pub mod hub;
pub mod recorder;
pub mod serve;
pub mod store;
