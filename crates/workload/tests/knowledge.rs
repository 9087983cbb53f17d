//! What is learned from messages, through the queue and a real worker.

use std::collections::BTreeSet;

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use taskscope_wire::{Atom, AtomKind, AtomQuery, AtomStatus, TopicQuery};
use taskscope_workload::{
    Service, ServiceError, knowledge,
    messages::{self, NewMessage},
    providers::{self, NewProvider},
};
use uuid::Uuid;

use crate::support::{
    Llm, Setting, error,
    llm::{MODEL, Reply, Request, shown},
    read, result, until,
};

async fn add(setting: &Setting, texts: &[&str]) -> Vec<i64> {
    let start = Utc::now() - TimeDelta::hours(1);
    let message = |(minutes, text): (i64, &&str)| NewMessage {
        author: format!("Author {}", minutes % 3),
        content: (*text).to_owned(),
        sent_at: start + TimeDelta::minutes(minutes),
        channel: Some("team".to_owned()),
        external_id: None,
    };
    let batch: Vec<_> = (0..).zip(texts).map(message).collect();
    messages::insert(&setting.pool, &batch).await.unwrap().into_iter().map(|message| message.id).collect()
}

async fn atoms(setting: &Setting, query: AtomQuery) -> Vec<Atom> {
    knowledge::atoms(&setting.pool, &query).await.unwrap().items
}

async fn queue_is_empty(setting: &Setting) {
    until("all tasks are done", async || setting.number("select count(*) from apalis.jobs where status <> 'Done'").await == 0)
        .await;
}

#[tokio::test]
async fn the_sample_chat_becomes_topics_and_atoms() {
    let setting = Setting::new().await;
    let worker = setting.worker(json!({}));
    result(&setting.run("ingest_telegram_messages_task", json!({"source": "sample"})).await);
    let first = result(&setting.run("scheduled_knowledge_extraction_task", json!({"limit": 200})).await);
    assert_eq!((&first["messages"], &first["remaining"]), (&json!(200), &json!(72)));
    let second = result(&setting.run("scheduled_knowledge_extraction_task", json!({})).await);
    assert_eq!((&second["messages"], &second["remaining"]), (&json!(72), &json!(0)));
    assert_eq!(result(&setting.run("scheduled_knowledge_extraction_task", json!({})).await)["messages"], 0);
    queue_is_empty(&setting).await;

    // What it reads like.
    let topics = knowledge::topics(&setting.pool, &TopicQuery::default()).await.unwrap();
    let names: BTreeSet<_> = topics.items.iter().map(|topic| topic.name.as_str()).collect();
    for name in ["HRB-412", "Import", "Alerts and monitoring", "Database", "Retries and queue", "Releases"] {
        assert!(names.contains(name), "{names:?}");
    }
    let find = async |text: &str| atoms(&setting, AtomQuery { q: Some(text.to_owned()), ..AtomQuery::default() }).await;
    let decision = &find("queue age, not on single timeouts").await[0];
    assert_eq!((decision.kind, decision.title.as_str()), (AtomKind::Decision, "We alert on queue age, not on single timeouts"));
    assert!(decision.confidence > 0.8 && decision.message_count == 1, "{decision:?}");
    let insight = &find("same file is imported twice").await[0];
    assert_eq!((insight.kind, insight.message_count), (AtomKind::Insight, 2));
    assert!(insight.content.contains("rows are found by their external id"), "{insight:?}");
    let whole = knowledge::atom(&setting.pool, insight.id).await.unwrap();
    assert!(whole.messages[0].content.starts_with("one question I could not answer") && whole.messages.len() == 2);
    let solved: String = sqlx::query_scalar(
        "select s.title || ' / ' || p.title from atom_links l join atoms s on s.id = l.from_id join atoms p on p.id = l.to_id
         where l.kind = 'solves' and p.title like 'An empty file%'",
    )
    .fetch_one(&setting.pool)
    .await
    .unwrap();
    assert!(solved.starts_with("Solved: An empty file crashes the new parser"), "{solved}");

    // What followed: embeddings of all, and summaries.
    assert_eq!(setting.number("select count(*) from messages where content ~ '\\S'").await, 272);
    assert_eq!(
        setting.number("select count(*) from embeddings where subject_type = 'message' and model = 'keyword-rules'").await,
        272
    );
    let all = setting.number("select count(*) from atoms").await;
    assert_eq!(setting.number("select count(*) from embeddings where subject_type = 'atom'").await, all);
    assert_eq!(setting.number("select count(*) from topics where summary is null or summarized_at is null").await, 0);
    assert_eq!(
        setting.number("select count(*) from atom_messages m right join atoms a on a.id = m.atom_id where m is null").await,
        0
    );
    let import = topics.items.iter().find(|topic| topic.name == "Import").unwrap();
    let import = knowledge::topic(&setting.pool, import.id).await.unwrap();
    assert!(import.summary.as_deref().unwrap().starts_with("Import: ") && import.messages > 20 && import.atoms > 5, "{import:?}");

    // The same once more finds nothing new.
    sqlx::query("update messages set extracted_at = null").execute(&setting.pool).await.unwrap();
    let again = [json!({"limit": 200}), json!({})];
    for params in again {
        let again = result(&setting.run("scheduled_knowledge_extraction_task", params).await);
        assert_eq!((&again["topics"], &again["atoms_created"], &again["atoms_changed"]), (&json!(0), &json!(0), &json!(0)));
    }
    assert_eq!(setting.number("select count(*) from atom_versions").await, all);

    // Some are sure enough for the clock, and some are not.
    let sure = setting.number("select count(*) from atoms where confidence >= 0.8").await;
    assert!(sure >= 5 && sure < all / 2, "{sure} of {all}");
    let approval = result(&setting.run("scheduled_auto_approval_task", json!({})).await);
    assert_eq!(approval, json!({"approved": sure, "pending": all - sure}));
    worker.stop().await;
}

