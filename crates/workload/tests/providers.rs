use serde_json::{Value, json};
use taskscope_workload::{
    Service, ServiceError,
    providers::{self, NewProvider, Provider, ProviderChange},
};
use uuid::Uuid;

use crate::support::{
    Llm, Setting,
    llm::{MODEL, Request},
    read,
};

const KEY: &str = "sk-s3cret-0123456789";

fn service(setting: &Setting, secret: Option<&str>) -> Service {
    Service::new(setting.pool.clone(), read(json!({"llm": {"secret_key": secret}}))).unwrap()
}

fn new(value: Value) -> NewProvider {
    serde_json::from_value(value).unwrap()
}

fn change(value: Value) -> ProviderChange {
    serde_json::from_value(value).unwrap()
}

fn sentence<T: std::fmt::Debug>(result: Result<T, ServiceError>) -> String {
    match result.unwrap_err() {
        ServiceError::Invalid(sentence) => sentence,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_provider_is_checked_when_it_is_made_and_changed() {
    let (setting, llm) = (Setting::new().await, Llm::serve().await);
    llm.require_key(KEY);
    let service = service(&setting, Some("a secret of this test"));
    let openai = new(json!({"name": " OpenAI ", "type": "openai", "base_url": llm.url, "api_key": KEY}));
    let openai = providers::create(&service, openai).await.unwrap();
    assert_eq!((openai.name.as_str(), openai.base_url.clone()), ("OpenAI", Some(format!("{}/v1", llm.url))));
    assert_eq!((openai.validation_status.as_str(), openai.has_api_key, openai.is_active), ("connected", true, true));
    assert_eq!(openai.models, ["text-embedding-3-small", MODEL]);
    let ollama = new(json!({"name": "Ollama", "type": "ollama", "base_url": format!("{}/v1/", llm.url), "is_active": false}));
    let ollama = providers::create(&service, ollama).await.unwrap();
    assert_eq!((ollama.base_url.as_deref(), ollama.is_active), (Some(llm.url.as_str()), false));
    assert_eq!((ollama.validation_status.as_str(), ollama.models.len()), ("connected", 2));
    let asked: Vec<Request> = llm.taken();
    assert_eq!((asked[0].path, asked[1].path, asked[1].authorization.is_none()), ("/v1/models", "/api/tags", true));

    // What can't be reached is kept with the reason, and the models that it had.
    let wrong = providers::change(&service, openai.id, change(json!({"api_key": "sk-wr0ng"}))).await.unwrap();
    assert_eq!(wrong.last_validation_error.as_deref(), Some("OpenAI answered 401: Incorrect API key provided: ***."));
    assert_eq!((wrong.validation_status.as_str(), wrong.models.len(), wrong.last_validated_at.is_some()), ("error", 2, true));
    let away = new(json!({"name": "Away", "type": "openai", "base_url": "http://127.0.0.1:9"}));
    let away = providers::create(&service, away).await.unwrap();
    assert_eq!(away.validation_status, "error");
    assert!(away.last_validation_error.unwrap().starts_with("Away can't be reached: "));

    llm.be_silent(true);
    let slow = providers::check(&service, ollama.id).await.unwrap();
    assert_eq!(slow.validation_status, "connected");
    let slow = providers::check(&service, openai.id).await.unwrap();
    assert_eq!(slow.last_validation_error.as_deref(), Some("OpenAI can't be reached: no answer within 5 s"));
    llm.be_silent(false);

    let mended = providers::change(&service, openai.id, change(json!({"api_key": KEY, "name": "GPT"}))).await.unwrap();
    assert_eq!(
        (mended.validation_status.as_str(), mended.name.as_str(), mended.last_validation_error),
        ("connected", "GPT", None)
    );
    let names: Vec<_> = providers::list(&service).await.unwrap().into_iter().map(|provider| provider.name).collect();
    assert_eq!(names, ["Away", "GPT", "Keyword rules (built in)", "Ollama"]);
}

#[tokio::test]
async fn keys_are_sealed_and_never_shown() {
    let (setting, llm) = (Setting::new().await, Llm::serve().await);
    llm.require_key(KEY);
    let service_with = service(&setting, Some("a secret of this test"));
    let body = new(json!({"name": "OpenAI", "type": "openai", "base_url": llm.url, "api_key": KEY}));
    assert!(!format!("{body:?}").contains("s3cret"));
    let made = providers::create(&service_with, body).await.unwrap();
    let shown = format!("{made:?} {} {service_with:?}", serde_json::to_string(&made).unwrap());
    assert!(!shown.contains("s3cret") && !shown.contains("secret of this test"), "{shown}");
    let row: (Vec<u8>, Option<String>, String) =
        sqlx::query_as("select api_key_sealed, api_key_env, providers::text from providers where id = $1")
            .bind(made.id)
            .fetch_one(&setting.pool)
            .await
            .unwrap();
    assert!(!row.0.windows(6).any(|bytes| bytes == b"s3cret") && row.1.is_none() && !row.2.contains("s3cret"));

    // With another secret, or on the row of another provider, it does not open.
    for secret in [None, Some("another secret of it")] {
        let checked = providers::check(&service(&setting, secret), made.id).await.unwrap();
        assert_eq!(checked.validation_status, "error");
        let error = checked.last_validation_error.unwrap();
        assert!(error.starts_with("the key of OpenAI can't be decrypted") && error.contains("TASKSCOPE_SECRET_KEY"), "{error}");
    }
    let other = new(json!({"name": "Other", "type": "openai", "base_url": llm.url}));
    let other = providers::create(&service_with, other).await.unwrap();
    sqlx::query("update providers set api_key_sealed = $2 where id = $1")
        .bind(other.id)
        .bind(row.0)
        .execute(&setting.pool)
        .await
        .unwrap();
    let other = providers::check(&service_with, other.id).await.unwrap();
    assert!(other.last_validation_error.unwrap().contains("can't be decrypted"));

    // The key was meant for the place that it was given for.
    for moved in [json!({"base_url": "http://127.0.0.1:9/v1"}), json!({"type": "ollama"})] {
        let refused = sentence(providers::change(&service_with, made.id, change(moved)).await);
        assert!(refused.starts_with("api_key must be given again"), "{refused}");
    }
    let moved = change(json!({"base_url": "http://127.0.0.1:9/v1", "api_key": ""}));
    let moved = providers::change(&service_with, made.id, moved).await.unwrap();
    assert_eq!((moved.has_api_key, moved.models), (false, Vec::<String>::new()));
    // An address that is written differently is the same place.
    let same = change(json!({"base_url": format!("{}/", llm.url), "api_key": KEY}));
    providers::change(&service_with, made.id, same).await.unwrap();
    let renamed = change(json!({"base_url": llm.url, "name": "Renamed"}));
    assert_eq!(providers::change(&service_with, made.id, renamed).await.unwrap().validation_status, "connected");
}

#[tokio::test]
async fn keys_of_the_environment_are_named() {
    let setting = Setting::new().await;
    let service = service(&setting, None);
    let named = |name: &str| new(json!({"name": "x", "type": "openai", "base_url": "http://127.0.0.1:9", "api_key": name}));
    assert!(
        sentence(providers::create(&service, named("env:DATABASE_URL")).await).starts_with("api_key may name only variables")
    );
    assert!(sentence(providers::create(&service, named("sk-1")).await).starts_with("api_key can't be stored"));
    let made = providers::create(&service, named("env:TASKSCOPE_LLM_KEY_THAT_NO_TEST_SETS")).await.unwrap();
    assert!(made.has_api_key);
    assert_eq!(
        made.last_validation_error.as_deref(),
        Some(
            "the key of x is not there: set TASKSCOPE_LLM_KEY_THAT_NO_TEST_SETS in the environment of the server and its workers"
        )
    );
}

/// The environment of a process that runs can't be changed safely, so the body runs in one of its own.
#[tokio::test]
async fn a_key_of_the_environment_is_sent_only_where_it_is_meant_for() {
    let (llm, other) = (Llm::serve().await, Llm::serve().await);
    llm.require_key(KEY);
    let mut program = tokio::process::Command::new(std::env::current_exe().unwrap());
    program.args(["--exact", "providers::with_a_key_in_the_environment", "--ignored"]).env("OTHER_URL", &other.url);
    program.env("TASKSCOPE_LLM_KEY_TEST", format!("{KEY}\n")).env("TASKSCOPE_LLM_KEY_TEST_URL", &llm.url);
    let output = program.output().await.unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
    assert_eq!(other.requests(), 0);
}

#[tokio::test]
#[ignore = "the body of a_key_of_the_environment_is_sent_only_where_it_is_meant_for"]
async fn with_a_key_in_the_environment() {
    let setting = Setting::new().await;
    let create = async |name: &str, url: &str| {
        let url = std::env::var(url).unwrap();
        let new = new(json!({"name": name, "type": "openai", "base_url": url, "api_key": "env:TASKSCOPE_LLM_KEY_TEST"}));
        providers::create(&service(&setting, None), new).await.unwrap()
    };
    let made = create("x", "TASKSCOPE_LLM_KEY_TEST_URL").await;
    assert_eq!((made.validation_status.as_str(), made.has_api_key), ("connected", true), "{made:?}");
    assert_eq!(setting.number("select count(*) from providers where api_key_env = 'TASKSCOPE_LLM_KEY_TEST'").await, 1);
    let elsewhere = create("y", "OTHER_URL").await.last_validation_error.unwrap();
    assert!(elsewhere.contains("set TASKSCOPE_LLM_KEY_TEST_URL"), "{elsewhere}");
}

#[tokio::test]
async fn wrong_fields_are_sentences() {
    let setting = Setting::new().await;
    let service = service(&setting, None);
    for (body, begins) in [
        (json!({"name": " ", "type": "keyword"}), "name must be 1 to 200 characters"),
        (json!({"name": "x".repeat(201), "type": "keyword"}), "name must be 1 to 200 characters"),
        (json!({"name": "x", "type": "keyword", "base_url": "http://a"}), "base_url must not be given for a keyword provider"),
        (json!({"name": "x", "type": "keyword", "api_key": "k"}), "api_key must not be given for a keyword provider"),
        (json!({"name": "x", "type": "openai", "base_url": "file:///etc"}), "base_url must begin with http:// or https://"),
        (json!({"name": "x", "type": "ollama", "base_url": "http://a:b@c"}), "base_url must not hold a name or a password"),
    ] {
        let refused = sentence(providers::create(&service, new(body.clone())).await);
        assert!(refused.starts_with(begins), "{body}: {refused}");
    }
    for body in
        [json!({"name": "x", "type": "claude"}), json!({"name": "x", "type": "openai", "key": "k"}), json!({"type": "openai"})]
    {
        assert!(serde_json::from_value::<NewProvider>(body).is_err());
    }
    assert_eq!(setting.number("select count(*) from providers").await, 1);

    let keyword = providers::create(&service, new(json!({"name": "Rules", "type": "keyword"}))).await.unwrap();
    assert_eq!((keyword.validation_status.as_str(), keyword.models), ("connected", vec!["keyword-rules".to_owned()]));
    let twice = providers::create(&service, new(json!({"name": "Rules", "type": "keyword"}))).await.unwrap_err();
    assert!(
        matches!(&twice, ServiceError::Conflict(sentence) if sentence == "a provider of this name is there already"),
        "{twice:?}"
    );
    // The agent that comes with the program uses the first one.
    let built_in: Provider =
        providers::list(&service).await.unwrap().into_iter().find(|provider| provider.id != keyword.id).unwrap();
    let used = providers::delete(&service, built_in.id).await.unwrap_err();
    assert!(matches!(&used, ServiceError::Conflict(sentence) if sentence == "an agent uses this provider"), "{used:?}");
    providers::delete(&service, keyword.id).await.unwrap();
    for gone in [
        providers::delete(&service, keyword.id).await.unwrap_err(),
        providers::get(&service, keyword.id).await.unwrap_err(),
        providers::check(&service, Uuid::new_v4()).await.unwrap_err(),
        providers::change(&service, keyword.id, change(json!({"name": "x"}))).await.unwrap_err(),
    ] {
        assert!(matches!(&gone, ServiceError::NotFound(what) if what.starts_with("provider ")), "{gone:?}");
    }
}
