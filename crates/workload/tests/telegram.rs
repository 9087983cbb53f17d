use std::{fmt::Write, path::Path};

use secrecy::SecretString;
use serde_json::{Value, json};
use taskscope_wire::NativeKind::TaskFailed;
use taskscope_workload::{
    TelegramConfig,
    telegram::{SavedUpdate, WebhookError, save_from_webhook},
};
use tempfile::TempDir;

use crate::support::{BotApi, Setting, error, result, until};

fn update(number: i64, text: &str) -> Value {
    json!({"update_id": 900 + number, "message": {
        "message_id": number, "date": 1_763_971_200 + number, "chat": {"id": -1_001_234_567, "type": "supergroup", "title": "Team"},
        "from": {"id": 7, "is_bot": false, "first_name": "Olena"}, "text": text
    }})
}

#[tokio::test]
async fn updates_are_read_page_by_page_and_never_twice() {
    let (setting, api) = (Setting::new().await, BotApi::serve().await);
    for number in 1..=250 {
        api.add(update(number, "hello"));
    }
    api.add(json!({"update_id": 1151, "message": {"message_id": 251, "date": 1, "chat": {"id": 5}, "new_chat_title": "x"}}));
    api.add(json!({"update_id": 1152, "message": {"no": "message"}}));
    let worker = setting.worker(json!({"telegram": api.config()}));
    let end = setting.run("ingest_telegram_messages_task", json!({})).await;
    assert_eq!(result(&end), json!({"done": 252, "added": 250, "updated": 0, "skipped": 2}));
    let offsets: Vec<_> = api.questions().iter().map(|question| question["offset"].as_i64().unwrap()).collect();
    assert_eq!(offsets, [0, 1001, 1101, 1153]);
    assert_eq!(api.waiting(), 0);

    let mut edited = update(7, "hello, edited");
    edited["update_id"] = 2000.into();
    edited["message"]["edit_date"] = 1_763_999_999.into();
    let edited = json!({"update_id": 2000, "edited_message": edited["message"]});
    api.add(edited);
    let end = setting.run("ingest_telegram_messages_task", json!({"limit": 1, "wait_seconds": 1})).await;
    assert_eq!(result(&end), json!({"done": 1, "added": 0, "updated": 1, "skipped": 0}));
    assert_eq!(
        api.questions()[4],
        json!({"offset": 1153, "limit": 1, "timeout": 1,
        "allowed_updates": ["message", "edited_message", "channel_post", "edited_channel_post"]})
    );
    let text: String = sqlx::query_scalar("select content from messages where external_id = 'telegram:-1001234567:7'")
        .fetch_one(&setting.pool)
        .await
        .unwrap();
    assert_eq!(text, "hello, edited");
    assert_eq!(
        setting
            .number("select count(*) from ingest_runs where finished_at is not null and done = added + updated + skipped")
            .await,
        2
    );
    worker.stop().await;
}

