//! The task types of the product and the worker that runs them.
