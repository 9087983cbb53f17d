//! The description of the HTTP API, made from the handlers.

use taskscope_wire::{AnalysisEvent, LiveEvent, Progress, ProposalsCreated, Review, ServerState};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        ContentBuilder, Ref, Response, ResponseBuilder,
        path::{Operation, PathItem},
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

use super::{
    accounts, admit::COOKIE, analysis, dead_letters, export, health, ingest, knowledge, messages, monitoring, redaction, setup,
    socket, tasks, telegram, workers,
};

/// Paths that everybody may call, or that know their caller in a way of their own.
const OPEN: [&str; 2] = ["/healthz", "/api/v1/telegram/webhook"];

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
    components(schemas(AnalysisEvent, LiveEvent, Progress, ProposalsCreated, Review, ServerState)),
    modifiers(&OfAll),
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

/// What the doors and the extractors answer, and so every operation may.
struct OfAll;

impl Modify for OfAll {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let components = api.components.get_or_insert_default();
        let token = Http::new(HttpAuthScheme::Bearer);
        components.add_security_scheme("token", SecurityScheme::Http(token));
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(COOKIE))));
        components.add_security_scheme("reporter", SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("access-token"))));
        for (path, item) in &mut api.paths.paths {
            for operation in operations(item) {
                add_caller(path, operation);
                add_refusals(operation);
            }
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete].into_iter().flatten()
}

/// Who must be known: a reporter where a token is asked for, everybody else but for the open paths.
fn add_caller(path: &str, operation: &mut Operation) {
    if OPEN.contains(&path) {
        return;
    }
    let need = |name: &str| SecurityRequirement::new(name, Vec::<String>::new());
    let is_ingest = operation.tags.as_ref().is_some_and(|tags| tags.iter().any(|tag| tag == "ingest"));
    operation.security = Some(match is_ingest {
        true => vec![SecurityRequirement::default(), need("reporter")],
        false => vec![need("token"), need("session")],
    });
    add(operation, "401", "Who asks is not known");
    add(operation, "403", "Who asks may not do this");
    add(operation, "503", "The database is not reachable: come again after Retry-After");
}

/// What is said of parameters and bodies that can't be read.
fn add_refusals(operation: &mut Operation) {
    let has_body = operation.request_body.is_some();
    if has_body || operation.parameters.as_ref().is_some_and(|parameters| !parameters.is_empty()) {
        add(operation, "400", "A parameter or the body is wrong: the sentence names it");
    }
    if has_body {
        add(operation, "413", "The body is too large");
        add(operation, "415", "The body is of another type");
    }
}

/// Adds an answer, where the operation doesn't say more of it.
fn add(operation: &mut Operation, status: &str, description: &str) {
    let refusal = || -> Response {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).build();
        ResponseBuilder::new().description(description).content("application/json", content).build()
    };
    operation.responses.responses.entry(status.to_owned()).or_insert_with(|| refusal().into());
}
