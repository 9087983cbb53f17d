//! Addresses within the dashboard. Encoding is done here and not by the router, because the router's differs between server
//! and browser.

use std::fmt::Write as _;

use taskscope_wire::{HistoryQuery, TaskStatus, search::Search};
use uuid::Uuid;

/// The Overview.
pub const OVERVIEW: &str = "/monitoring";
/// The Task History.
pub const HISTORY: &str = "/monitoring/history";
/// The workers and queues.
pub const WORKERS: &str = "/monitoring/workers";
/// What is redacted.
pub const REDACTION: &str = "/monitoring/redaction";
/// The task types of Taskscope's own worker.
pub const TASKS: &str = "/monitoring/tasks";
/// The analysis runs.
pub const ANALYSIS: &str = "/monitoring/analysis";
/// Accounts, tokens and the audit log.
pub const ACCESS: &str = "/monitoring/access";
/// Where people log in.
pub const LOGIN: &str = "/login";
/// Where they log out.
pub const LOGOUT: &str = "/logout";
/// The topics.
pub const KNOWLEDGE: &str = "/monitoring/knowledge";
/// The parameter of the analysis runs that opens the form for a new one.
pub const NEW: &str = "new";
/// The parameter that names how many hours back is looked.
pub const WINDOW: &str = "time_window";
/// The parameter that names the page of a list.
pub const PAGE: &str = "page";
/// The parameter that names what is searched for.
pub const SEARCH: &str = "q";
/// The parameter of the task types that names the one to run.
pub const RUN: &str = "run";
/// The parameter of the task types that names the execution whose params are taken.
pub const FROM: &str = "from";
/// The parameter of the history that names the execution whose details are open.
pub const EXECUTION: &str = "execution";

/// A page of the audit log, on the page of who may come in.
#[must_use]
pub fn access(page: i64) -> String {
    with_params(ACCESS, &[(PAGE, page.to_string())])
}

/// A page of history. The first one is always that of now.
#[must_use]
pub fn history(query: &HistoryQuery) -> String {
    with_params(HISTORY, &history_params(query))
}

/// A page of history with the details of an execution beside it.
#[must_use]
pub fn history_with(query: &HistoryQuery, execution: i64) -> String {
    let mut params = history_params(query);
    params.push((EXECUTION, execution.to_string()));
    with_params(HISTORY, &params)
}

/// The file with what a query of the history finds.
#[must_use]
pub fn history_export(query: &HistoryQuery) -> String {
    with_params("/api/v1/monitoring/history/export", &HistoryQuery { page: 1, cursor: None, ..query.clone() }.to_params())
}

fn history_params(query: &HistoryQuery) -> Vec<(&'static str, String)> {
    HistoryQuery { cursor: query.cursor.filter(|_| query.page > 1), ..query.clone() }.to_params()
}

/// The history of a task type, of one status or all.
#[must_use]
pub fn history_of(task_name: &str, status: Option<TaskStatus>) -> String {
    history(&HistoryQuery {
        task_name: vec![task_name.to_owned()],
        status: status.into_iter().collect(),
        ..HistoryQuery::default()
    })
}

/// The executions that stall, of one task type or all.
#[must_use]
pub fn stalled(task_name: Option<&str>) -> String {
    let task_name = task_name.map(str::to_owned).into_iter().collect();
    history(&HistoryQuery { task_name, stalled: true, ..HistoryQuery::default() })
}

/// What a worker ran and runs.
#[must_use]
pub fn history_by_worker(worker: &str) -> String {
    history(&HistoryQuery { worker: Some(worker.to_owned()), ..HistoryQuery::default() })
}

/// What a queue held and holds, of one status.
#[must_use]
pub fn history_of_queue(queue: &str, status: TaskStatus) -> String {
    let queue = Some(queue.to_owned()).filter(|queue| !queue.is_empty());
    history(&HistoryQuery { queue, status: vec![status], ..HistoryQuery::default() })
}

