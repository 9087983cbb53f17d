use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use taskscope_workload::pool_options;

use crate::support::Cluster;

/// Whether others see a write that comes after a `begin` that was cut off while it waited.
async fn is_seen(options: PgPoolOptions) -> bool {
    let url = Cluster::shared().await.new_database().await;
    let pool = options.max_connections(1).connect(&url).await.unwrap();
    let other = PgPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
    sqlx::query("create table writes ()").execute(&pool).await.unwrap();
    // It has begun when it is cut off, and the answer isn't there yet.
    let slow = pool.begin_with("begin; select pg_sleep(1)");
    tokio::time::timeout(Duration::from_millis(300), slow).await.expect_err("it is slow");
    sqlx::query("insert into writes default values").execute(&pool).await.unwrap();
    sqlx::query_scalar("select exists (select from writes)").fetch_one(&other).await.unwrap()
}

#[tokio::test]
async fn a_begin_that_was_cut_off_swallows_no_write() {
    assert!(is_seen(pool_options()).await);
}

#[tokio::test]
async fn without_the_question_the_write_is_swallowed() {
    // When this fails, sqlx has mended it, and the question can go.
    assert!(!is_seen(PgPoolOptions::new()).await);
}
