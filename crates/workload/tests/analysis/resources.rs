use serde_json::{Value, json};
use taskscope_workload::{
    Service, ServiceError, WorkloadConfig,
    analysis::{
        self, AssignmentChange, NewAssignment,
        agents::{self, AgentChange, NewAgent},
        projects::{self, NewProject, ProjectChange},
        task_configs::{self, NewTaskConfig, TaskConfigChange},
    },
};
use uuid::Uuid;

use super::{AGENT, ASSIGNMENT, PROVIDER, TASK_CONFIG, create};
use crate::support::Setting;

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn agent(changes: &Value) -> NewAgent {
    let mut body = json!({"name": "Reader", "provider_id": PROVIDER, "model_name": "m", "system_prompt": "You read."});
    body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    read(body)
}

fn schema() -> Value {
    json!({"type": "object", "properties": {"proposals": {"type": "array"}}})
}

fn sentence<T: std::fmt::Debug>(result: Result<T, ServiceError>) -> String {
    match result {
        Err(ServiceError::Invalid(sentence) | ServiceError::Conflict(sentence)) => sentence,
        other => panic!("{other:?}"),
    }
}

fn is_missing<T>(result: &Result<T, ServiceError>) -> bool {
    matches!(result, Err(ServiceError::NotFound(_)))
}

#[tokio::test]
async fn an_agent_is_made_changed_and_deleted() {
    let pool = Setting::new().await.pool;
    let made = agents::create(&pool, &agent(&json!({"name": " Reader "}))).await.unwrap();
    assert_eq!((made.name.as_str(), made.max_tokens, made.is_active), ("Reader", 4096, true));
    let change: AgentChange = read(json!({"name": "Writer", "temperature": 2.0, "is_active": false}));
    let changed = agents::change(&pool, made.id, &change).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.is_active), ("Writer", false));
    assert!((changed.temperature - 2.0).abs() < f64::EPSILON);
    assert_eq!((changed.system_prompt.as_str(), changed.model_name.as_str()), ("You read.", "m"));
    assert_eq!(agents::get(&pool, made.id).await.unwrap(), changed);
    let names: Vec<_> = agents::list(&pool).await.unwrap().into_iter().map(|agent| agent.name).collect();
    assert_eq!(names, ["Keyword rules", "Writer"]);
    agents::delete(&pool, made.id).await.unwrap();
    assert!(is_missing(&agents::get(&pool, made.id).await) && is_missing(&agents::delete(&pool, made.id).await));
    assert!(is_missing(&agents::change(&pool, made.id, &change).await));
}

#[tokio::test]
async fn a_wrong_agent_is_refused_with_the_field() {
    let pool = Setting::new().await.pool;
    let cases = [
        (json!({"name": " "}), "name must be 1 to 200 characters"),
        (json!({"name": "x".repeat(201)}), "name must be 1 to 200 characters"),
        (json!({"name": "a\u{0}b"}), "name must be 1 to 200 characters without a NUL"),
        (json!({"model_name": ""}), "model_name must be 1 to 200 characters"),
        (json!({"system_prompt": "\n"}), "system_prompt must be 1 to 100000 characters"),
        (json!({"temperature": 2.1}), "temperature must be 0 to 2, not 2.1"),
        (json!({"max_tokens": 0}), "max_tokens must be 1 to 200000, not 0"),
        (json!({"max_tokens": 200_001}), "max_tokens must be 1 to 200000, not 200001"),
        (json!({"provider_id": Uuid::nil()}), "provider_id must be the id of a provider that is there"),
        (json!({"name": "Keyword rules"}), "an agent of this name is there already"),
    ];
    for (changes, expected) in cases {
        let created = sentence(agents::create(&pool, &agent(&changes)).await);
        assert!(created.starts_with(expected), "{changes}: {created}");
        if changes["name"] != "Keyword rules" {
            let changed = sentence(agents::change(&pool, AGENT, &read(changes.clone())).await);
            assert!(changed.starts_with(expected), "{changes}: {changed}");
        }
    }
    assert_eq!(sentence(agents::delete(&pool, AGENT).await), "an assignment uses this agent");
    assert!(serde_json::from_value::<NewAgent>(json!({"name": "a", "prompt": "b"})).is_err());
}

#[tokio::test]
async fn a_task_config_is_made_changed_and_deleted() {
    let pool = Setting::new().await.pool;
    let new: NewTaskConfig = read(json!({"name": "Ideas", "response_schema": schema()}));
    let made = task_configs::create(&pool, &new).await.unwrap();
    let change: TaskConfigChange = read(json!({"description": "what to build"}));
    let changed = task_configs::change(&pool, made.id, &change).await.unwrap();
    assert_eq!((changed.description.as_str(), &changed.response_schema), ("what to build", &schema()));
    assert_eq!(task_configs::get(&pool, made.id).await.unwrap(), changed);
    assert_eq!(task_configs::list(&pool).await.unwrap().len(), 2);
    for wrong in [json!([]), json!({"type": 7}), json!({"type": "object"})] {
        let change = TaskConfigChange { response_schema: Some(wrong), ..TaskConfigChange::default() };
        assert!(sentence(task_configs::change(&pool, made.id, &change).await).starts_with("response_schema must "));
    }
    assert_eq!(sentence(task_configs::create(&pool, &new).await), "a task config of this name is there already");
    assert_eq!(sentence(task_configs::delete(&pool, TASK_CONFIG).await), "an assignment uses this task config");
    task_configs::delete(&pool, made.id).await.unwrap();
    assert!(is_missing(&task_configs::get(&pool, made.id).await));
}

