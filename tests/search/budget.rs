use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgPool, postgres::PgConnectOptions};
use taskscope::server::store::Store;
use taskscope_wire::{HistoryQuery, time};

use crate::support::new_database;

async fn store() -> (Store, PgPool) {
    let url = new_database().await;
    let store = Store::new(url.parse::<PgConnectOptions>().unwrap());
    store.migrate().await.unwrap();
    (store, PgPool::connect(&url).await.unwrap())
}

fn query(q: &str) -> HistoryQuery {
    HistoryQuery { q: Some(q.to_owned()), page_size: 5, ..HistoryQuery::default() }
}

fn at(text: &str) -> DateTime<Utc> {
    time::parse(text).unwrap()
}

/// One row an hour from 1 to 20 November; the message of one of them is slow to read.
async fn fill(pool: &PgPool) {
    sqlx::raw_sql(
        "insert into task_execution_logs (task_name, status, error_message, created_at)
             select 't', 'failed', case when hour = timestamptz '2026-11-20 03:00Z' then 'needle, slow' else 'needle' end, hour
             from generate_series(timestamptz '2026-11-01 00:00Z', timestamptz '2026-11-20 10:00Z', interval '1 hour') hour;
         drop index task_execution_logs_error_text;
         create or replace function taskscope_error_text(error_type text, message text, traceback text) returns text
             language plpgsql stable as $$
         begin
             if message = 'needle, slow' then
                 perform pg_sleep(60);
             end if;
             return message;
         end
         $$;",
    )
    .execute(pool)
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_whose_time_is_over_says_how_far_back_it_looked() {
    let (store, pool) = store().await;
    fill(&pool).await;
    let page = store.history_within(&query("needle"), Duration::from_secs(3)).await.unwrap();
    let back_to = page.searched_back_to.expect("one row takes longer than there is time");
    assert!(back_to > at("2026-11-20T03:00") && back_to <= at("2026-11-20T10:00"), "{back_to}");
    let after: i64 = sqlx::query_scalar("select count(*) from task_execution_logs where created_at >= $1")
        .bind(back_to)
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(page.total_count, after, "all that lies after it is counted");
    assert!(page.items.len() as i64 == after.min(5) && page.items.iter().all(|item| item.created_at >= back_to));
    // What lies before the slow row is found by looking further back.
    let further = HistoryQuery { end_date: Some(at("2026-11-20T02:59")), ..query("needle") };
    let page = store.history(&further).await.unwrap();
    assert_eq!((page.total_count, page.searched_back_to), (19 * 24 + 3, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_without_time_has_looked_nowhere() {
    let (store, pool) = store().await;
    fill(&pool).await;
    let page = store.history_within(&query("needle"), Duration::ZERO).await.unwrap();
    assert_eq!((page.total_count, page.total_pages, page.items.len()), (0, 0, 0));
    assert_eq!(page.searched_back_to, Some(at("2026-11-20T10:00:00.000001Z")));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_a_search_is_the_next_piece_of_one_list() {
    let (store, pool) = store().await;
    fill(&pool).await;
    sqlx::raw_sql("update task_execution_logs set error_message = 'needle' where error_message = 'needle, slow'")
        .execute(&pool)
        .await
        .unwrap();
    let all: Vec<i64> = sqlx::query_scalar("select id from task_execution_logs order by created_at desc, id desc")
        .fetch_all(&pool)
        .await
        .unwrap();
    let mut query = HistoryQuery { page_size: 50, ..query("needle") };
    let mut seen = Vec::new();
    loop {
        let page = store.history(&query).await.unwrap();
        assert_eq!((page.total_count, page.searched_back_to), (all.len() as i64, None));
        seen.extend(page.items.iter().map(|item| item.id));
        if i64::from(query.page) == page.total_pages {
            break;
        }
        query.page += 1;
    }
    assert_eq!(seen, all);
    let beyond = HistoryQuery { page: 100, ..query };
    assert!(store.history(&beyond).await.unwrap().items.is_empty());
}
