//! Analysis runs, as the analysis run guide tests them, and their API.

mod api;
mod guide;
