//! Analysis runs, from their making to their closed review.

mod asking;
mod cancel;
mod duplicates;
mod execution;
mod kill;
mod models;
mod resources;
mod resume;
mod review;
mod start;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use taskscope_wire::{AnalysisEvent, AnalysisEventKind, NewRun, Proposal, ProposalQuery, Run, RunStatus, TriggerType};
use taskscope_workload::analysis;
use uuid::Uuid;

use crate::support::{Setting, until};

/// The assignment that comes with the program: the keyword rules propose tasks.
const ASSIGNMENT: Uuid = Uuid::from_u128(0x0000_0000_0000_4000_8000_0000_0000_0004);
const AGENT: Uuid = Uuid::from_u128(0x0000_0000_0000_4000_8000_0000_0000_0002);
const PROVIDER: Uuid = Uuid::from_u128(0x0000_0000_0000_4000_8000_0000_0000_0001);
const TASK_CONFIG: Uuid = Uuid::from_u128(0x0000_0000_0000_4000_8000_0000_0000_0003);

fn window_start() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2025-10-09T00:00:00Z").unwrap().to_utc()
}

fn new_run() -> NewRun {
    NewRun {
        time_window_start: window_start(),
        time_window_end: window_start() + TimeDelta::days(1),
        agent_assignment_id: ASSIGNMENT,
        trigger_type: TriggerType::Manual,
        project_config_id: None,
    }
}

/// Messages in the window, a second apart; their numbers.
async fn add_messages(setting: &Setting, texts: &[String]) -> Vec<i64> {
    sqlx::query_scalar(
        "insert into messages (author, content, sent_at)
         select 'Olena', content, $2 + number * interval '1 second' from unnest($1) with ordinality as new (content, number)
         order by number returning id",
    )
    .bind(texts)
    .bind(window_start())
    .fetch_all(&setting.pool)
    .await
    .unwrap()
}

/// Texts of which every one asks for something else.
fn bugs(count: usize) -> Vec<String> {
    (0..count).map(bug).collect()
}

/// Words are so different that no two of these are much alike.
fn bug(number: usize) -> String {
    let digest = |salt: usize| format!("{:x}", (number * 7919 + salt * 104_729 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    format!("bug: {} {} crashes", digest(1), digest(2))
}

async fn create(setting: &Setting) -> Run {
    analysis::create_run(&setting.pool, &new_run()).await.unwrap()
}

/// A run that is in the queue.
async fn start(setting: &Setting) -> Run {
    let run = create(setting).await;
    analysis::start_run(&setting.queue, run.id).await.unwrap();
    load(setting, run.id).await
}

/// A run that a worker has executed.
async fn execute(setting: &Setting, config: Value) -> Run {
    let worker = setting.worker(config);
    let run = start(setting).await;
    let run = end_of(setting, &run).await;
    worker.stop().await;
    run
}

async fn load(setting: &Setting, id: Uuid) -> Run {
    analysis::run(&setting.pool, id).await.unwrap()
}

/// Waits until the run is over, and its task as well.
async fn end_of(setting: &Setting, run: &Run) -> Run {
    until("the run is over", async || load(setting, run.id).await.status.is_over()).await;
    setting.end_of(run.task_id.as_deref().unwrap()).await;
    load(setting, run.id).await
}

async fn proposals(setting: &Setting, run: Uuid) -> Vec<Proposal> {
    let mut all = Vec::new();
    for page in 1.. {
        let query = ProposalQuery { run_id: Some(run), page, ..ProposalQuery::default() };
        let page = analysis::proposals(&setting.pool, &query).await.unwrap();
        all.extend(page.items);
        if page.page >= page.total_pages {
            break;
        }
    }
    all
}

async fn log(setting: &Setting, run: Uuid) -> Vec<String> {
    let mut lines = Vec::new();
    let mut after = 0;
    loop {
        let page = analysis::run_log(&setting.pool, run, after).await.unwrap();
        let Some(last) = page.last() else { return lines };
        after = last.id;
        lines.extend(page.into_iter().map(|line| line.line));
    }
}

/// What was told of a run, in order.
async fn events(setting: &Setting, run: Uuid) -> Vec<AnalysisEvent> {
    let rows: Vec<(String, Value)> =
        sqlx::query_as("select event, data from analysis_events order by id").fetch_all(&setting.pool).await.unwrap();
    let events = rows.into_iter().map(|(event, data)| AnalysisEvent { event: event.parse().unwrap(), data: data.into(), seq: 0 });
    events.filter(|event| event.run_id() == Some(run)).collect()
}

async fn kinds(setting: &Setting, run: Uuid) -> Vec<AnalysisEventKind> {
    events(setting, run).await.iter().map(|event| event.event).collect()
}

/// Every message that passed is in one batch, every batch is done once, and counters are what is in the tables.
async fn assert_whole(setting: &Setting, run: &Run, expected_proposals: i64) {
    assert_eq!(run.status, RunStatus::Completed, "{run:?}");
    let (batches, messages, proposed): (i64, i64, i64) = sqlx::query_as(
        "select count(*) filter (where done_at is not null), coalesce(sum(cardinality(message_ids)), 0)::bigint,
             coalesce(sum(proposals), 0)::bigint
         from analysis_batches where run_id = $1",
    )
    .bind(run.id)
    .fetch_one(&setting.pool)
    .await
    .unwrap();
    assert_eq!((run.batches_done, run.batches_created), (batches, batches));
    assert_eq!((run.messages_processed, run.messages_after_prefilter), (messages, messages));
    let proposals = proposals(setting, run.id).await;
    assert_eq!(i64::try_from(proposals.len()).unwrap(), expected_proposals);
    assert_eq!([run.proposals_total, run.proposals_pending, proposed], [expected_proposals; 3]);
    let mut sources: Vec<_> = proposals.iter().flat_map(|proposal| proposal.source_message_ids.clone()).collect();
    sources.sort_unstable();
    let all = sources.len();
    sources.dedup();
    assert_eq!(sources.len(), all, "a message is the source of one proposal");
}

fn small_batches() -> Value {
    json!({"analysis": {"batch_messages": 5}, "retry_pause_ms": 1})
}
