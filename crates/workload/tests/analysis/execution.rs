use chrono::TimeDelta;
use serde_json::{Value, json};
use taskscope_wire::{
    AnalysisEventKind::{self, ProgressUpdated, ProposalsCreated, RunCompleted, RunFailed, RunStarted},
    AnalysisUpdate, Category,
    NativeKind::{TaskCompleted, TaskQueued, TaskStarted},
    NewRun, Priority, ProposalStatus, Recommendation, RunStatus,
};
use taskscope_workload::analysis::{
    self,
    projects::{self, NewProject},
};

use super::{
    PROVIDER, add_messages, assert_whole, bugs, create, end_of, events, execute, kinds, load, log, new_run, proposals,
    small_batches, start,
};
use crate::support::{Setting, error, result};

#[tokio::test]
async fn a_run_goes_as_the_guide_says() {
    let setting = Setting::new().await;
    let mut texts = bugs(2);
    texts.extend(["good morning everybody".to_owned(), "@ira ?".to_owned(), "bug".to_owned(), bugs(3).remove(2)]);
    let ids = add_messages(&setting, &texts).await;
    let run = execute(&setting, json!({"analysis": {"batch_messages": 2}})).await;
    assert_whole(&setting, &run, 3).await;
    assert_eq!((run.total_messages_in_window, run.messages_after_prefilter, run.batches_created), (6, 4, 2));
    let id = run.id;
    let lines = [
        format!("Starting analysis run execution: {id}"),
        format!("Run {id}: Starting run"),
        format!("Run {id}: Fetching messages"),
        format!("Run {id}: Found 6 messages in window"),
        format!("Run {id}: Pre-filtering messages"),
        format!("Run {id}: 4 messages after pre-filter"),
        format!("Run {id}: Creating batches"),
        format!("Run {id}: Created 2 batches"),
        format!("Run {id}: Processing batch 1/2 (2 messages)"),
        format!("Run {id}: Generated 2 proposals from batch"),
        format!("Run {id}: Saved 2 proposals"),
        format!("Run {id}: Batch 1 completed, created 2 proposals"),
        format!("Run {id}: Processing batch 2/2 (2 messages)"),
        format!("Run {id}: Generated 1 proposals from batch"),
        format!("Run {id}: Saved 1 proposals"),
        format!("Run {id}: Batch 2 completed, created 1 proposals"),
        format!("Run {id}: Successfully completed"),
    ];
    assert_eq!(log(&setting, id).await, lines);
    let told = [RunStarted, ProgressUpdated, ProposalsCreated, ProgressUpdated, ProposalsCreated, RunCompleted];
    assert_eq!(kinds(&setting, id).await, told);
    let proposal = &proposals(&setting, id).await[0];
    assert_eq!((&proposal.source_message_ids, proposal.message_count), (&ids[..1].to_vec(), 1));
    assert_eq!((proposal.proposed_category, proposal.proposed_priority), (Category::Bug, Priority::High));
    assert_eq!((proposal.status, proposal.llm_recommendation), (ProposalStatus::Pending, Recommendation::NewTask));
    assert!(proposal.proposed_title.starts_with("Fix: ") && proposal.reasoning.contains("“crash”"), "{proposal:?}");
    let task = run.task_id.as_deref().unwrap();
    assert_eq!(setting.events.story(task), [(1, TaskQueued), (1, TaskStarted), (1, TaskCompleted)]);
    assert_eq!(result(&setting.end_of(task).await)["status"], "completed");
}

#[tokio::test]
async fn events_advance_a_run_to_what_it_is() {
    let setting = Setting::new().await;
    add_messages(&setting, &bugs(12)).await;
    let created = create(&setting).await;
    analysis::start_run(&setting.queue, created.id).await.unwrap();
    let worker = setting.worker(small_batches());
    let run = end_of(&setting, &load(&setting, created.id).await).await;
    worker.stop().await;
    let mut followed = created;
    let mut batches = Vec::new();
    for event in events(&setting, run.id).await {
        let update = event.update().unwrap();
        if let (ProgressUpdated, AnalysisUpdate::Progress(progress)) = (event.event, &update) {
            batches.push((progress.current_batch, progress.batches_done, progress.total_batches));
        }
        if let AnalysisUpdate::Run(run) = &update {
            assert_eq!(run.config_snapshot, None);
        }
        followed.apply(&update);
    }
    assert_eq!(batches, [(1, 0, 3), (2, 1, 3), (3, 2, 3)]);
    followed.config_snapshot.clone_from(&run.config_snapshot);
    assert_eq!(followed, run);
}

