//! What pages and other Rust programs ask the server: one file a noun. In the browser and with the `client` feature a call is
//! a request to `/api/fn/…`; in the server it is a function call.

/// Who sends the requests: another Rust program through reqwest, or the browser.
#[cfg(feature = "client")]
type Caller = token::TokenClient;
#[cfg(not(feature = "client"))]
type Caller = leptos::server_fn::client::browser::BrowserClient;

pub mod access;
pub mod analysis;
pub mod events;
pub mod executions;
pub mod knowledge;
pub mod metrics;
pub mod redaction;
pub mod search;
pub mod series;
pub mod tasks;
#[cfg(feature = "client")]
mod token;
pub mod workers;

pub use access::{
    ChangeAccount, ChangePassword, CreateAccount, CreateToken, DeleteAccount, GetAccounts, GetAudit, GetMe, GetTokens,
    RevokeToken, change_account, change_password, create_account, create_token, delete_account, get_accounts, get_audit, get_me,
    get_tokens, revoke_token,
};
pub use analysis::{
    CancelRun, CloseRun, CreateRun, GetAssignments, GetProjects, GetProposal, GetProposals, GetRun, GetRunLog, GetRuns,
    ReviewProposal, StartRun, cancel_run, close_run, create_run, get_assignments, get_projects, get_proposal, get_proposals,
    get_run, get_run_log, get_runs, review_proposal, start_run,
};
pub use events::{LatestEvents, latest_events};
pub use executions::{GetExecution, GetHistory, get_execution, get_history};
pub use knowledge::{
    GetAtoms, GetMessages, GetTopic, GetTopics, ReviewAtom, get_atoms, get_messages, get_topic, get_topics, review_atom,
};
pub use metrics::{GetMetrics, GetTaskNames, get_metrics, get_task_names};
pub use redaction::{ChangeRedaction, GetRedaction, PreviewRedaction, change_redaction, get_redaction, preview_redaction};
pub use search::{GetSearchWords, get_search_words};
pub use series::{GetHourCounts, GetSeries, get_hour_counts, get_series};
pub use tasks::{GetImports, GetTaskTypes, TriggerTask, get_imports, get_task_types, trigger_task};
#[cfg(feature = "client")]
pub use token::set_api_token;
pub use workers::{GetWorkers, ReplayDeadLetters, get_workers, replay_dead_letters};
