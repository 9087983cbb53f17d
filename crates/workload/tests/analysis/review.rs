use serde_json::json;
use taskscope_wire::{
    AnalysisEventKind, AnalysisUpdate, MergeRequest, Proposal, ProposalQuery, ProposalStatus,
    Review::{self, Approve, Merge, Reject, Undo},
    Run, RunStatus,
};
use taskscope_workload::{ServiceError, analysis};
use uuid::Uuid;

use super::{add_messages, bugs, create, events, execute, load, proposals};
use crate::support::Setting;

/// A completed run of so many proposals.
async fn completed(setting: &Setting, count: usize) -> (Run, Vec<Proposal>) {
    add_messages(setting, &bugs(count)).await;
    let run = execute(setting, json!({})).await;
    let proposals = proposals(setting, run.id).await;
    assert_eq!(proposals.len(), count);
    (run, proposals)
}

async fn decide(setting: &Setting, proposal: &Proposal, review: Review, into: Option<Uuid>) -> Result<Proposal, ServiceError> {
    analysis::review(&setting.pool, proposal.id, review, &MergeRequest { into }).await
}

fn counters(run: &Run) -> [i64; 4] {
    [run.proposals_pending, run.proposals_approved, run.proposals_rejected, run.proposals_merged]
}

fn conflict<T: std::fmt::Debug>(result: Result<T, ServiceError>) -> String {
    match result {
        Err(ServiceError::Conflict(sentence)) => sentence,
        other => panic!("{other:?}"),
    }
}