#[tokio::test]
async fn a_run_notes_with_what_it_asked() {
    let setting = Setting::new().await;
    add_messages(&setting, &bugs(1)).await;
    let run = execute(&setting, json!({"analysis": {"keywords": ["bug"], "min_length": 3}})).await;
    let snapshot: Value = serde_json::from_str(run.config_snapshot.unwrap().as_str()).unwrap();
    assert_eq!(run.agent_name.as_deref(), Some("Keyword rules"));
    assert_eq!(snapshot["agent_name"], "Keyword rules");
    assert_eq!((&snapshot["provider_type"], &snapshot["model_name"]), (&json!("keyword"), &json!("keyword-rules")));
    assert_eq!((&snapshot["keywords"], &snapshot["min_length"]), (&json!(["bug"]), &json!(3)));
    assert_eq!((&snapshot["batch_messages"], &snapshot["batch_tokens"]), (&json!(15), &json!(3000)));
    assert_eq!(snapshot["response_schema"]["required"], json!(["proposals"]));
    assert!(snapshot["system_prompt"].as_str().unwrap().starts_with("You read messages"));
}

#[tokio::test]
async fn only_the_window_is_read_and_without_messages_there_is_nothing_to_do() {
    let setting = Setting::new().await;
    // Seconds 1 to 3 after the start.
    let ids = add_messages(&setting, &bugs(3)).await;
    let worker = setting.worker(json!({}));
    let run_in = async |from: i64, to: i64| {
        let (time_window_start, time_window_end) =
            (super::window_start() + TimeDelta::seconds(from), super::window_start() + TimeDelta::seconds(to));
        let run = analysis::create_run(&setting.pool, &NewRun { time_window_start, time_window_end, ..new_run() }).await.unwrap();
        analysis::start_run(&setting.queue, run.id).await.unwrap();
        end_of(&setting, &load(&setting, run.id).await).await
    };
    let run = run_in(2, 3).await;
    let proposals = proposals(&setting, run.id).await;
    assert_eq!(proposals.iter().map(|proposal| proposal.source_message_ids.clone()).collect::<Vec<_>>(), [vec![ids[1]]]);
    let empty = run_in(100, 200).await;
    assert_eq!((empty.status, empty.total_messages_in_window, empty.batches_created), (RunStatus::Completed, 0, 0));
    assert_eq!(kinds(&setting, empty.id).await, [RunStarted, RunCompleted]);
    worker.stop().await;
}

#[tokio::test]
async fn a_batch_without_proposals_tells_only_its_progress() {
    let setting = Setting::new().await;
    add_messages(&setting, &["@ira ?".to_owned()]).await;
    let run = execute(&setting, json!({})).await;
    assert_eq!(kinds(&setting, run.id).await, [RunStarted, ProgressUpdated, RunCompleted]);
}

#[tokio::test]
async fn a_provider_that_can_not_be_used_fails_the_run_with_its_words() {
    let setting = Setting::new().await;
    add_messages(&setting, &bugs(1)).await;
    let run = start(&setting).await;
    // It was active when the run was started.
    sqlx::query("update providers set is_active = false where id = $1").bind(PROVIDER).execute(&setting.pool).await.unwrap();
    let worker = setting.worker(json!({}));
    let run = end_of(&setting, &run).await;
    let failure = run.error_log.clone().unwrap();
    let sentence = "the provider \"Keyword rules (built in)\" is not active";
    assert_eq!((run.status, failure.error.as_str(), failure.step.as_str()), (RunStatus::Failed, sentence, "start_run"));
    assert!(run.completed_at.is_some());
    assert_eq!(kinds(&setting, run.id).await, [RunFailed]);
    let end = setting.end_of(run.task_id.as_deref().unwrap()).await;
    assert_eq!((end.attempt, error(&end)), (1, sentence));
    let traceback = end.error_traceback.as_deref().unwrap();
    assert!(traceback.contains("src/analysis/executor/begin.rs:"), "{traceback}");
    assert_eq!(setting.number("select count(*) from apalis.jobs where status = 'Killed'").await, 1);
    let lines = log(&setting, run.id).await;
    assert_eq!(lines.last().unwrap(), &format!("Run {}: Failed in start_run: {sentence}", run.id));
    worker.stop().await;
}

