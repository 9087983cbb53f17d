//! The types of every boundary of Taskscope, in the order in which data flows through it: events that workers
//! report, records that the store keeps, frames that browsers get live.
//!
//! Nothing here knows how data is stored, sent or drawn, so that clients, the server and the browser share it.

mod access;
mod analysis;
mod batch;
mod clean;
mod cursor;
mod dead_letter;
mod event;
mod heartbeat;
mod json;
mod knowledge;
mod live;
mod metrics;
mod native;
mod page;
mod query;
mod record;
mod redaction;
pub mod search;
mod series;
mod status;
mod task_types;
pub mod taskiq;
mod tasks;
pub mod time;
mod workers;

pub use access::{
    Account, AccountChange, AuditEntry, AuditQuery, CreatedToken, Me, NewAccount, NewToken, PasswordChange, Role, Secret, Token,
    TokenKind,
};
pub use analysis::{
    AccuracyMetrics, AnalysisEvent, AnalysisEventKind, AnalysisUpdate, Assignment, Category, MergeRequest, NewRun, Priority,
    Progress, Project, Proposal, ProposalQuery, ProposalStatus, ProposalsCreated, Recommendation, Review, Run, RunError,
    RunLogLine, RunQuery, RunStarted, RunStatus, TriggerType,
};
pub use batch::{BatchError, BatchEvent, BatchForm, LARGEST_BATCH, clean_batch, decode_batch};
pub use clean::{MAX_DEPTH, clean};
pub use cursor::{Cursor, ParseCursorError};
pub use dead_letter::{DeadLetter, DeadLetterQuery, Replayed};
pub use event::{Attribution, EventKind, Finish, Source, TaskEvent, limits};
pub use heartbeat::Heartbeat;
pub use json::Json;
pub use knowledge::{Atom, AtomKind, AtomQuery, AtomStatus, AtomVersion, Message, MessageQuery, Topic, TopicQuery};
pub use live::{LiveData, LiveEvent, LiveMessage, Position, Previous, ServerState, WatchQuery};
pub use metrics::{Metrics, TaskMetrics, TrendPoint, time_window};
pub use native::{BatchItem, BatchOutcome, NativeEvent, NativeKind, Numbering};
pub use page::{Page, check_page};
pub use query::{HistoryQuery, InvalidQuery, check_text, page_size};
pub use record::{AttemptSummary, ErrorBody, Execution, HistoryPage, MissedEvents};
pub use redaction::{FoundSecret, Redaction, RedactionDefaults, RedactionPreview, RedactionRules};
pub use series::{HourCounts, Quantiles, Series, SeriesStep, TimesStep, series_step};
pub use status::{ParseStatusError, TaskStatus};
pub use task_types::{REGISTERED_TASK_TYPES, UNKNOWN_TASK_NAME};
pub use tasks::{Import, TaskType, TriggerRequest, Triggered};
pub use workers::{QueueState, RunningTask, StallReason, WorkerHealth, WorkerState, Workers};