fn invalid<T: std::fmt::Debug>(result: Result<T, ServiceError>) -> String {
    match result {
        Err(ServiceError::Invalid(sentence)) => sentence,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn reviews_move_the_counters_and_can_be_taken_back_until_the_run_is_closed() {
    let setting = Setting::new().await;
    let (run, all) = completed(&setting, 3).await;
    let approved = decide(&setting, &all[0], Approve, None).await.unwrap();
    assert_eq!(approved.status, ProposalStatus::Approved);
    assert!(approved.reviewed_at.is_some());
    decide(&setting, &all[1], Reject, None).await.unwrap();
    let merged = decide(&setting, &all[2], Merge, Some(all[0].id)).await.unwrap();
    assert_eq!((merged.status, merged.merged_into), (ProposalStatus::Merged, Some(all[0].id)));
    let now = load(&setting, run.id).await;
    assert_eq!((now.status, counters(&now)), (RunStatus::Reviewed, [0, 1, 1, 1]));
    // Another decision about what is decided.
    decide(&setting, &all[1], Approve, None).await.unwrap();
    let now = load(&setting, run.id).await;
    assert_eq!((now.status, counters(&now)), (RunStatus::Reviewed, [0, 2, 0, 1]));
    let undone = decide(&setting, &all[2], Undo, None).await.unwrap();
    assert_eq!((undone.status, undone.merged_into, undone.reviewed_at), (ProposalStatus::Pending, None, None));
    let now = load(&setting, run.id).await;
    assert_eq!((now.status, counters(&now)), (RunStatus::Completed, [1, 2, 0, 0]));
    decide(&setting, &all[2], Reject, None).await.unwrap();
    analysis::close_run(&setting.pool, run.id).await.unwrap();
    for review in [Approve, Reject, Merge, Undo] {
        assert_eq!(conflict(decide(&setting, &all[2], review, Some(all[0].id)).await), "the run is closed: its review is final");
    }
}

#[tokio::test]
async fn each_change_is_told_with_the_run_and_no_change_is_not() {
    let setting = Setting::new().await;
    let (run, all) = completed(&setting, 2).await;
    let before = events(&setting, run.id).await.len();
    decide(&setting, &all[0], Undo, None).await.unwrap();
    let once = decide(&setting, &all[0], Approve, None).await.unwrap();
    let twice = decide(&setting, &all[0], Approve, None).await.unwrap();
    assert_eq!(once, twice);
    decide(&setting, &all[1], Reject, None).await.unwrap();
    analysis::close_run(&setting.pool, run.id).await.unwrap();
    let told = events(&setting, run.id).await.split_off(before);
    let read = |event: &taskscope_wire::AnalysisEvent| match event.update().unwrap() {
        AnalysisUpdate::Run(run) => (event.event, run.status, run.proposals_pending),
        AnalysisUpdate::Progress(progress) => panic!("{progress:?}"),
    };
    let updated = AnalysisEventKind::RunUpdated;
    let expected = [(updated, RunStatus::Completed, 1), (updated, RunStatus::Reviewed, 0), (updated, RunStatus::Closed, 0)];
    assert_eq!(told.iter().map(read).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_merge_needs_a_target_that_is_another_and_stands_for_itself() {
    let setting = Setting::new().await;
    let (_, all) = completed(&setting, 4).await;
    let merge = async |proposal: &Proposal, into: Option<Uuid>| decide(&setting, proposal, Merge, into).await;
    assert!(invalid(merge(&all[0], None).await).starts_with("into must be given"));
    assert!(invalid(merge(&all[0], Some(all[0].id)).await).starts_with("into must be another proposal"));
    assert!(invalid(merge(&all[0], Some(Uuid::nil())).await).starts_with("into must be the id of a proposal"));
    merge(&all[1], Some(all[2].id)).await.unwrap();
    assert!(conflict(merge(&all[0], Some(all[1].id)).await).contains("is itself merged"));
    assert!(conflict(merge(&all[2], Some(all[3].id)).await).contains("take that back first"));
    sqlx::query("update proposals set duplicate_of = $1 where id = $2")
        .bind(all[2].id)
        .bind(all[0].id)
        .execute(&setting.pool)
        .await
        .unwrap();
    assert_eq!(merge(&all[0], None).await.unwrap().merged_into, Some(all[2].id));
    assert_eq!(merge(&all[0], Some(all[3].id)).await.unwrap().merged_into, Some(all[3].id), "the target can be changed");
    let unknown = analysis::review(&setting.pool, Uuid::nil(), Approve, &MergeRequest::default()).await.unwrap_err();
    assert!(matches!(unknown, ServiceError::NotFound(_)), "{unknown:?}");
}

#[tokio::test]
async fn reviews_at_once_count_right() {
    let setting = Setting::new().await;
    let (run, all) = completed(&setting, 12).await;
    let reviews = all.iter().enumerate().flat_map(|(index, proposal)| {
        let target = all[(index + 1) % all.len()].id;
        [(proposal, Approve, None), (proposal, Reject, None), (proposal, Merge, Some(target)), (proposal, Undo, None)]
    });
    let done = futures::future::join_all(reviews.map(|(proposal, review, into)| decide(&setting, proposal, review, into))).await;
    for error in done.into_iter().filter_map(Result::err) {
        assert!(matches!(error, ServiceError::Conflict(_)), "{error:?}");
    }
    let counted: Vec<i64> = sqlx::query_scalar(
        "select count(p.id) from unnest('{pending, approved, rejected, merged}'::text[]) with ordinality as s (status, rank)
         left join proposals p on p.status = s.status group by rank order by rank",
    )
    .fetch_all(&setting.pool)
    .await
    .unwrap();
    let run = load(&setting, run.id).await;
    assert_eq!(counters(&run).to_vec(), counted);
    assert_eq!(run.status, if counted[0] == 0 { RunStatus::Reviewed } else { RunStatus::Completed });
}

#[tokio::test]
async fn a_run_is_closed_when_all_is_reviewed_with_how_well_it_did() {
    let setting = Setting::new().await;
    let (run, all) = completed(&setting, 7).await;
    let close = async || analysis::close_run(&setting.pool, run.id).await;
    for proposal in &all[..4] {
        decide(&setting, proposal, Approve, None).await.unwrap();
    }
    assert_eq!(conflict(close().await), "3 of 7 proposals are not reviewed");
    decide(&setting, &all[4], Reject, None).await.unwrap();
    decide(&setting, &all[5], Merge, Some(all[0].id)).await.unwrap();
    assert_eq!(conflict(close().await), "1 of 7 proposals is not reviewed");
    decide(&setting, &all[6], Reject, None).await.unwrap();
    for (confidence, proposal) in [0.5, 0.6, 0.7, 0.8, 0.1, 0.9, 0.3].into_iter().zip(&all) {
        let set = sqlx::query("update proposals set confidence = $1 where id = $2").bind(confidence).bind(proposal.id);
        set.execute(&setting.pool).await.unwrap();
    }
    let closed = close().await.unwrap();
    assert_eq!(closed.status, RunStatus::Closed);
    assert!(closed.closed_at.is_some());
    let metrics = closed.accuracy_metrics.unwrap();
    let close_to = |value: Option<f64>, expected: f64| assert!((value.unwrap() - expected).abs() < 1e-9, "{value:?}");
    close_to(metrics.approval_rate, 5.0 / 7.0);
    close_to(metrics.rejection_rate, 2.0 / 7.0);
    close_to(metrics.average_confidence, 3.9 / 7.0);
    close_to(metrics.approved_confidence, 3.5 / 5.0);
    close_to(metrics.rejected_confidence, 0.2);
    assert_eq!(conflict(close().await), "the run is closed already");
}

#[tokio::test]
async fn only_what_is_over_is_reviewed_or_closed() {
    let setting = Setting::new().await;
    let pending = create(&setting).await;
    assert!(conflict(analysis::close_run(&setting.pool, pending.id).await).ends_with("this one is pending"));
    let (run, all) = completed(&setting, 1).await;
    for status in ["pending", "running"] {
        let set = sqlx::query("update analysis_runs set status = $1 where id = $2").bind(status).bind(run.id);
        set.execute(&setting.pool).await.unwrap();
        assert!(conflict(decide(&setting, &all[0], Approve, None).await).starts_with("the run is not over"));
    }
    let empty = execute(&setting, json!({"analysis": {"keywords": ["nothing"]}})).await;
    let closed = analysis::close_run(&setting.pool, empty.id).await.unwrap();
    assert_eq!((closed.status, closed.accuracy_metrics.unwrap().approval_rate), (RunStatus::Closed, None));
}

#[tokio::test]
async fn proposals_are_found_by_run_status_and_confidence() {
    let setting = Setting::new().await;
    let (run, all) = completed(&setting, 4).await;
    execute(&setting, json!({})).await;
    decide(&setting, &all[1], Reject, None).await.unwrap();
    sqlx::query("update proposals set confidence = 0.95 where id = $1").bind(all[2].id).execute(&setting.pool).await.unwrap();
    let list = async |query: ProposalQuery| analysis::proposals(&setting.pool, &query).await;
    let query = ProposalQuery { run_id: Some(run.id), ..ProposalQuery::default() };
    let ids = |page: taskscope_wire::Page<Proposal>| page.items.into_iter().map(|proposal| proposal.id).collect::<Vec<_>>();
    assert_eq!(list(ProposalQuery::default()).await.unwrap().total_count, 8);
    let second = list(ProposalQuery { page: 2, page_size: 3, ..query.clone() }).await.unwrap();
    assert_eq!((second.total_count, second.total_pages, ids(second)), (4, 2, vec![all[3].id]));
    let rejected = ProposalQuery { status: Some(ProposalStatus::Rejected), ..query.clone() };
    assert_eq!(ids(list(rejected).await.unwrap()), [all[1].id]);
    let sure = ProposalQuery { confidence_min: Some(0.95), ..query.clone() };
    assert_eq!(ids(list(sure).await.unwrap()), [all[2].id]);
    let wrong = list(ProposalQuery { confidence_min: Some(70.0), ..query }).await;
    assert_eq!(invalid(wrong), "confidence_min must be 0 to 1, not 70");
    assert_eq!(analysis::proposal(&setting.pool, all[0].id).await.unwrap(), all[0]);
    assert!(matches!(analysis::proposal(&setting.pool, Uuid::nil()).await, Err(ServiceError::NotFound(_))));
}
