use chrono::{DateTime, TimeDelta, Utc};
use taskscope_wire::MessageQuery;
use taskscope_workload::{
    ServiceError,
    messages::{self, NewMessage},
};

use crate::support::{Setting, until};

fn message(author: &str, content: &str, sent_at: DateTime<Utc>, external_id: Option<&str>) -> NewMessage {
    NewMessage {
        author: author.to_owned(),
        content: content.to_owned(),
        sent_at,
        channel: Some("team".to_owned()),
        external_id: external_id.map(str::to_owned),
    }
}

#[tokio::test]
async fn the_same_external_id_is_one_message() {
    let setting = Setting::new().await;
    let now = Utc::now();
    let batch =
        [message("Ira", "one", now, Some("x:1")), message("Ira", "two", now, None), message("Ira", "again", now, Some("x:1"))];
    let inserted = messages::insert(&setting.pool, &batch).await.unwrap();
    assert_eq!(inserted.iter().map(|message| message.created).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(inserted[0].id, inserted[2].id);
    let again = messages::insert(&setting.pool, &batch[..1]).await.unwrap();
    assert_eq!((again[0].id, again[0].created), (inserted[0].id, false));
    assert_eq!(messages::list(&setting.pool, &MessageQuery::default()).await.unwrap().total_count, 2);
}

#[tokio::test]
async fn a_message_that_another_writes_at_the_same_time_is_one_message() {
    let setting = Setting::new().await;
    let now = Utc::now();
    let mut other = setting.pool.begin().await.unwrap();
    let first: i64 = sqlx::query_scalar(
        "insert into messages (author, content, sent_at, external_id) values ('Ira', 'one', now(), 'x:1') returning id",
    )
    .fetch_one(&mut *other)
    .await
    .unwrap();
    let pool = setting.pool.clone();
    let post = tokio::spawn(async move {
        let batch = [
            message("Ira", "two", now, None),
            message("Ira", "one", now, Some("x:1")),
            message("Ira", "three", now, Some("x:0")),
        ];
        messages::insert(&pool, &batch).await
    });
    let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    until("the post waits for the other", async || setting.number(waiting).await == 1).await;
    other.commit().await.unwrap();
    let posted = post.await.unwrap().unwrap();
    assert_eq!(posted.iter().map(|message| message.created).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(posted[1].id, first);
    assert!(posted[0].id < posted[2].id, "numbers follow the order of the post");
}

/// Whatever their order, posts of the same messages don't wait for each other in a ring, and agree on what is new.
#[tokio::test]
async fn posts_of_the_same_messages_at_once_agree() {
    let setting = Setting::new().await;
    let now = Utc::now();
    let batch: Vec<_> = (0..500).map(|number| message("Ira", "same", now, Some(&format!("x:{number}")))).collect();
    let backwards: Vec<_> = batch.iter().rev().cloned().collect();
    let posts = (0..6).map(|number| messages::insert(&setting.pool, if number % 2 == 0 { &batch } else { &backwards }));
    let posts = futures::future::join_all(posts).await.into_iter().map(Result::unwrap).collect::<Vec<_>>();
    let created = posts.iter().flatten().filter(|message| message.created).count();
    assert_eq!((created, setting.number("select count(*) from messages").await), (500, 500));
    let ids = |post: usize| posts[post].iter().map(|message| message.id).collect::<Vec<_>>();
    assert_eq!(ids(0), ids(1).into_iter().rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn bad_messages_are_refused_whole_with_the_field() {
    let setting = Setting::new().await;
    let now = Utc::now();
    let long = "x".repeat(NewMessage::LONGEST_CONTENT + 1);
    for (bad, field) in [
        (message("", "text", now, None), "author"),
        (message("Ira", &long, now, None), "content"),
        (message("Ira", "a\0b", now, None), "content"),
        (message("Ira", "text", DateTime::<Utc>::MAX_UTC, None), "sent_at"),
    ] {
        let error = messages::insert(&setting.pool, &[message("Ira", "good", now, None), bad]).await.unwrap_err();
        assert!(
            matches!(&error, ServiceError::Invalid(sentence) if sentence.starts_with(&format!("messages[1].{field} "))),
            "{error}"
        );
    }
    assert_eq!(setting.number("select count(*) from messages").await, 0);
}

#[tokio::test]
async fn messages_are_found_by_time_and_text() {
    let setting = Setting::new().await;
    let start = Utc::now() - TimeDelta::hours(200);
    let batch: Vec<_> =
        (0..120).map(|n| message("Ira", &format!("number {n} at 100%"), start + TimeDelta::hours(n), None)).collect();
    messages::insert(&setting.pool, &batch).await.unwrap();
    let list = async |query: MessageQuery| messages::list(&setting.pool, &query).await;
    let page = list(MessageQuery { page: 3, ..MessageQuery::default() }).await.unwrap();
    assert_eq!((page.total_count, page.total_pages, page.items.len()), (120, 3, 20));
    assert_eq!(page.items[19].content, "number 0 at 100%");
    let window = MessageQuery {
        start_date: Some(start + TimeDelta::hours(10)),
        end_date: Some(start + TimeDelta::hours(12)),
        ..MessageQuery::default()
    };
    assert_eq!(
        list(window).await.unwrap().items.iter().map(|message| &*message.content).collect::<Vec<_>>(),
        ["number 11 at 100%", "number 10 at 100%"]
    );
    let search = |text: &str| MessageQuery { q: Some(text.to_owned()), ..MessageQuery::default() };
    for (text, count) in [("NUMBER 77", 1), ("ira", 120), ("100%", 120), ("1_0%", 0), ("nobody", 0)] {
        assert_eq!(list(search(text)).await.unwrap().total_count, count, "{text}");
    }
    let elsewhere = MessageQuery { channel: Some("other".to_owned()), ..MessageQuery::default() };
    assert_eq!((list(elsewhere).await.unwrap().total_pages), 0);
    for (query, sentence) in [
        (MessageQuery { page: 0, ..MessageQuery::default() }, "page must be 1 to 1000000000, not 0"),
        (MessageQuery { q: Some("\0".to_owned()), ..MessageQuery::default() }, "q must be text without a NUL character"),
        (
            MessageQuery { channel: Some("\0".to_owned()), ..MessageQuery::default() },
            "channel must be text without a NUL character",
        ),
        (
            MessageQuery { start_date: Some(DateTime::<Utc>::MIN_UTC), ..MessageQuery::default() },
            "start_date must be in the years 1 to 9999, not -262143",
        ),
        (
            MessageQuery { end_date: Some(DateTime::<Utc>::MAX_UTC), ..MessageQuery::default() },
            "end_date must be in the years 1 to 9999, not 262142",
        ),
        (MessageQuery { page_size: 51, ..MessageQuery::default() }, "page_size must be 1 to 50, not 51"),
    ] {
        assert_eq!(list(query).await.unwrap_err().to_string(), sentence);
    }
}
