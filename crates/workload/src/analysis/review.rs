use sqlx::{PgConnection, PgPool};
use taskscope_wire::{AnalysisEventKind, MergeRequest, Proposal, ProposalStatus, Review, RunStatus};
use uuid::Uuid;

use super::{journal, proposals, run_row};
use crate::ServiceError;

/// Reviews a proposal, or takes a review back, until its run is closed.
///
/// # Errors
/// There is no such proposal, its run is closed or still running, the target of a merge is wrong, or Postgres doesn't answer.
pub async fn review(pool: &PgPool, id: Uuid, review: Review, merge: &MergeRequest) -> Result<Proposal, ServiceError> {
    let mut tx = pool.begin().await?;
    let run = sqlx::query_scalar!("select run_id from proposals where id = $1", id)
        .fetch_optional(&mut *tx)
        .await?
        .ok_or_else(|| proposals::not_found(id))?;
    check_run(run_row::lock(&mut tx, run).await?.status)?;
    let decision = Decision::of(&mut tx, id, review, merge).await?;
    let before = proposals::load(&mut tx, id).await?;
    if decision.changes(&before) {
        decision.apply(&mut tx, &before).await?;
        journal::tell_run(&mut tx, AnalysisEventKind::RunUpdated, run).await?;
    }
    let after = proposals::load(&mut tx, id).await?;
    tx.commit().await?;
    Ok(after)
}

fn check_run(status: RunStatus) -> Result<(), ServiceError> {
    match status {
        RunStatus::Closed => Err(ServiceError::Conflict("the run is closed: its review is final".to_owned())),
        RunStatus::Pending | RunStatus::Running => {
            Err(ServiceError::Conflict("the run is not over: its proposals can be reviewed then".to_owned()))
        }
        _ => Ok(()),
    }
}

/// What a proposal becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Decision {
    status: ProposalStatus,
    into: Option<Uuid>,
}

impl Decision {
    /// Checks the target of a merge, and locks both proposals until the transaction ends.
    async fn of(db: &mut PgConnection, id: Uuid, review: Review, merge: &MergeRequest) -> Result<Self, ServiceError> {
        let status = match review {
            Review::Approve => ProposalStatus::Approved,
            Review::Reject => ProposalStatus::Rejected,
            Review::Undo => ProposalStatus::Pending,
            Review::Merge => ProposalStatus::Merged,
        };
        let into = if review == Review::Merge { Some(target(db, id, merge).await?) } else { None };
        Ok(Self { status, into })
    }

    fn changes(&self, before: &Proposal) -> bool {
        (before.status, before.merged_into) != (self.status, self.into)
    }

    /// Changes the proposal, and the counters and state of its run.
    async fn apply(&self, db: &mut PgConnection, before: &Proposal) -> Result<(), sqlx::Error> {
        let (old, new): (&str, &str) = (before.status.into(), self.status.into());
        sqlx::query!(
            "update proposals set status = $2, merged_into = $3, reviewed_at = case when $2 = 'pending' then null else now() end
             where id = $1",
            before.id,
            new,
            self.into,
        )
        .execute(&mut *db)
        .await?;
        sqlx::query!(
            "update analysis_runs set updated_at = now(),
                 proposals_pending = proposals_pending - ($2 = 'pending')::int + ($3 = 'pending')::int,
                 proposals_approved = proposals_approved - ($2 = 'approved')::int + ($3 = 'approved')::int,
                 proposals_rejected = proposals_rejected - ($2 = 'rejected')::int + ($3 = 'rejected')::int,
                 proposals_merged = proposals_merged - ($2 = 'merged')::int + ($3 = 'merged')::int
             where id = $1",
            before.run_id,
            old as &str,
            new as &str,
        )
        .execute(&mut *db)
        .await?;
        // What failed or was cancelled stays so, however its proposals are reviewed.
        sqlx::query!(
            "update analysis_runs set status = case when proposals_pending = 0 then 'reviewed' else 'completed' end
             where id = $1 and status in ('completed', 'reviewed')",
            before.run_id,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}

/// The proposal to merge into.
async fn target(db: &mut PgConnection, id: Uuid, merge: &MergeRequest) -> Result<Uuid, ServiceError> {
    let duplicate_of = sqlx::query_scalar!("select duplicate_of from proposals where id = $1", id).fetch_one(&mut *db).await?;
    let Some(into) = merge.into.or(duplicate_of) else {
        return Err(ServiceError::Invalid("into must be given, since the proposal duplicates no other".to_owned()));
    };
    if into == id {
        return Err(ServiceError::Invalid("into must be another proposal than the one that is merged".to_owned()));
    }
    // Both in one order, so that two that are merged into each other at once don't wait for each other for ever.
    let locked = sqlx::query!("select id, status from proposals where id = any($1) order by id for update", &[id, into]);
    let locked = locked.fetch_all(&mut *db).await?;
    let Some(other) = locked.iter().find(|proposal| proposal.id == into) else {
        return Err(ServiceError::Invalid(format!("into must be the id of a proposal that is there, not {into}")));
    };
    if other.status == "merged" {
        return Err(ServiceError::Conflict("the proposal to merge into is itself merged into another".to_owned()));
    }
    let merged = sqlx::query_scalar!(r#"select exists (select from proposals where merged_into = $1) as "any!""#, id);
    if merged.fetch_one(db).await? {
        return Err(ServiceError::Conflict("other proposals are merged into this one: take that back first".to_owned()));
    }
    Ok(into)
}