#[tokio::test]
async fn a_project_is_made_changed_and_deleted() {
    let setting = Setting::new().await;
    let pool = &setting.pool;
    let new: NewProject = read(json!({"name": "Import", "keywords": [" import ", "parser"]}));
    let made = projects::create(pool, &new).await.unwrap();
    assert_eq!(made.keywords, ["import", "parser"]);
    for (keywords, expected) in
        [(json!([]), "keywords must be 1 to 200 words, not 0"), (json!(["a", " "]), "keywords[1] must be 1")]
    {
        let change: ProjectChange = read(json!({"keywords": keywords}));
        assert!(sentence(projects::change(pool, made.id, &change).await).starts_with(expected));
    }
    let changed = projects::change(pool, made.id, &read(json!({"is_active": false}))).await.unwrap();
    assert_eq!((changed.is_active, changed.keywords.len()), (false, 2));
    assert_eq!(analysis::projects(pool).await.unwrap(), [changed]);
    assert_eq!(sentence(projects::create(pool, &new).await), "a project of this name is there already");
    let run = taskscope_wire::NewRun { project_config_id: Some(made.id), ..super::new_run() };
    analysis::create_run(pool, &run).await.unwrap();
    assert_eq!(sentence(projects::delete(pool, made.id).await), "an analysis run uses this project");
    sqlx::query("delete from analysis_runs").execute(pool).await.unwrap();
    projects::delete(pool, made.id).await.unwrap();
    assert!(is_missing(&projects::get(pool, made.id).await));
}

#[tokio::test]
async fn an_agent_is_given_a_task_once() {
    let setting = Setting::new().await;
    let pool = &setting.pool;
    let new = NewAssignment { task_id: TASK_CONFIG, is_active: true };
    assert_eq!(sentence(analysis::assign(pool, AGENT, new).await), "the agent has this task already");
    let none = NewAssignment { task_id: Uuid::nil(), is_active: true };
    assert_eq!(sentence(analysis::assign(pool, AGENT, none).await), "task_id must be the id of a task config that is there");
    assert!(is_missing(&analysis::assign(pool, Uuid::nil(), new).await));
    let second = agents::create(pool, &agent(&json!({}))).await.unwrap();
    let made = analysis::assign(pool, second.id, new).await.unwrap();
    assert_eq!((made.agent_name.as_str(), made.task_name.as_str()), ("Reader", "Task proposals"));
    assert_eq!((made.provider_name.as_str(), made.provider_type.as_str()), ("Keyword rules (built in)", "keyword"));
    let off = analysis::change_assignment(pool, made.id, AssignmentChange { is_active: Some(false) }).await.unwrap();
    assert!(!off.is_active);
    let ids = async |active_only| {
        let all = analysis::assignments(pool, active_only).await.unwrap();
        all.into_iter().map(|assignment| assignment.id).collect::<Vec<_>>()
    };
    assert_eq!((ids(true).await, ids(false).await), (vec![ASSIGNMENT], vec![ASSIGNMENT, made.id]));
    create(&setting).await;
    assert_eq!(
        sentence(analysis::delete_assignment(pool, ASSIGNMENT).await),
        "an analysis run that is not over uses this assignment"
    );
    analysis::delete_assignment(pool, made.id).await.unwrap();
    assert!(is_missing(&analysis::delete_assignment(pool, made.id).await));
    assert!(is_missing(&analysis::change_assignment(pool, made.id, AssignmentChange::default()).await));
}

#[tokio::test]
async fn an_agent_is_tried() {
    let setting = Setting::new().await;
    let service = Service::new(setting.pool.clone(), WorkloadConfig::default()).unwrap();
    let answer = agents::test(&service, AGENT, "hello").await.unwrap();
    assert!(answer.duration_ms >= 0 && answer.prompt_tokens >= 0);
    assert!(sentence(agents::test(&service, AGENT, " ").await).starts_with("prompt must be 1 to 20000 characters"));
    assert!(is_missing(&agents::test(&service, Uuid::nil(), "hello").await));
    sqlx::query("update providers set is_active = false").execute(&setting.pool).await.unwrap();
    let refused = agents::test(&service, AGENT, "hello").await.unwrap_err();
    assert!(matches!(&refused, ServiceError::Conflict(text) if text.ends_with("is not active")), "{refused:?}");
}