/// The page of a task type. Its name is any text; what a browser, the router or a proxy between could change in a path is written as `~` with two digits:
/// they take `%2F` for `/`, or decode once too often.
#[must_use]
pub fn task_type(task_name: &str) -> String {
    let mut address = format!("{TASKS}/");
    for (at, byte) in task_name.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b':' => address.push(byte.into()),
            b'.' if at > 0 => address.push('.'),
            byte if byte.is_ascii() => drop(write!(address, "~{byte:02X}")),
            byte => drop(write!(address, "%{byte:02X}")),
        }
    }
    address
}

/// The same over a window of so many hours.
#[must_use]
pub fn task_type_over(task_name: &str, hours: u32) -> String {
    with_params(&task_type(task_name), &[(WINDOW, hours.to_string())])
}

/// The task type whose page a path is.
#[must_use]
pub fn task_type_of(path: &str) -> Option<String> {
    let name = path.strip_prefix(TASKS)?.strip_prefix('/')?;
    // A path has no spaces that are written as `+`.
    let name = unescape(&unescape(name.as_bytes(), b'%'), b'~');
    Some(String::from_utf8_lossy(&name).into_owned())
}

/// The dialog that runs a task.
#[must_use]
pub fn run(task_name: &str) -> String {
    with_params(TASKS, &[(RUN, task_name.to_owned())])
}

/// The dialog that runs a task again, with the params of an execution.
#[must_use]
pub fn run_again(task_name: &str, execution: i64) -> String {
    with_params(TASKS, &[(RUN, task_name.to_owned()), (FROM, execution.to_string())])
}

/// All executions of one task.
#[must_use]
pub fn history_of_id(task_id: &str) -> String {
    history(&HistoryQuery { q: Some(Search::of_task_id(task_id).to_string()), ..HistoryQuery::default() })
}

/// The page of one execution.
#[must_use]
pub fn execution(id: i64) -> String {
    format!("/monitoring/executions/{id}")
}

/// The form for a new analysis run.
#[must_use]
pub fn new_run() -> String {
    format!("{ANALYSIS}?{NEW}")
}

/// A page of analysis runs.
#[must_use]
pub fn analysis(page: i64) -> String {
    paged(ANALYSIS, page)
}

/// An analysis run.
#[must_use]
pub fn analysis_run(id: Uuid) -> String {
    format!("{ANALYSIS}/{id}")
}

/// An analysis run with a page of its proposals.
#[must_use]
pub fn proposals(run: Uuid, page: i64) -> String {
    paged(&analysis_run(run), page)
}

/// The page of one proposal.
#[must_use]
pub fn proposal(id: Uuid) -> String {
    format!("/monitoring/proposals/{id}")
}

/// A page of the topics that a search finds.
#[must_use]
pub fn knowledge(search: &str, page: i64) -> String {
    let search = (!search.is_empty()).then(|| (SEARCH, search.to_owned()));
    let page = (page > 1).then(|| (PAGE, page.to_string()));
    with_params(KNOWLEDGE, &search.into_iter().chain(page).collect::<Vec<_>>())
}

/// A topic with a page of its atoms.
#[must_use]
pub fn topic(id: Uuid, page: i64) -> String {
    paged(&format!("{KNOWLEDGE}/{id}"), page)
}

fn paged(path: &str, page: i64) -> String {
    with_params(path, &(page > 1).then(|| (PAGE, page.to_string())).into_iter().collect::<Vec<_>>())
}

