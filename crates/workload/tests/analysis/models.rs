//! Runs whose agent asks a language model, in both wire formats, with and without streaming: what may pass is tried again, the rest fails
//! the run in the provider's own words.

use serde_json::{Value, json};
use taskscope_wire::{Run, RunStatus};
use taskscope_workload::{
    Service,
    analysis::{
        self, NewAssignment,
        agents::{self, NewAgent},
    },
    providers::{self, NewProvider},
};
use uuid::Uuid;

use super::{TASK_CONFIG, add_messages, bugs, end_of, log, new_run, proposals};
use crate::support::{
    Llm, Setting,
    llm::{COMPLETION_TOKENS, MODEL, PROMPT_TOKENS, Reply, shown},
    read,
};

struct Case {
    setting: Setting,
    llm: Llm,
    assignment: Uuid,
    config: Value,
}

impl Case {
    /// Two batches of two messages, and an agent that asks the model.
    async fn new(kind: &str, stream: bool) -> Self {
        let (setting, llm) = (Setting::new().await, Llm::serve().await);
        let config = json!({
            "retry_pause_ms": 1,
            "analysis": {"batch_messages": 2},
            "llm": {
                "retry_pause_ms": 1, "attempts": 3, "timeout_seconds": 1, "stream": stream,
                "prices": {MODEL: {"prompt": 1.0, "completion": 4.0}},
            },
        });
        let service = Service::new(setting.pool.clone(), read(config.clone())).unwrap();
        let provider = json!({"name": "Test model", "type": kind, "base_url": llm.url});
        let provider = providers::create(&service, serde_json::from_value::<NewProvider>(provider).unwrap()).await.unwrap();
        let agent =
            json!({"name": "Reader", "provider_id": provider.id, "model_name": MODEL, "system_prompt": "You read chats."});
        let agent = agents::create(&setting.pool, &serde_json::from_value::<NewAgent>(agent).unwrap()).await.unwrap();
        let task: NewAssignment = serde_json::from_value(json!({"task_id": TASK_CONFIG})).unwrap();
        let assignment = analysis::assign(&setting.pool, agent.id, task).await.unwrap().id;
        add_messages(&setting, &bugs(4)).await;
        llm.answer_with(propose);
        Self { setting, llm, assignment, config }
    }

    async fn run(&self, script: impl IntoIterator<Item = Reply>) -> Run {
        self.llm.taken();
        self.llm.script(script);
        let mut new = new_run();
        new.agent_assignment_id = self.assignment;
        let run = analysis::create_run(&self.setting.pool, &new).await.unwrap();
        analysis::start_run(&self.setting.queue, run.id).await.unwrap();
        let run = analysis::run(&self.setting.pool, run.id).await.unwrap();
        end_of(&self.setting, &run).await
    }

    async fn completes(&self, script: impl IntoIterator<Item = Reply>, asked: usize) -> Run {
        let run = self.run(script).await;
        assert_eq!((run.status, run.proposals_total, run.batches_done), (RunStatus::Completed, 4, 2), "{run:?}");
        // Beside the embeddings of what was proposed.
        let chats = self.llm.taken().into_iter().filter(|request| request.path.contains("chat")).count();
        assert_eq!(chats, asked);
        run
    }

    /// The run fails at this batch, with these words of the provider.
    async fn fails(&self, script: impl IntoIterator<Item = Reply>, batch: i64, words: &str) {
        let run = self.run(script).await;
        let error = run.error_log.as_ref().unwrap();
        assert_eq!((run.status, error.step.as_str(), error.batch), (RunStatus::Failed, "process_batch", Some(batch)), "{run:?}");
        assert!(error.error.contains(words), "{words:?} is not in {error:?}");
        assert_eq!((run.batches_done, run.proposals_total), (batch - 1, 2 * (batch - 1)), "what was saved before stays");
    }
}

