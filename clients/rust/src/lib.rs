//! Reports background tasks to Taskscope.
