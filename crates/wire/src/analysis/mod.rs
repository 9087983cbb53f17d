//! Analysis runs: what they are asked for, how far they are, what they propose, and what became of that.

mod event;
mod proposal;
mod run;
mod words;

pub use event::{AnalysisEvent, AnalysisEventKind, AnalysisUpdate, Progress, ProposalsCreated};
pub use proposal::{MergeRequest, Proposal, ProposalQuery};
pub use run::{AccuracyMetrics, Assignment, NewRun, Project, Run, RunError, RunLogLine, RunQuery, RunStarted};
pub use words::{Category, Priority, ProposalStatus, Recommendation, Review, RunStatus, TriggerType};
