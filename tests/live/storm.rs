//! A thousand watchers that lose their server and come back at once.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use futures::future::join_all;

use crate::support::{Counts, PASSWORD, Statements, TestServer, Watcher};

/// Watchers that come back at once.
const FLEET: usize = 1000;
/// Messages that each of them has missed.
const MISSED: i64 = 20;
/// How long a server is looked at when everybody is back.
const LOOK: Duration = Duration::from_secs(2);
/// How much longer the same server is looked at without them, so that what it asks every second is asked no less often.
const LONGER: Duration = Duration::from_secs(1);
/// Statements that all of them may cost together.
const BAR: u64 = 10;

/// What was asked more often than it ever was without them.
fn more(with: &Counts, without: &[Counts]) -> Counts {
    let usual = |text: &String| without.iter().filter_map(|counts| counts.get(text)).max().copied().unwrap_or_default();
    with.iter().map(|(text, count)| (text.clone(), count.saturating_sub(usual(text)))).filter(|(_, more)| *more > 0).collect()
}

/// A server whose statements are counted, whose watchers are asked who they are.
async fn counted() -> (TestServer, Statements) {
    let mut statements = None;
    let server = TestServer::start_with(|settings| {
        let url = settings.database_url.clone().unwrap();
        let (before, directory) = url.split_once("?host=").unwrap();
        let counted = Statements::start(PathBuf::from(directory).join(".s.PGSQL.5432"));
        settings.database_url = Some(counted.url(before.rsplit('/').next().unwrap()));
        settings.login = Some("accounts".to_owned());
        settings.admin_password = Some(PASSWORD.to_owned());
        statements = Some(counted);
    })
    .await;
    (server, statements.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_watchers_that_come_back_at_once_cost_at_most_ten_queries() {
    let (mut server, statements) = counted().await;
    let cookie = server.log_in("admin", PASSWORD).await.unwrap();
    server
        .sql("insert into task_execution_logs (task_name, status) select 'storm', 'success' from generate_series(1, 150)")
        .await;
    server.executions(150).await;
    server.until("they are told", async || server.count("select last_seq from live_stream").await >= 150).await;
    let first = Watcher::connect_as(&server.base, "", Some(&cookie)).await;
    let last = first.hello["seq"].as_i64().unwrap();
    let place = first.place(last - MISSED);
    let uncounted = "select (select count(*) from rollup_deltas) + (select count(*) from rollup_dirty)";
    server.until("it is counted", async || server.count(uncounted).await == 0).await;
    statements.take();
    let began = Instant::now();
    server.restart_without_waiting().await;
    let come_back = async |number: usize| {
        let query = format!("{place}&batch={}", number % 2);
        let mut watcher = loop {
            // Before a server knows who may look, it says that they should come again.
            match Watcher::try_connect_as(&server.base, &query, Some(&cookie)).await {
                Some(watcher) => break watcher,
                None => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        };
        assert_eq!(watcher.hello["recovered"], true, "{}", watcher.hello);
        let mut seq = last - MISSED;
        while seq < last {
            let message = watcher.next_event().await;
            for message in message.as_array().cloned().unwrap_or_else(|| vec![message.clone()]) {
                if let Some(next) = message["seq"].as_i64() {
                    assert_eq!(next, seq + 1);
                    seq = next;
                }
            }
        }
        watcher
    };
    let fleet = join_all((0..FLEET).map(come_back)).await;
    tokio::time::sleep(LOOK).await;
    let with = statements.take();
    let took = began.elapsed();
    drop(fleet);
    let mut without = Vec::new();
    for _ in 0..2 {
        statements.take();
        let began = Instant::now();
        server.restart_without_waiting().await;
        tokio::time::sleep((took + LONGER).saturating_sub(began.elapsed())).await;
        without.push(statements.take());
    }
    let more = more(&with, &without);
    let count: u64 = more.values().sum();
    eprintln!("{FLEET} watchers came back within {:.1?}: {count} statements more", took - LOOK);
    assert!(count <= BAR, "{count} more: {more:#?}");
    assert!(with.values().sum::<u64>() > BAR, "nothing was counted");
}
