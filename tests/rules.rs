//! The import rules of ARCHITECTURE.md, read off the sources.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where a rule holds, what is forbidden there, and the rule.
const RULES: &[(&str, &[&str], &str)] = &[
    ("crates/wire/src", &["sqlx", "leptos", "tokio"], "wire is for clients and browsers too: no database, framework or runtime"),
    ("clients/rust/src", &["sqlx", "leptos", "taskscope::", "taskscope_workload"], "the client knows the wire only"),
    ("crates/workload/src", &["leptos", "axum", "taskscope::"], "the workload knows wire and client, never the server"),
    ("torture/src", &["taskscope::", "taskscope_workload", "taskscope_client"], "the judge knows the program from outside only"),
    ("fuzz/src", &["taskscope::", "sqlx", "leptos", "tokio"], "fuzz targets know wire, and pure parts of the rest by their path"),
    (
        "src/components",
        &["crate::pages", "crate::live", "crate::server_fns", "crate::server", "Resource"],
        "components are views of wire types and signals",
    ),
    ("src/pages", &["crate::server::", "sqlx"], "pages ask server functions, never the server"),
    (
        "src/live",
        &["crate::server::", "crate::pages", "crate::components", "sqlx"],
        "live state knows wire types and server functions only",
    ),
    ("src/server_fns", &["server::recorder", "server::hub", "server::http", "sqlx"], "a server function asks the store"),
    ("src/server/http", &["sqlx"], "handlers don't write SQL"),
    ("src/server/recorder", &["server::http", "super::http", "sqlx"], "the recorder knows store, hub, redact and wire"),
    ("src/server/redact", &["server::", "super::super", "sqlx", "tokio", "axum"], "redact is pure: it knows wire only"),
    (
        "src/server/store",
        &["server::http", "server::recorder", "server::hub", "super::http", "super::recorder", "super::hub"],
        "the store knows no other part of the server",
    ),
    (
        "src/server/access",
        &["sqlx", "server::http", "server::recorder", "server::hub", "super::http", "super::hub"],
        "access knows store and wire",
    ),
    ("src/server/watchdog.rs", &["sqlx", "server::http", "super::http"], "the watchdog knows recorder, store and hub"),
    ("src/server/nats", &["sqlx", "server::http", "super::http"], "NATS is a door like http: it knows recorder, store and hub"),
    ("src/server/notices.rs", &["server::", "super::", "sqlx"], "notices know nobody"),
    ("src/server/hub.rs", &["store", "sqlx", "server::http", "super::http"], "the hub knows wire only"),
];

#[test]
fn imports_keep_to_the_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut broken = Vec::new();
    for (place, forbidden, rule) in RULES {
        let files = sources(&root.join(place));
        assert!(!files.is_empty(), "{place} is gone: change the rule");
        for file in files {
            for (number, line) in uses(&fs::read_to_string(&file).unwrap()) {
                broken.extend(
                    forbidden
                        .iter()
                        .filter(|word| line.contains(**word))
                        .map(|word| format!("{}:{number} uses {word}: {rule}", file.strip_prefix(root).unwrap().display())),
                );
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Only the store writes SQL on the monitor's tables.
#[test]
fn nobody_else_writes_sql() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in sources(&root).into_iter().filter(|file| !file.starts_with(root.join("server/store"))) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains("task_execution_logs"), "{} writes SQL on the log", file.display());
    }
}

fn sources(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.flat_map(|entry| sources_of_entry(&entry.path())).collect();
    files.sort();
    files
}

fn sources_of_entry(path: &Path) -> Vec<PathBuf> {
    match path.is_dir() {
        true => sources(path),
        false if path.extension().is_some_and(|extension| extension == "rs") => vec![path.to_owned()],
        false => Vec::new(),
    }
}

/// The `use` declarations of a file, each as one line with its number.
fn uses(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if open.is_none() && (line.starts_with("use ") || line.starts_with("pub use ")) {
            open = Some((number, String::new()));
        }
        if let Some((_, declaration)) = &mut open {
            declaration.push_str(line);
            if line.ends_with(';') {
                found.extend(open.take());
            }
        }
    }
    found
}
