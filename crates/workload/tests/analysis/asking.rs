//! Runs that ask a model over HTTP: what they tell, when they give up, and what they make of an answer.

use serde_json::{Value, json};
use taskscope_wire::{AnalysisEventKind, NewRun, Run, RunStatus};
use taskscope_workload::{
    Service,
    analysis::{
        self, NewAssignment,
        agents::{self, NewAgent},
        task_configs::{self, NewTaskConfig},
    },
    providers::{self, NewProvider},
};
use uuid::Uuid;

use super::{TASK_CONFIG, add_messages, bugs, end_of, kinds, load, log, new_run, proposals};
use crate::support::{
    Llm, RunningWorker, Setting, error,
    llm::{MODEL, PROMPT_TOKENS, Reply, shown},
    read, result, until,
};

const KEY: &str = "sk-s3cret-0123456789";

struct Case {
    setting: Setting,
    llm: Llm,
    provider: Uuid,
    config: Value,
}

impl Case {
    async fn new(kind: &str, messages: usize) -> Self {
        let (setting, llm) = (Setting::new().await, Llm::serve().await);
        add_messages(&setting, &bugs(messages)).await;
        let config = json!({
            "retry_pause_ms": 1,
            "analysis": {"batch_messages": 2},
            "llm": {
                "retry_pause_ms": 1, "attempts": 3, "secret_key": "a secret of this test",
                "embedding_models": {"openai": "none", "ollama": "none"},
                "prices": {MODEL: {"prompt": 1.0, "completion": 4.0}},
            },
        });
        let service = Service::new(setting.pool.clone(), read(config.clone())).unwrap();
        let new = json!({"name": "Test model", "type": kind, "base_url": llm.url, "api_key": KEY});
        let provider = providers::create(&service, serde_json::from_value::<NewProvider>(new).unwrap()).await.unwrap().id;
        llm.taken();
        llm.answer_with(|body| {
            let about = |message: &Value| proposal(&format!("Mend {}", message["content"]), message["id"].as_i64().unwrap());
            json!({"proposals": shown(body).iter().map(about).collect::<Vec<_>>()}).to_string()
        });
        Self { setting, llm, provider, config }
    }

    /// The embeddings of this model count too.
    fn with_embeddings(mut self, model: &str) -> Self {
        self.config["llm"]["embedding_models"] = json!({"openai": model});
        self
    }

    /// A run by an agent that asks for answers of this schema.
    async fn start(&self, task_id: Uuid) -> Run {
        let pool = &self.setting.pool;
        let agent = json!({"name": "Asker", "provider_id": self.provider, "model_name": MODEL, "system_prompt": "You read."});
        let agent = agents::create(pool, &serde_json::from_value::<NewAgent>(agent).unwrap()).await.unwrap();
        let assignment = analysis::assign(pool, agent.id, NewAssignment { task_id, is_active: true }).await.unwrap();
        let run = analysis::create_run(pool, &NewRun { agent_assignment_id: assignment.id, ..new_run() }).await.unwrap();
        analysis::start_run(&self.setting.queue, run.id).await.unwrap();
        load(&self.setting, run.id).await
    }

    fn worker(&self) -> RunningWorker {
        self.setting.worker(self.config.clone())
    }

    /// The run at its end.
    async fn run(&self, script: impl IntoIterator<Item = Reply>) -> Run {
        self.llm.script(script);
        let worker = self.worker();
        let run = self.start(TASK_CONFIG).await;
        let run = end_of(&self.setting, &run).await;
        worker.stop().await;
        run
    }
}

