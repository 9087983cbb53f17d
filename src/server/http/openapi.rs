//! The description of the HTTP API, made from the handlers.

use taskscope_wire::{AnalysisEvent, LiveEvent, Progress, ProposalsCreated, ServerState};
use utoipa::OpenApi;

use super::{
    accounts, analysis, dead_letters, export, health, ingest, knowledge, messages, monitoring, redaction, setup, socket, tasks,
    telegram, workers,
};

#[derive(OpenApi)]
#[openapi(
    info(title = "Taskscope", description = "A real-time monitor for background tasks.", license(name = "MIT OR Apache-2.0")),
    paths(
        ingest::native, ingest::taskiq, monitoring::metrics, monitoring::series, monitoring::history, export::export, monitoring::execution, monitoring::events,
        workers::heartbeat, workers::workers, tasks::imports, tasks::list, tasks::trigger, telegram::webhook,
        setup::agent::list, setup::agent::create, setup::agent::show, setup::agent::change, setup::agent::delete, setup::task_config::list, setup::task_config::create, setup::task_config::show, setup::task_config::change, setup::task_config::delete, setup::project::list, setup::project::create, setup::project::show, setup::project::change, setup::project::delete,
        setup::provider::list, setup::provider::create, setup::provider::show, setup::provider::change, setup::provider::delete, setup::check_provider, setup::test_agent, setup::assign, setup::assignments, setup::change_assignment, setup::delete_assignment,
        messages::list, messages::insert, analysis::list, analysis::create, analysis::show, analysis::log, analysis::start,
        analysis::cancel, analysis::close, analysis::proposals, analysis::proposal, analysis::review, knowledge::topics,
        knowledge::topic, knowledge::atoms, knowledge::atom, knowledge::versions, knowledge::review,
        accounts::me, accounts::change_password, accounts::list, accounts::create, accounts::change, accounts::delete, accounts::tokens,
        accounts::create_token, accounts::revoke_token, accounts::audit,
        dead_letters::list, dead_letters::export, dead_letters::replay, redaction::show, redaction::change, redaction::preview,
        socket::watch, health::healthz, health::readyz, health::metrics,
    ),
    components(schemas(AnalysisEvent, LiveEvent, Progress, ProposalsCreated, ServerState)),
    tags(
        (name = "ingest", description = "For workers"),
        (name = "monitoring", description = "For people and programs that watch"),
        (name = "tasks", description = "The product's own tasks"),
        (name = "messages", description = "What the tasks work on"),
        (name = "setup", description = "What analysis runs are set up with"),
        (name = "analysis", description = "Runs that propose tasks, and their review"),
        (name = "knowledge", description = "What was learned from messages"),
        (name = "access", description = "Accounts, tokens, and what was done by whom"),
        (name = "operations", description = "For those who run it"),
    ),
)]
struct Api;

/// The OpenAPI 3.1 document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}
