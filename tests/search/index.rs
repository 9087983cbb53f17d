use chrono::{TimeDelta, Utc};
use sqlx::{Connection, PgConnection, PgPool, postgres::PgConnectOptions};
use taskscope::server::store::Store;
use taskscope_wire::HistoryQuery;

use crate::support::{new_database, until};

/// A database with partitions of today and two days before, and its URL.
async fn database() -> (Store, PgPool, String) {
    let url = new_database().await;
    let store = Store::new(url.parse::<PgConnectOptions>().unwrap());
    store.migrate().await.unwrap();
    let now = Utc::now();
    store.ensure_partitions(&[now, now - TimeDelta::days(2)].map(|at| at.date_naive()).into()).await.unwrap();
    (store, PgPool::connect(&url).await.unwrap(), url)
}

async fn index_all(store: &Store) -> Vec<String> {
    let mut indexed = Vec::new();
    while let Some(partition) = store.index_closed_day(Utc::now()).await.unwrap() {
        indexed.push(partition);
    }
    indexed
}

fn partition(days_ago: i64) -> String {
    format!("task_execution_logs_{}", (Utc::now() - TimeDelta::days(days_ago)).format("%Y%m%d"))
}

async fn indexes(pool: &PgPool, valid: bool) -> Vec<String> {
    sqlx::query_scalar(
        "select c.relname::text from pg_index x join pg_class c on c.oid = x.indexrelid
         where c.relname like '%\\_task\\_text' and x.indisvalid = $1 order by 1",
    )
    .bind(valid)
    .fetch_all(pool)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn days_that_are_over_get_their_index_and_searches_use_it() {
    let (store, pool, _) = database().await;
    let fill = format!(
        "insert into task_execution_logs (task_id, task_name, status, params, error_message, created_at)
             select md5(i::text), 't', case when i % 30 = 0 then 'failed' else 'success' end, jsonb_build_object('n', md5((-i)::text)),
                 case when i % 30 = 0 then 'no ' || md5('error ' || i) end, now() - interval '2 days'
             from generate_series(1, 30000) i;
         analyze {}",
        partition(2)
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(fill)).execute(&pool).await.unwrap();
    assert_eq!(index_all(&store).await, [partition(1), partition(2), "task_execution_logs_default".to_owned()]);
    assert!(!indexes(&pool, true).await.contains(&format!("{}_task_text", partition(0))), "today's is for later");

    let needle = sqlx::query_scalar("select error_message from task_execution_logs where error_message is not null limit 1");
    let needle: String = needle.fetch_one(&pool).await.unwrap();
    let query = HistoryQuery { q: Some(needle.trim_start_matches("no ").to_owned()), ..HistoryQuery::default() };
    assert_eq!(store.history(&query).await.unwrap().total_count, 1);
    // Connections tell what they used when they close.
    store.close().await;
    until("both indexes were used", async || {
        let scans: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_user_indexes where relname = $1 and idx_scan > 0 and indexrelname ~ '(task_text|error_text|expr_idx)'",
        )
        .bind(partition(2))
        .fetch_one(&pool)
        .await
        .unwrap();
        scans == 2
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_was_cut_off_is_made_anew() {
    let (store, pool, url) = database().await;
    // Whoever wrote before an index and hasn't committed is waited for.
    let mut writer = PgConnection::connect(&url).await.unwrap();
    let insert = "begin; insert into task_execution_logs (task_name, created_at) values ('t', now() - interval '1 day')";
    sqlx::raw_sql(insert).execute(&mut writer).await.unwrap();
    let building = tokio::spawn({
        let store = store.clone();
        async move { store.index_closed_day(Utc::now()).await }
    });
    until("the index waits, and is ended", async || {
        let ended = sqlx::query_scalar::<_, bool>(
            "select pg_terminate_backend(pid) from pg_stat_activity
             where datname = current_database() and query like 'create index concurrently%' and wait_event_type = 'Lock'",
        );
        ended.fetch_optional(&pool).await.unwrap() == Some(true)
    })
    .await;
    assert!(building.await.unwrap().is_err());
    sqlx::raw_sql("commit").execute(&mut writer).await.unwrap();
    assert_eq!(indexes(&pool, false).await, [format!("{}_task_text", partition(1))], "half an index is left");

    assert_eq!(index_all(&store).await[0], partition(1));
    assert_eq!(indexes(&pool, false).await, [""; 0]);
    assert_eq!(indexes(&pool, true).await.len(), 3);
    assert_eq!(index_all(&store).await, [""; 0], "nothing is made twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_server_at_a_time_makes_indexes() {
    let (store, _, url) = database().await;
    let mut other = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("select pg_advisory_lock(hashtext('taskscope search index'))").execute(&mut other).await.unwrap();
    assert_eq!(store.index_closed_day(Utc::now()).await.unwrap(), None);
    other.close().await.unwrap();
    until("the lock is free again", async || store.index_closed_day(Utc::now()).await.unwrap().is_some()).await;
}
