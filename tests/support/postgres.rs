//! One Postgres for the run: the product's own embedded one.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{Connection, PgConnection};
use taskscope::server::embedded_pg::EmbeddedPostgres;
use tokio::sync::OnceCell;

/// The URL of a database that nobody else uses.
pub async fn new_database() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let socket = cluster().await;
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let mut connection = PgConnection::connect(&url(socket, "postgres")).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(format!("create database {name}"))).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    url(socket, &name)
}

fn url(socket: &str, database: &str) -> String {
    format!("postgres://postgres@localhost/{database}?host={socket}")
}

/// The directory of the socket. The server ends with this process; its files are cleared away by the next run.
async fn cluster() -> &'static str {
    static CLUSTER: OnceCell<(EmbeddedPostgres, String)> = OnceCell::const_new();
    let start = async || {
        clear_leftovers();
        let base = std::env::temp_dir().join(format!("taskscope-test-{}", std::process::id()));
        std::fs::create_dir_all(&base).unwrap();
        let cluster = EmbeddedPostgres::start(&base).await.unwrap();
        (cluster, base.join("run").to_str().unwrap().to_owned())
    };
    &CLUSTER.get_or_init(start).await.1
}

fn clear_leftovers() {
    for entry in std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.strip_prefix("taskscope-test-")) else { continue };
        if !std::path::Path::new("/proc").join(pid).exists() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
