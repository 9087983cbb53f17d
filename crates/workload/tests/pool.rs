use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use sqlx::postgres::PgPoolOptions;
use taskscope_workload::pool_options;

use crate::support::Cluster;

/// Polls a future so often and drops it. Whether it was still at work.
async fn cut_off_after(polls: usize, work: impl Future) -> bool {
    let mut work = pin!(work);
    for _ in 0..polls {
        if let Poll::Ready(_) = work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return false;
        }
        // Whatever it waits for happens meanwhile.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    true
}

/// What of ten writes others see, of which each comes after a `begin` that was cut off a little later than before.
async fn seen_by_others(options: PgPoolOptions) -> i64 {
    let url = Cluster::shared().await.new_database().await;
    let pool = options.max_connections(1).connect(&url).await.unwrap();
    let other = PgPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
    sqlx::query("create table writes ()").execute(&pool).await.unwrap();
    let mut was_cut_off = false;
    for polls in 1..=10 {
        was_cut_off |= cut_off_after(polls, pool.begin()).await;
        sqlx::query("insert into writes default values").execute(&pool).await.unwrap();
    }
    assert!(was_cut_off, "a begin was dropped while it waited");
    sqlx::query_scalar("select count(*) from writes").fetch_one(&other).await.unwrap()
}

#[tokio::test]
async fn a_begin_that_was_cut_off_swallows_no_write() {
    assert_eq!(seen_by_others(pool_options()).await, 10);
}

#[tokio::test]
async fn without_the_question_writes_are_swallowed() {
    // When this fails, sqlx has mended it, and the question can go.
    assert!(seen_by_others(PgPoolOptions::new()).await < 10);
}