/// One proposal for each message that is shown.
fn propose(body: &Value) -> String {
    let proposal = |message: &Value| {
        json!({
            "title": format!("Look into {}", message["content"]), "description": "It is broken.", "priority": "high", "category": "bug",
            "tags": ["import"], "confidence": 0.8, "source_message_ids": [message["id"]], "reasoning": "It says so.",
            "recommendation": "new_task",
        })
    };
    json!({"proposals": shown(body).iter().map(proposal).collect::<Vec<_>>()}).to_string()
}

#[tokio::test]
async fn openai_whole() {
    every_outcome(Case::new("openai", false).await).await;
}

#[tokio::test]
async fn openai_streamed() {
    every_outcome(Case::new("openai", true).await).await;
}

#[tokio::test]
async fn ollama_whole() {
    every_outcome(Case::new("ollama", false).await).await;
}

#[tokio::test]
async fn ollama_streamed() {
    every_outcome(Case::new("ollama", true).await).await;
}

async fn every_outcome(case: Case) {
    let worker = case.setting.worker(case.config.clone());
    let refuse =
        |status: u16, after: Option<&str>| Reply::Refuse(status, "the GPU is on fire".to_owned(), after.map(str::to_owned));
    let malformed = || Reply::Say("{\"proposals\": [".to_owned());
    let wrong_schema = || Reply::Say(json!({"tasks": []}).to_string());

    let run = case.completes([], 2).await;
    // Embeddings of proposals are asked for too, and counted.
    assert_eq!((run.prompt_tokens, run.completion_tokens), (4 * PROMPT_TOKENS, 2 * COMPLETION_TOKENS));
    assert!((run.cost.unwrap() - 480e-6).abs() < 1e-12, "{run:?}");
    assert!(proposals(&case.setting, run.id).await.iter().all(|proposal| proposal.source_message_ids.len() == 1));

    // What may pass: a refusal with and without a time, trouble, a connection that breaks, an answer that takes too long.
    let run = case.completes([refuse(429, Some("1")), refuse(500, None)], 4).await;
    let lines = log(&case.setting, run.id).await;
    assert_eq!(
        lines.iter().filter(|line| line.contains("the GPU is on fire")).count(),
        2,
        "what is tried again is in the log: {lines:?}"
    );
    case.completes([Reply::Cut(malformed_text())], 3).await;
    case.completes([Reply::Hang], 3).await;
    // An answer that doesn't fit is asked for once more.
    case.completes([malformed()], 3).await;
    case.completes([wrong_schema()], 3).await;

    let trouble = || [refuse(500, None), refuse(503, None), refuse(500, None)];
    case.fails(trouble(), 1, "the GPU is on fire").await;
    case.fails([refuse(400, None)], 1, "the GPU is on fire").await;
    case.fails([malformed(), malformed()], 1, "it is no JSON").await;
    case.fails([wrong_schema(), wrong_schema()], 1, "\"proposals\" is a required property").await;
    case.fails([Reply::Hang, Reply::Hang, Reply::Hang], 1, "Test model").await;
    let first = case.first_batch_answer().await;
    case.fails([Reply::Say(first), refuse(400, None)], 2, "the GPU is on fire").await;
    worker.stop().await;
}

fn malformed_text() -> String {
    "{\"proposals\": [{\"title\": \"x\"".to_owned()
}

impl Case {
    /// What the model would say of the first batch.
    async fn first_batch_answer(&self) -> String {
        let rows: Vec<(i64, String)> = sqlx::query_as("select id, content from messages order by sent_at, id limit 2")
            .fetch_all(&self.setting.pool)
            .await
            .unwrap();
        let proposal = |(id, content): &(i64, String)| {
            json!({
                "title": content, "description": "It is broken.", "priority": "high", "category": "bug", "tags": [],
                "confidence": 0.8, "source_message_ids": [id], "reasoning": "It says so.", "recommendation": "new_task",
            })
        };
        json!({"proposals": rows.iter().map(proposal).collect::<Vec<_>>()}).to_string()
    }
}