#[tokio::test]
async fn only_the_configured_chat_is_kept() {
    let (setting, api) = (Setting::new().await, BotApi::serve().await);
    api.add(update(1, "ours"));
    let mut other = update(2, "theirs");
    other["message"]["chat"]["id"] = 5.into();
    api.add(other);
    let mut telegram = api.config();
    telegram["chat_id"] = (-1_001_234_567).into();
    let worker = setting.worker(json!({"telegram": telegram}));
    let end = setting.run("ingest_telegram_messages_task", json!({"score_each": true})).await;
    assert_eq!(result(&end), json!({"done": 2, "added": 1, "updated": 0, "skipped": 1}));
    until("it is scored by a task of its own", async || {
        setting.number("select count(*) from messages where score is not null").await == 1
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn telegram_is_left_alone_for_as_long_as_it_asks() {
    let (setting, api) = (Setting::new().await, BotApi::serve().await);
    api.add(update(1, "hello"));
    api.refuse(429, "Too Many Requests: retry after 2", json!({"retry_after": 2}));
    let worker = setting.worker(json!({"telegram": api.config()}));
    let end = setting.run("ingest_telegram_messages_task", json!({})).await;
    assert_eq!((end.attempt, result(&end)["added"].as_i64()), (1, Some(1)));
    assert_eq!(api.too_early(), 0);
    worker.stop().await;
}

#[tokio::test]
async fn a_long_pause_is_left_to_the_queue() {
    let (setting, api) = (Setting::new().await, BotApi::serve().await);
    api.refuse(429, "Too Many Requests: retry after 3600", json!({"retry_after": 3600}));
    let worker = setting.worker(json!({"telegram": api.config(), "retry_pause_ms": 1}));
    let id = setting.trigger("ingest_telegram_messages_task", json!({})).await.task_id;
    setting.events.until("the attempt has failed", |events| events.iter().any(|event| event.kind == TaskFailed)).await;
    let due: Option<bool> = sqlx::query_scalar("select run_at > now() + interval '59 minutes' from apalis.jobs where id = $1")
        .bind(&id)
        .fetch_one(&setting.pool)
        .await
        .unwrap();
    assert_eq!(due, Some(true));
    worker.stop().await;
}

#[tokio::test]
async fn another_reader_is_waited_out_and_a_wrong_token_is_not() {
    let (setting, api) = (Setting::new().await, BotApi::serve().await);
    api.add(update(1, "hello"));
    api.refuse(409, "Conflict: terminated by other getUpdates request", json!({}));
    let worker = setting.worker(json!({"telegram": api.config(), "retry_pause_ms": 1}));
    let end = setting.run("ingest_telegram_messages_task", json!({})).await;
    assert_eq!((end.attempt, result(&end)["added"].as_i64()), (2, Some(1)));
    worker.stop().await;

    let wrong = setting.worker(json!({"telegram": {"base_url": api.url, "token": "123456:an0ther-s3cret"}}));
    let end = setting.run("ingest_telegram_messages_task", json!({})).await;
    assert_eq!((end.attempt, error(&end)), (1, "the Bot API of Telegram answered 401: Unauthorized"));
    wrong.stop().await;

    let away = setting
        .worker(json!({"telegram": {"base_url": "http://127.0.0.1:9", "token": "123456:an0ther-s3cret"}, "retry_pause_ms": 1}));
    let end = setting.run("ingest_telegram_messages_task", json!({})).await;
    assert_eq!(end.attempt, 5);
    assert!(error(&end).starts_with("the Bot API of Telegram can't be reached: "), "{end:?}");
    away.stop().await;
    let told = format!("{:?}", setting.events.all());
    assert!(!told.contains("s3cret"), "a token is told");
}

#[tokio::test]
async fn without_a_token_the_reason_is_told() {
    let setting = Setting::new().await;
    let worker = setting.worker(json!({}));
    let end = setting.run("ingest_telegram_messages_task", json!({})).await;
    assert_eq!(error(&end), "telegram.token is not set: without it the Bot API can't be read");
    worker.stop().await;
}

/// An export as Telegram Desktop writes it.
fn write_export(path: &Path, messages: usize) {
    let mut text =
        String::from("{\n \"name\": \"Team\",\n \"type\": \"private_supergroup\",\n \"id\": 1234567,\n \"messages\": [\n");
    for id in 1..=messages {
        let unixtime = 1_700_000_000 + id;
        let common = format!(r#""id": {id}, "date": "2023-11-14T22:13:20", "date_unixtime": "{unixtime}""#);
        let from = format!(r#""from": "Author {}", "from_id": "user{}""#, id % 40, id % 40);
        let message = match id % 10 {
            0 => format!(
                r#"{{{common}, "type": "service", "actor": "Olena", "actor_id": "user1", "action": "pin_message", "text": "", "text_entities": []}}"#
            ),
            1 => format!(
                r#"{{{common}, "type": "message", {from}, "reply_to_message_id": {}, "text": ["see ", {{"type": "link", "text": "https://example.org/{id}"}}, ""], "text_entities": []}}"#,
                id - 1
            ),
            2 => format!(
                r#"{{{common}, "type": "message", {from}, "photo": "photos/{id}.jpg", "width": 1, "height": 1, "text": "", "text_entities": []}}"#
            ),
            3 => format!(
                r#"{{{common}, "type": "message", {from}, "edited": "2023-11-14T22:13:21", "edited_unixtime": "{}", "forwarded_from": "Support", "text": "forwarded and edited", "text_entities": []}}"#,
                unixtime + 9
            ),
            _ => format!(
                r#"{{{common}, "type": "message", {from}, "text": "message number {id} about the release", "text_entities": [{{"type": "plain", "text": "x"}}]}}"#
            ),
        };
        let comma = if id == messages { "" } else { "," };
        writeln!(text, "  {message}{comma}").unwrap();
    }
    text.push_str(" ]\n}\n");
    std::fs::write(path, text).unwrap();
}

#[tokio::test]
async fn a_large_export_is_imported_twice_without_a_double() {
    let (setting, directory) = (Setting::new().await, TempDir::new().unwrap());
    let path = directory.path().join("result.json");
    write_export(&path, 10_500);
    let worker = setting.worker(json!({}));
    let first = setting.run("ingest_telegram_messages_task", json!({"source": "export", "path": path})).await;
    assert_eq!(result(&first), json!({"done": 10_500, "added": 9_450, "updated": 0, "skipped": 1_050}));
    let second = setting.run("ingest_telegram_messages_task", json!({"source": "export", "path": path})).await;
    assert_eq!(result(&second), json!({"done": 10_500, "added": 0, "updated": 0, "skipped": 1_050}));
    assert_eq!(setting.number("select count(*) from messages").await, 9_450);
    assert_eq!(
        setting.number("select count(*) from ingest_runs where done = total and total = 10500 and finished_at is not null").await,
        2
    );
    // The same chat by the Bot API has the same messages.
    assert_eq!(setting.number("select count(*) from messages where external_id = 'telegram:-1000001234567:11' and reply_to = 'telegram:-1000001234567:10'").await, 1);

    let scored = setting.run("score_unscored_messages_task", json!({"limit": 100_000})).await;
    assert_eq!(result(&scored), json!({"scored": 9_450, "remaining": 0}));
    worker.stop().await;
}

#[tokio::test]
async fn an_export_of_an_account_has_all_its_chats() {
    let (setting, directory) = (Setting::new().await, TempDir::new().unwrap());
    let path = directory.path().join("result.json");
    // Written by hand: the order of the fields is Telegram's.
    let chat = |kind: &str, id: i64, text: &str| {
        let message = json!({"id": 1, "type": "message", "date_unixtime": "1700000000", "from": "Ira", "text": text});
        format!(r#"{{"name": null, "type": "{kind}", "id": {id}, "messages": [{message}, {{"id": "not a message at all"}}]}}"#)
    };
    let chats = [chat("personal_chat", 5, "to one"), chat("private_group", 6, "to some"), chat("public_channel", 7, "to all")];
    let head = r#""about": "…", "personal_information": {"user_id": 1}, "contacts": {"list": [{"user_id": 2}]}"#;
    let export = format!(r#"{{{head}, "chats": {{"about": "…", "list": [{}]}}}}"#, chats.join(","));
    std::fs::write(&path, export).unwrap();
    let worker = setting.worker(json!({}));
    let end = setting.run("ingest_telegram_messages_task", json!({"source": "export", "path": path})).await;
    assert_eq!(result(&end), json!({"done": 6, "added": 3, "updated": 0, "skipped": 3}));
    let ids: Vec<String> =
        sqlx::query_scalar("select external_id from messages order by 1").fetch_all(&setting.pool).await.unwrap();
    assert_eq!(ids, ["telegram:-1000000000007:1", "telegram:-6:1", "telegram:5:1"]);
    worker.stop().await;
}

#[tokio::test]
async fn what_is_no_export_fails_with_its_name_and_the_place() {
    let (setting, directory) = (Setting::new().await, TempDir::new().unwrap());
    let path = |name: &str| directory.path().join(name);
    write_export(&path("cut.json"), 30);
    let whole = std::fs::read(path("cut.json")).unwrap();
    std::fs::write(path("cut.json"), &whole[..whole.len() - 200]).unwrap();
    std::fs::write(path("other.json"), r#"{"messages_of": "another program"}"#).unwrap();
    let worker = setting.worker(json!({"retry_pause_ms": 1}));
    for (name, sentence) in
        [("cut.json", "EOF while parsing"), ("other.json", "it has no list of messages"), ("missing.json", "No such file")]
    {
        let end = setting.run("ingest_telegram_messages_task", json!({"source": "export", "path": path(name)})).await;
        assert_eq!(end.attempt, 1);
        assert!(error(&end).contains(name) && error(&end).contains(sentence), "{}", error(&end));
    }
    worker.stop().await;

    let exports = directory.path().join("exports");
    std::fs::create_dir(&exports).unwrap();
    write_export(&exports.join("result.json"), 5);
    let confined = setting.worker(json!({"telegram": {"export_dir": exports}}));
    let outside = setting.run("ingest_telegram_messages_task", json!({"source": "export", "path": "../cut.json"})).await;
    assert!(error(&outside).starts_with("exports may be read from "), "{outside:?}");
    let inside = setting.run("ingest_telegram_messages_task", json!({"source": "export", "path": "result.json"})).await;
    assert_eq!(result(&inside)["added"], 5);
    confined.stop().await;
}

#[tokio::test]
async fn the_webhook_queues_what_telegram_sends() {
    let setting = Setting::new().await;
    let config = TelegramConfig { webhook_secret: Some(SecretString::from("wh-s3cret")), ..TelegramConfig::default() };
    let save = async |secret: Option<&str>, body: &Value| {
        save_from_webhook(&setting.queue, &config, secret, body.to_string().as_bytes()).await
    };
    let body = update(1, "the server is down, urgent");
    let closed = save_from_webhook(&setting.queue, &TelegramConfig::default(), Some(""), body.to_string().as_bytes()).await;
    assert!(matches!(closed, Err(WebhookError::Closed)));
    for wrong in [None, Some(""), Some("wh-s3cre"), Some("wh-s3cret ")] {
        assert!(matches!(save(wrong, &body).await, Err(WebhookError::Forbidden)), "{wrong:?}");
    }
    let right = Some("wh-s3cret");
    for nonsense in [json!({"no": "update"}), json!({"update_id": 1, "message": {"message_id": "x"}})] {
        assert!(matches!(save(right, &nonsense).await, Err(WebhookError::Invalid(_))), "{nonsense}");
    }
    assert_eq!(save(right, &json!({"update_id": 3, "my_chat_member": {}})).await.unwrap(), SavedUpdate::Ignored);
    let Ok(SavedUpdate::Queued(triggered)) = save(right, &body).await else { panic!("queued") };
    assert_eq!(save(right, &body).await.unwrap(), SavedUpdate::Known);

    let worker = setting.worker(json!({}));
    let end = setting.end_of(&triggered.task_id).await;
    assert!(result(&end)["added"]["message_id"].is_i64(), "{end:?}");
    until("it is scored by a task of its own", async || {
        setting.number("select count(*) from messages where score > 0.3").await == 1
    })
    .await;
    assert!(!format!("{:?}", setting.events.all()).contains("wh-s3cret"));
    worker.stop().await;
}