/// The rules answer with `title`; another schema changes nothing of that, but what Postgres refuses fails the run in its step.
#[tokio::test]
async fn what_postgres_refuses_fails_the_run_in_its_batch() {
    let setting = Setting::new().await;
    add_messages(&setting, &bugs(1)).await;
    sqlx::query("alter table proposals add constraint no_fix check (proposed_title not like 'Fix: %')")
        .execute(&setting.pool)
        .await
        .unwrap();
    let run = execute(&setting, json!({})).await;
    let failure = run.error_log.clone().unwrap();
    assert_eq!((run.status, failure.step.as_str(), failure.batch), (RunStatus::Failed, "save_proposals", Some(1)));
    assert!(failure.error.contains("no_fix"), "{}", failure.error);
    assert_eq!((run.batches_done, run.proposals_total), (0, 0));
    assert_eq!(kinds(&setting, run.id).await, [RunStarted, ProgressUpdated, RunFailed]);
}

#[tokio::test]
async fn a_project_chooses_messages_and_proposals_belong_to_projects() {
    let setting = Setting::new().await;
    let texts =
        ["bug: the parser crashes on tabs", "bug: the login page crashes", "the parser eats zeros today"].map(str::to_owned);
    add_messages(&setting, &texts).await;
    let project = async |name: &str, keywords: &[&str]| {
        let keywords = keywords.iter().map(|word| (*word).to_owned()).collect();
        let new = NewProject { name: name.to_owned(), description: String::new(), keywords, is_active: true };
        projects::create(&setting.pool, &new).await.unwrap().id
    };
    let (parsing, accounts) = (project("Parsing", &["Parser"]).await, project("Accounts", &["login", "crash"]).await);
    let run = execute(&setting, json!({})).await;
    let found: Vec<_> = proposals(&setting, run.id).await.iter().map(|proposal| proposal.project_config_id).collect();
    // One word of each project is in the first: the first by name has it.
    assert_eq!(found, [Some(accounts), Some(accounts)]);
    let new = NewRun { project_config_id: Some(parsing), ..new_run() };
    let run = analysis::create_run(&setting.pool, &new).await.unwrap();
    analysis::start_run(&setting.queue, run.id).await.unwrap();
    let worker = setting.worker(json!({}));
    let run = end_of(&setting, &load(&setting, run.id).await).await;
    worker.stop().await;
    assert_eq!((run.total_messages_in_window, run.messages_after_prefilter), (3, 2));
    let found = proposals(&setting, run.id).await;
    let named: Vec<_> = found.iter().map(|proposal| proposal.project_name.as_deref()).collect();
    assert_eq!(named, [Some("Parsing")]);
}

#[tokio::test]
async fn ten_thousand_messages_are_counted_right() {
    let setting = Setting::new().await;
    let text = |number: usize| match number % 10 {
        0 => super::bug(number),
        1..5 => format!("the docs of step {number} are finished, thanks"),
        _ => format!("lunch number {number} was good"),
    };
    add_messages(&setting, &(0..10_000).map(text).collect::<Vec<_>>()).await;
    let run = execute(&setting, json!({})).await;
    assert_whole(&setting, &run, 1000).await;
    assert_eq!((run.total_messages_in_window, run.messages_after_prefilter, run.batches_created), (10_000, 5000, 334));
    let told = kinds(&setting, run.id).await;
    let count = |kind: AnalysisEventKind| told.iter().filter(|told| **told == kind).count();
    assert_eq!((count(ProgressUpdated), count(ProposalsCreated)), (334, 334));
    assert_eq!((told.first(), told.last()), (Some(&RunStarted), Some(&RunCompleted)));
}