#[tokio::test]
async fn messages_that_give_no_fitting_answer_hold_up_no_others() {
    let (setting, llm) = (Setting::new().await, Llm::serve().await);
    let provider = provider(&setting, &llm, "openai").await;
    let texts: Vec<String> = (0..60).map(|number| format!("the import fails, number {number}")).collect();
    let ids = add(&setting, &texts.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let poison = ids[50];
    llm.answer_with(move |body| {
        let ids: Vec<_> = shown(body).iter().map(|message| message["id"].as_i64().unwrap()).collect();
        if ids.contains(&poison) { "I can't do that".to_owned() } else { "{\"topics\": []}".to_owned() }
    });
    let worker = setting.worker(json!({}));
    let params = json!({"provider_id": provider});
    let outcome = result(&setting.run("scheduled_knowledge_extraction_task", params.clone()).await);
    assert_eq!((&outcome["messages"], &outcome["messages_unfit"], &outcome["remaining"]), (&json!(40), &json!(20), &json!(0)));

    // Where no answer is of use at all, somebody hears of it; the messages are passed over all the same.
    let forget = async |id: i64| {
        let forgotten = sqlx::query("update messages set extracted_at = null where id = $1").bind(id);
        forgotten.execute(&setting.pool).await.unwrap();
    };
    for (reply, sentence) in [
        (Reply::Say("I can't do that".to_owned()), "Test model gave an answer that does not fit: it is no JSON"),
        (Reply::Refuse(400, "too long".to_owned(), None), "Test model answered 400: too long"),
        (Reply::Refuse(413, "too large".to_owned(), None), "Test model answered 413: too large"),
    ] {
        forget(poison).await;
        llm.script([reply]);
        let end = setting.run("scheduled_knowledge_extraction_task", params.clone()).await;
        assert!(error(&end).starts_with(sentence), "{end:?}");
        assert_eq!(setting.number("select count(*) from messages where extracted_at is null").await, 0);
    }
    // What is no matter of the messages leaves them waiting.
    forget(poison).await;
    llm.script([Reply::Refuse(403, "no".to_owned(), None)]);
    assert_eq!(error(&setting.run("scheduled_knowledge_extraction_task", params).await), "Test model answered 403: no");
    assert_eq!(setting.number("select count(*) from messages where extracted_at is null").await, 1);

    // While one runs, another has nothing to do.
    let mut turn = setting.pool.begin().await.unwrap();
    sqlx::query("select pg_advisory_xact_lock(hashtext('taskscope.extraction'))").execute(&mut *turn).await.unwrap();
    let outcome = result(&setting.run("scheduled_knowledge_extraction_task", json!({})).await);
    assert_eq!((&outcome["messages"], &outcome["remaining"]), (&json!(0), &json!(1)));
    drop(turn);
    worker.stop().await;
}

#[tokio::test]
async fn a_message_that_is_edited_while_it_is_looked_through_is_looked_through_again() {
    let (setting, llm) = (Setting::new().await, Llm::serve().await);
    let provider = provider(&setting, &llm, "openai").await;
    let ids = add(&setting, &["the import fails", "the export fails"]).await;
    llm.answer_with(|_| "{\"topics\": []}".to_owned());
    let worker = setting.worker(json!({}));
    // The model is asked again after two seconds, and its answer is of use or not.
    for said in [None, Some("no JSON")] {
        sqlx::query("update messages set extracted_at = null").execute(&setting.pool).await.unwrap();
        llm.taken();
        llm.script([Reply::Refuse(503, "busy".to_owned(), Some("2".to_owned()))]);
        llm.script(said.into_iter().flat_map(|said| [Reply::Say(said.to_owned()), Reply::Say(said.to_owned())]));
        let task = setting.trigger("scheduled_knowledge_extraction_task", json!({"provider_id": provider})).await.task_id;
        let is_chat = |request: &Request| request.path == "/v1/chat/completions";
        until("the model is asked", async || llm.taken().iter().any(is_chat)).await;
        let edit = sqlx::query("update messages set content = content || '!', edited_at = now() where id = $1").bind(ids[1]);
        edit.execute(&setting.pool).await.unwrap();
        setting.end_of(&task).await;
        let waiting: Vec<i64> =
            sqlx::query_scalar("select id from messages where extracted_at is null").fetch_all(&setting.pool).await.unwrap();
        assert_eq!(waiting, [ids[1]]);
    }
    worker.stop().await;
}

#[tokio::test]
async fn an_empty_list_fails_with_a_traceback() {
    let setting = Setting::new().await;
    let worker = setting.worker(json!({}));
    // As Scenario 3 has it.
    let end = setting.run("extract_knowledge_from_messages_task", json!({"message_ids": [], "provider_id": "invalid"})).await;
    assert_eq!((end.attempt, error(&end)), (1, "No messages provided for extraction"));
    let traceback = end.error_traceback.unwrap();
    for place in ["src/tasks/extract_knowledge_from_messages.rs:", "src/knowledge/extraction.rs:"] {
        assert!(traceback.contains(place), "{traceback}");
    }
    let end = setting.run("extract_topic_and_atoms_task", json!({"message_ids": []})).await;
    assert_eq!((end.attempt, error(&end)), (1, "No messages provided for extraction"));
    let end = setting.run("extract_knowledge_from_messages_task", json!({"message_ids": [1], "provider_id": "invalid"})).await;
    assert_eq!((end.attempt, error(&end)), (1, "provider_id must be the id of a provider, not \"invalid\""));
    let end = setting.run("extract_knowledge_from_messages_task", json!({"message_ids": [404]})).await;
    assert_eq!((end.attempt, error(&end)), (1, "None of the messages to extract from is there"));
    let end = setting.run("generate_topic_summary_task", json!({"topic_id": Uuid::nil()})).await;
    assert_eq!((end.attempt, error(&end)), (1, format!("there is no topic {}", Uuid::nil()).as_str()));
    worker.stop().await;
}

#[tokio::test]
async fn params_are_checked_when_a_task_is_queued() {
    let setting = Setting::new().await;
    for (name, params, sentence) in [
        ("extract_knowledge_from_messages_task", json!({}), "missing field `message_ids`"),
        (
            "extract_knowledge_from_messages_task",
            json!({"message_ids": vec![1; 1001]}),
            "message_ids must have 1000 items or fewer, not 1001",
        ),
        ("extract_topic_and_atoms_task", json!({"message_ids": [1], "topic": " "}), "topic must have 1 to 200 characters"),
        ("embed_messages_batch_task", json!({"limit": 0}), "limit must be 1 to 100000, not 0"),
        ("embed_atoms_batch_task", json!({"atom_ids": [7]}), "atom_ids[0]: "),
        ("generate_topic_summary_task", json!({"topic_id": "x"}), "topic_id: "),
        ("scheduled_auto_approval_task", json!({"threshold": 1.5}), "threshold must be 0 to 1, not 1.5"),
        ("scheduled_knowledge_extraction_task", json!({"limit": 10_001}), "limit must be 1 to 10000, not 10001"),
    ] {
        let error = setting.queue.trigger(name, Some(params.into())).await.unwrap_err().to_string();
        assert!(error.contains(sentence), "{name}: {error}");
    }
}

#[tokio::test]
async fn what_an_atom_says_anew_is_a_new_version_that_waits_for_review() {
    let (setting, llm) = (Setting::new().await, Llm::serve().await);
    let provider = provider(&setting, &llm, "openai").await;
    let ids = add(&setting, &["the import fails", "use the new parser"]).await;
    let answer = |content: &str, sources: Value| {
        let atom = |title: &str, kind: &str, content: &str, sources: &Value, links: Value| json!({"kind": kind, "title": title, "content": content, "confidence": 0.9, "source_message_ids": sources, "links": links});
        let links = json!([{"kind": "solves", "to": "import FAILS"}, {"kind": "solves", "to": "nothing of that name"}]);
        let atoms = [
            atom("Import fails", "problem", content, &sources, json!([])),
            atom("New parser", "solution", "Use it.", &json!([ids[1]]), links),
            atom("Made up", "insight", "From nowhere.", &json!([987_654]), json!([])),
        ];
        Reply::Say(json!({"topics": [{"name": "Import", "message_ids": [ids[0], 987_654], "atoms": atoms}]}).to_string())
    };
    let worker = setting.worker(json!({}));
    let run = async |reply: Reply| {
        llm.script([reply]);
        let params = json!({"message_ids": ids, "provider_id": provider});
        result(&setting.run("extract_knowledge_from_messages_task", params).await)
    };
    // What came from no message is made up, and is left out; so are messages and titles that are not there.
    let first = run(answer("With Excel\u{0} files.", json!([ids[0], ids[0], 987_654]))).await;
    assert_eq!((&first["atoms_created"], &first["atoms_changed"]), (&json!(2), &json!(0)));
    assert_eq!(setting.number("select count(*) from atom_links").await, 1);
    let problem = atoms(&setting, AtomQuery { kind: Some(AtomKind::Problem), ..AtomQuery::default() }).await.remove(0);
    assert_eq!((problem.content.as_str(), problem.message_count, problem.version), ("With Excel files.", 1, 1));
    let topic = knowledge::topic(&setting.pool, problem.topic_id).await.unwrap();
    assert_eq!((topic.messages, topic.atoms, topic.atoms_approved), (2, 2, 0));

    let approved = knowledge::review_atom(&setting.pool, problem.id, AtomStatus::Approved).await.unwrap();
    assert_eq!((approved.status, approved.auto_approved), (AtomStatus::Approved, false));
    // The same changes nothing.
    let same = run(answer("With Excel files.", json!([ids[0]]))).await;
    assert_eq!((&same["atoms_created"], &same["atoms_changed"]), (&json!(0), &json!(0)));
    let kept = knowledge::atom(&setting.pool, problem.id).await.unwrap();
    assert_eq!((kept.status, kept.version), (AtomStatus::Approved, 1));

    let changed = run(answer("With files of Excel on a Mac.", json!([ids[1]]))).await;
    assert_eq!(changed["atoms_changed"], 1);
    let changed = knowledge::atom(&setting.pool, problem.id).await.unwrap();
    assert_eq!((changed.status, changed.version, changed.message_count), (AtomStatus::Pending, 2, 2));
    let versions = knowledge::atom_versions(&setting.pool, problem.id).await.unwrap();
    let versions: Vec<_> = versions.iter().map(|version| (version.version, version.content.as_str())).collect();
    assert_eq!(versions, [(2, "With files of Excel on a Mac."), (1, "With Excel files.")]);
    worker.stop().await;
}

#[tokio::test]
async fn the_clock_approves_what_is_sure_and_nobody_has_decided() {
    let setting = Setting::new().await;
    let worker = setting.worker(json!({}));
    let ids = add(
        &setting,
        &["decision: the database moves to version 18 on Friday", "bug: the import crashes with empty files, HRB-7"],
    )
    .await;
    result(&setting.run("extract_knowledge_from_messages_task", json!({"message_ids": ids})).await);
    let found = atoms(&setting, AtomQuery::default()).await;
    assert_eq!(found.len(), 2, "{found:?}");
    // What somebody took back is theirs to decide.
    let mine = knowledge::review_atom(&setting.pool, found[0].id, AtomStatus::Approved).await.unwrap();
    knowledge::review_atom(&setting.pool, mine.id, AtomStatus::Pending).await.unwrap();
    let end = setting.run("scheduled_auto_approval_task", json!({"threshold": 0.99})).await;
    assert_eq!(result(&end), json!({"approved": 0, "pending": 2}));
    let end = setting.run("scheduled_auto_approval_task", json!({})).await;
    assert_eq!(result(&end), json!({"approved": 1, "pending": 1}));
    let other = knowledge::atom(&setting.pool, found[1].id).await.unwrap();
    assert_eq!((other.status, other.auto_approved), (AtomStatus::Approved, true));
    let approved = atoms(&setting, AtomQuery { status: Some(AtomStatus::Approved), ..AtomQuery::default() }).await;
    assert_eq!(approved.len(), 1);
    let rejected = knowledge::review_atom(&setting.pool, other.id, AtomStatus::Rejected).await.unwrap();
    assert_eq!((rejected.status, rejected.auto_approved), (AtomStatus::Rejected, false));
    worker.stop().await;
}

#[tokio::test]
async fn one_topic_takes_all_its_messages_and_is_summed_up() {
    let (setting, llm) = (Setting::new().await, Llm::serve().await);
    let provider = provider(&setting, &llm, "ollama").await;
    let texts: Vec<String> = (0..45).map(|number| format!("the import fails, number {number}")).collect();
    let ids = add(&setting, &texts.iter().map(String::as_str).collect::<Vec<_>>()).await;
    llm.answer_with(|body| {
        let first = &shown(body)[0]["id"];
        let atom = json!({"kind": "problem", "title": format!("Failure {first}"), "content": "It fails.", "confidence": 0.7, "source_message_ids": [first]});
        json!({"name": format!("Topic of {first}"), "atoms": [atom]}).to_string()
    });
    let worker = setting.worker(json!({}));
    let end = setting.run("extract_topic_and_atoms_task", json!({"message_ids": ids, "provider_id": provider})).await;
    // Two batches, and one topic: the first batch gives the name.
    assert_eq!((&result(&end)["messages"], &result(&end)["atoms_created"]), (&json!(45), &json!(2)));
    let topics = knowledge::topics(&setting.pool, &TopicQuery::default()).await.unwrap().items;
    assert_eq!((topics.len(), topics[0].name.clone(), topics[0].messages), (1, format!("Topic of {}", ids[0]), 45));
    let named = json!({"message_ids": [ids[3]], "provider_id": provider, "topic": "Named"});
    assert_eq!(result(&setting.run("extract_topic_and_atoms_task", named).await)["atoms_created"], 1);

    llm.taken();
    llm.script([Reply::Say(" The import fails twice. \n".to_owned())]);
    let params = json!({"topic_id": topics[0].id, "provider_id": provider});
    assert_eq!(result(&setting.run("generate_topic_summary_task", params).await)["atoms"], 2);
    let request = llm.taken().remove(0).body;
    assert!(request.get("format").is_none(), "{request}");
    assert!(request["messages"][1]["content"].as_str().unwrap().contains("[problem] Failure "), "{request}");
    let topic = knowledge::topic(&setting.pool, topics[0].id).await.unwrap();
    assert_eq!(topic.summary.as_deref(), Some("The import fails twice."));
    worker.stop().await;
}

#[tokio::test]
async fn embeddings_are_made_once_and_anew_for_what_changed() {
    for kind in ["openai", "ollama"] {
        let (setting, llm) = (Setting::new().await, Llm::serve().await);
        let provider = provider(&setting, &llm, kind).await;
        let ids = add(&setting, &["one", "three", "a very long one", "x"]).await;
        let worker = setting.worker(json!({}));
        let embed = async |params: Value| {
            let mut params = params;
            params["provider_id"] = json!(provider);
            result(&setting.run("embed_messages_batch_task", params).await)
        };
        llm.refuse_to_embed("very long");
        let counts = |success, failed, skipped| json!({"success": success, "failed": failed, "skipped": skipped});
        // One that is refused costs no other; one that is not there is told.
        assert_eq!(embed(json!({"message_ids": [ids[0], ids[1], ids[2], 987_654]})).await, counts(2, 2, 0));
        assert_eq!(embed(json!({"message_ids": ids[..2]})).await, counts(0, 0, 2));
        assert_eq!(embed(json!({})).await, counts(1, 1, 0));
        let model: String = sqlx::query_scalar("select distinct model from embeddings").fetch_one(&setting.pool).await.unwrap();
        assert_eq!(model, if kind == "openai" { "text-embedding-3-small" } else { "nomic-embed-text" });
        let length = async |id: i64| {
            let vector: Vec<f32> = sqlx::query_scalar("select vector from embeddings where subject_id = $1")
                .bind(id.to_string())
                .fetch_one(&setting.pool)
                .await
                .unwrap();
            vector[0]
        };
        assert_eq!((length(ids[0]).await, length(ids[1]).await, length(ids[3]).await), (3.0, 5.0, 1.0));
        sqlx::query("update messages set content = 'seventeen' where id = $1").bind(ids[0]).execute(&setting.pool).await.unwrap();
        assert_eq!(embed(json!({"message_ids": ids[..2]})).await, counts(1, 0, 1));
        assert_eq!(length(ids[0]).await, 9.0);

        // A provider that has no model for it says so.
        sqlx::query("update providers set models = array[$1] where id = $2")
            .bind(MODEL)
            .bind(provider)
            .execute(&setting.pool)
            .await
            .unwrap();
        let end = setting.run("embed_messages_batch_task", json!({"provider_id": provider})).await;
        assert!(end.attempt == 1 && error(&end).contains("has no model for embeddings: set llm.embedding_models"), "{end:?}");
        worker.stop().await;
    }
}

#[tokio::test]
async fn lists_are_filtered_and_what_is_not_there_is_told() {
    let setting = Setting::new().await;
    let worker = setting.worker(json!({}));
    let ids = add(
        &setting,
        &["decision: the database moves to version 18 on Friday", "bug: the import crashes with empty files, HRB-7"],
    )
    .await;
    result(&setting.run("extract_knowledge_from_messages_task", json!({"message_ids": ids})).await);
    let topics = async |q: &str| {
        let query = TopicQuery { q: Some(q.to_owned()), ..TopicQuery::default() };
        knowledge::topics(&setting.pool, &query).await.unwrap().items.into_iter().map(|topic| topic.name).collect::<Vec<_>>()
    };
    assert_eq!((topics("hrb-7").await, topics("%").await.len(), topics("").await.len()), (vec!["HRB-7".to_owned()], 0, 2));
    let problems = atoms(&setting, AtomQuery { kind: Some(AtomKind::Problem), ..AtomQuery::default() }).await;
    assert_eq!((problems.len(), problems[0].topic_name.as_str(), problems[0].messages.len()), (1, "HRB-7", 0));
    let of_topic = atoms(&setting, AtomQuery { topic_id: Some(problems[0].topic_id), ..AtomQuery::default() }).await;
    assert_eq!((of_topic.len(), of_topic[0].messages[0].id), (1, ids[1]));
    let read = knowledge::messages(&setting.pool, &[ids[1], ids[0], 404]).await.unwrap();
    assert_eq!(read.iter().map(|message| message.id).collect::<Vec<_>>(), ids);

    let nobody = Uuid::nil();
    for gone in [
        knowledge::topic(&setting.pool, nobody).await.unwrap_err(),
        knowledge::atom(&setting.pool, nobody).await.unwrap_err(),
        knowledge::atom_versions(&setting.pool, nobody).await.unwrap_err(),
        knowledge::review_atom(&setting.pool, nobody, AtomStatus::Approved).await.unwrap_err(),
    ] {
        assert!(matches!(&gone, ServiceError::NotFound(what) if what.ends_with(&nobody.to_string())), "{gone:?}");
    }
    let nul = || Some("a\0".to_owned());
    for error in [
        knowledge::topics(&setting.pool, &TopicQuery { q: nul(), ..TopicQuery::default() }).await.unwrap_err(),
        knowledge::atoms(&setting.pool, &AtomQuery { q: nul(), ..AtomQuery::default() }).await.unwrap_err(),
    ] {
        assert!(matches!(&error, ServiceError::Invalid(text) if text == "q must be text without a NUL character"), "{error:?}");
    }
    let page = knowledge::atoms(&setting.pool, &AtomQuery { page: 0, ..AtomQuery::default() }).await.unwrap_err();
    assert!(page.to_string().starts_with("page must be 1 to "), "{page}");
    worker.stop().await;
}

async fn provider(setting: &Setting, llm: &Llm, kind: &str) -> Uuid {
    let service = Service::new(setting.pool.clone(), read(json!({}))).unwrap();
    let new = json!({"name": "Test model", "type": kind, "base_url": llm.url});
    providers::create(&service, serde_json::from_value::<NewProvider>(new).unwrap()).await.unwrap().id
}
