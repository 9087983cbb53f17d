//! One file a route. A page owns what it loads, gives components values and signals, and says what there is to read where
//! nothing could be loaded.
//!
//! A lazy page's view asks for what it loads, not `LazyRoute::data`: that would be a part of the first page's download.

#![expect(unreachable_pub, reason = "#[component] makes a second function of the same visibility, which nobody exports")]

mod access;
mod access_forms;
mod analysis;
mod analysis_actions;
mod analysis_decisions;
mod analysis_keys;
mod analysis_log;
mod analysis_new;
mod analysis_queue;
mod analysis_review;
mod analysis_reviewing;
mod analysis_run;
mod current;
mod dead_letters;
mod execution;
mod history;
mod history_list;
mod history_panel;
mod knowledge;
mod knowledge_topic;
mod live_series;
mod load;
mod loaded_execution;
mod not_found;
mod overview;
mod problem;
mod proposal;
mod redaction;
mod task_type;
mod tasks;
mod workers;

pub use access::AccessPage;
pub use analysis::AnalysisPage;
pub use analysis_run::RunPage;
pub use execution::ExecutionPage;
pub use history::History;
pub use knowledge::KnowledgePage;
pub use knowledge_topic::TopicPage;
pub use loaded_execution::LoadedExecution;
pub use not_found::NotFound;
pub use overview::Overview;
pub use problem::{DatabaseBanner, Problem};
pub use proposal::ProposalPage;
pub use redaction::RedactionPage;
pub use task_type::TaskTypePage;
pub use tasks::TasksPage;
pub use workers::WorkersPage;

/// The name of the dashboard: the title of the Overview, and the end of every other title.
pub const TITLE: &str = "Background Task Monitoring";