fn proposal(title: &str, message: i64) -> Value {
    json!({
        "title": title, "description": title, "priority": "high", "category": "bug", "tags": ["x"], "confidence": 0.9,
        "source_message_ids": [message], "reasoning": "it says so", "recommendation": "new_task",
    })
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_logged() {
    let case = Case::new("openai", 2).await;
    let run = case.run([Reply::Refuse(500, "overloaded".to_owned(), None), Reply::Say("{".to_owned())]).await;
    assert_eq!((run.status, run.proposals_total), (RunStatus::Completed, 2), "{:?}", run.error_log);
    let lines = log(&case.setting, run.id).await;
    let again: Vec<_> = lines.iter().filter(|line| line.contains(": Trying batch 1 again in ")).collect();
    assert_eq!(again.len(), 2, "{lines:?}");
    assert!(again[0].contains("overloaded") && again[1].contains("does not fit"), "{again:?}");
    assert!(run.prompt_tokens > PROMPT_TOKENS, "the answer that did not fit was paid for");
}

#[tokio::test]
async fn a_provider_in_trouble_fails_the_run_with_its_words_and_keeps_what_is_done() {
    let case = Case::new("openai", 4).await;
    let good = json!({"proposals": []}).to_string();
    let trouble = std::iter::repeat_n(Reply::Refuse(500, "the model fell over".to_owned(), None), 3);
    let run = case.run([Reply::Say(good)].into_iter().chain(trouble)).await;
    let failure = run.error_log.clone().unwrap();
    assert_eq!((run.status, failure.step.as_str(), failure.batch), (RunStatus::Failed, "process_batch", Some(2)));
    assert!(failure.error.contains("Test model answered 500: the model fell over"), "{}", failure.error);
    assert_eq!((run.batches_done, run.batches_created), (1, 2));
    assert_eq!(kinds(&case.setting, run.id).await.last(), Some(&AnalysisEventKind::RunFailed));
    let end = case.setting.end_of(run.task_id.as_deref().unwrap()).await;
    assert_eq!((end.attempt, error(&end)), (1, failure.error.as_str()));
    let traceback = end.error_traceback.as_deref().unwrap();
    assert!(traceback.contains("src/analysis/executor/answer.rs:"), "{traceback}");
}

#[tokio::test]
async fn a_provider_that_is_not_there_fails_the_run() {
    let case = Case::new("openai", 1).await;
    let moved = sqlx::query("update providers set base_url = 'http://127.0.0.1:9/v1' where id = $1").bind(case.provider);
    moved.execute(&case.setting.pool).await.unwrap();
    let run = case.run([]).await;
    let failure = run.error_log.unwrap();
    assert_eq!((run.status, failure.step.as_str()), (RunStatus::Failed, "process_batch"));
    assert!(failure.error.starts_with("Test model can't be reached: "), "{}", failure.error);
}

#[tokio::test]
async fn a_run_is_cancelled_while_its_model_thinks() {
    let case = Case::new("openai", 1).await;
    case.llm.script([Reply::Hang]);
    let worker = case.worker();
    let run = case.start(TASK_CONFIG).await;
    until("the model thinks", async || case.llm.requests() == 1).await;
    analysis::cancel_run(&case.setting.pool, run.id).await.unwrap();
    until("the question is dropped", async || case.llm.abandoned() == 1).await;
    let end = case.setting.end_of(run.task_id.as_deref().unwrap()).await;
    assert_eq!(result(&end)["status"], "cancelled");
    assert_eq!(load(&case.setting, run.id).await.batches_done, 0);
    worker.stop().await;
}

#[tokio::test]
async fn proposals_of_other_schemas_are_checked_and_those_without_a_message_dropped() {
    let case = Case::new("openai", 1).await;
    let schema = json!({"type": "object", "properties": {"proposals": {"type": "array"}}});
    let new = json!({"name": "Loose", "response_schema": schema});
    let config = task_configs::create(&case.setting.pool, &serde_json::from_value::<NewTaskConfig>(new).unwrap()).await.unwrap();
    let mut stranger = proposal("Mend what nobody spoke of", 0);
    stranger["source_message_ids"] = json!([1_000_000]);
    case.llm.script([Reply::Say(
        json!({"proposals": [stranger, {"proposed_title": "Mend it", "source_message_ids": [1]}]}).to_string(),
    )]);
    let worker = case.worker();
    let run = end_of(&case.setting, &case.start(config.id).await).await;
    assert_eq!(run.status, RunStatus::Completed, "{:?}", run.error_log);
    let titles: Vec<_> = proposals(&case.setting, run.id).await.into_iter().map(|proposal| proposal.proposed_title).collect();
    assert_eq!(titles, ["Mend it"]);
    let lines = log(&case.setting, run.id).await;
    assert!(lines.iter().any(|line| line.ends_with("names no message of the batch: Mend what nobody spoke of")), "{lines:?}");
    case.llm.script([Reply::Say(json!({"proposals": [{"description": "b", "source_message_ids": [1]}]}).to_string())]);
    let new = NewRun { agent_assignment_id: run.agent_assignment_id, ..new_run() };
    let again = analysis::create_run(&case.setting.pool, &new).await.unwrap();
    analysis::start_run(&case.setting.queue, again.id).await.unwrap();
    let again = end_of(&case.setting, &load(&case.setting, again.id).await).await;
    let failure = again.error_log.unwrap();
    assert_eq!(failure.error, "Test model gave an answer that does not fit: proposals[0].title must be given");
    worker.stop().await;
}

/// The test's model puts texts of about one length together.
#[tokio::test]
async fn embeddings_find_duplicates_that_texts_do_not() {
    let case = Case::new("openai", 2).await.with_embeddings("text-embedding-3-small");
    let run = case.run([]).await;
    let found = proposals(&case.setting, run.id).await;
    assert_eq!((found[0].duplicate_of, found[1].duplicate_of), (None, Some(found[0].id)));
    assert!(found[1].similarity.unwrap() > 0.85);
    assert!(run.prompt_tokens >= PROMPT_TOKENS);
    assert_eq!(case.setting.number("select count(*) from embeddings where subject_type = 'proposal'").await, 2);
}

#[tokio::test]
async fn a_run_does_not_fail_for_want_of_embeddings() {
    let case = Case::new("openai", 4).await.with_embeddings("text-embedding-3-small");
    case.llm.refuse_to_embed("Mend");
    let run = case.run([]).await;
    assert_eq!((run.status, run.proposals_total), (RunStatus::Completed, 4), "{:?}", run.error_log);
    let asked = case.llm.taken().into_iter().filter(|request| request.path == "/v1/embeddings").count();
    assert_eq!((run.batches_done, asked), (2, 1), "they are asked for once");
    let lines = log(&case.setting, run.id).await;
    assert!(lines.iter().any(|line| line.contains("Comparing proposals by their texts alone: ")), "{lines:?}");
}

#[tokio::test]
async fn a_run_is_cancelled_while_its_proposals_are_embedded() {
    let case = Case::new("openai", 1).await.with_embeddings("text-embedding-3-small");
    case.llm.be_silent(true);
    let worker = case.worker();
    let run = case.start(TASK_CONFIG).await;
    until("embeddings are asked for", async || case.llm.requests() == 2).await;
    analysis::cancel_run(&case.setting.pool, run.id).await.unwrap();
    until("the question is dropped", async || case.llm.abandoned() == 1).await;
    let end = case.setting.end_of(run.task_id.as_deref().unwrap()).await;
    assert_eq!(result(&end)["status"], "cancelled");
    worker.stop().await;
}

/// Postgres takes no NUL, and a cut in the middle of a key would leave a part of it.
#[tokio::test]
async fn what_a_provider_says_is_cleaned_before_it_is_kept() {
    let case = Case::new("openai", 1).await;
    let words = format!("n\0o\u{7}{} {KEY}", "x".repeat(490));
    let failure = case.run([Reply::Refuse(400, words, None)]).await.error_log.unwrap();
    assert_eq!(failure.error, format!("Test model answered 400: no{} ***", "x".repeat(490)));

    let mut odd = proposal("Mend\0 it", 1);
    odd["reasoning"] = format!("a\0\u{1b}b\r\nc {KEY}").into();
    case.llm.script([Reply::Say(json!({"proposals": [odd]}).to_string())]);
    let assignment: Uuid =
        sqlx::query_scalar("select agent_assignment_id from analysis_runs").fetch_one(&case.setting.pool).await.unwrap();
    let new = NewRun { agent_assignment_id: assignment, ..new_run() };
    let run = analysis::create_run(&case.setting.pool, &new).await.unwrap();
    analysis::start_run(&case.setting.queue, run.id).await.unwrap();
    let worker = case.worker();
    let run = end_of(&case.setting, &load(&case.setting, run.id).await).await;
    assert_eq!(run.status, RunStatus::Completed, "{:?}", run.error_log);
    let found = proposals(&case.setting, run.id).await.remove(0);
    assert_eq!((found.proposed_title.as_str(), found.reasoning.as_str()), ("Mend it", "ab\nc ***"));
    worker.stop().await;
}

#[tokio::test]
async fn a_run_whose_last_attempt_fails_has_failed() {
    let mut case = Case::new("openai", 1).await;
    case.config["time_limits"] = json!({"execute_analysis_run": 1});
    case.llm.script([Reply::Hang]);
    let run = case.start(TASK_CONFIG).await;
    sqlx::query("update apalis.jobs set attempts = max_attempts - 1").execute(&case.setting.pool).await.unwrap();
    let worker = case.worker();
    let run = end_of(&case.setting, &run).await;
    assert_eq!((run.status, run.error_log.unwrap().error.as_str()), (RunStatus::Failed, "timed out after 1 s"));
    assert_eq!(kinds(&case.setting, run.id).await.last(), Some(&AnalysisEventKind::RunFailed));
    worker.stop().await;
}