fn with_params(path: &str, params: &[(&str, String)]) -> String {
    let pairs: Vec<_> = params.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

fn encode(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b':') {
            out.push(byte.into());
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The parameters of the part of an address behind `?`.
#[must_use]
pub fn params(search: &str) -> Vec<(String, String)> {
    let pairs = search.trim_start_matches('?').split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(name, value)| (decode(name), decode(value))).collect()
}

/// The last value of a parameter that is not empty.
#[must_use]
pub fn param(search: &str, name: &str) -> Option<String> {
    params(search).into_iter().rfind(|(key, value)| key == name && !value.trim().is_empty()).map(|(_, value)| value)
}

/// Whether a parameter is there, with a value or without.
#[must_use]
pub fn has(search: &str, name: &str) -> bool {
    params(search).iter().any(|(key, _)| key == name)
}

fn decode(text: &str) -> String {
    let bytes: Vec<u8> = text.bytes().map(|byte| if byte == b'+' { b' ' } else { byte }).collect();
    String::from_utf8_lossy(&unescape(&bytes, b'%')).into_owned()
}

/// Puts the byte for each mark with two hexadecimal digits.
fn unescape(text: &[u8], mark: u8) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        let escaped = (byte == mark).then(|| tail.get(..2)).flatten().and_then(hex);
        bytes.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    bytes
}

fn hex(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let [high, low] = digits else { return None };
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_back_as_they_were_written() {
        let query = HistoryQuery {
            task_name: vec!["a&b=c d%41/ü+".to_owned()],
            status: vec![TaskStatus::Failed],
            page: 3,
            ..HistoryQuery::default()
        };
        let address = history_with(&query, 7);
        assert!(address.starts_with("/monitoring/history?task_name=a%26b%3Dc%20d%2541%2F%C3%BC%2B&status=failed&page=3"));
        let search = address.split_once('?').unwrap().1;
        let pairs = params(search);
        let read = HistoryQuery::from_params(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        assert_eq!(read, Ok(query));
        assert_eq!(param(search, EXECUTION).as_deref(), Some("7"));
    }

    #[test]
    fn plain_names_stay_readable() {
        assert_eq!(history_of("score_message_task", None), "/monitoring/history?task_name=score_message_task");
        assert_eq!(history(&HistoryQuery::default()), HISTORY);
    }

    #[test]
    fn lists_are_paged_and_the_first_page_has_no_number() {
        assert_eq!(analysis(1), ANALYSIS);
        assert_eq!(proposals(Uuid::nil(), 2), "/monitoring/analysis/00000000-0000-0000-0000-000000000000?page=2");
        assert_eq!(knowledge("a&b", 3), "/monitoring/knowledge?q=a%26b&page=3");
        assert_eq!(knowledge("", 1), KNOWLEDGE);
        assert!(has("?new", NEW) && has("new=", NEW) && !has("?newer=1", NEW));
    }

    #[test]
    fn any_name_of_a_task_type_is_read_back_from_its_path() {
        let names = [
            "score_message_task",
            "app.tasks:send",
            "a/b c",
            "..",
            ".",
            "100%",
            "%41",
            "~41",
            "a\\b\n",
            "Größe 任务",
            "a+b?c#d",
            "<b>",
        ];
        for name in names {
            let address = task_type(name);
            assert_eq!(task_type_of(&address).as_deref(), Some(name), "{address}");
            // As a browser shows it, and after a router that decodes it once too often.
            assert_eq!(task_type_of(&decode(&address)).as_deref(), Some(name), "{address}");
            assert!(!address[TASKS.len() + 1..].contains(['/', '?', '#', ' ', '+', '\\']), "{address}");
        }
        assert_eq!(task_type("app.tasks:send"), "/monitoring/tasks/app.tasks:send");
        assert_eq!(task_type_over("t", 6), "/monitoring/tasks/t?time_window=6");
        assert_eq!(task_type_of("/monitoring/tasks/a%2Fb").as_deref(), Some("a/b"), "written by hand");
        assert_eq!(task_type_of("/monitoring/history"), None);
    }

    #[test]
    fn forms_and_broken_escapes_are_understood() {
        assert_eq!(params("q=a+b&x&y=%zz%4"), [("q", "a b"), ("x", ""), ("y", "%zz%4")].map(|(n, v)| (n.into(), v.into())));
        assert_eq!(param("status=&status=failed&status=", "status").as_deref(), Some("failed"));
    }
}
