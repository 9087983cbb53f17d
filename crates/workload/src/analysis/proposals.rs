use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use taskscope_wire::{Page, Proposal, ProposalQuery, check_page};
use uuid::Uuid;

use super::run_row::word;
use crate::ServiceError;

/// A page of proposals, in the order in which they were made.
///
/// # Errors
/// The query asks for what is not allowed, or Postgres doesn't answer.
pub async fn proposals(pool: &PgPool, query: &ProposalQuery) -> Result<Page<Proposal>, ServiceError> {
    check_page(query.page, query.page_size).map_err(ServiceError::Invalid)?;
    if let Some(least) = query.confidence_min.filter(|least| !(0.0..=1.0).contains(least)) {
        return Err(ServiceError::Invalid(format!("confidence_min must be 0 to 1, not {least}")));
    }
    let status: Option<&str> = query.status.map(Into::into);
    let mut db = pool.acquire().await?;
    let counted = sqlx::query_scalar!(
        r#"select count(*) as "count!" from proposals
           where ($1::uuid is null or run_id = $1) and ($2::text is null or status = $2) and ($3::float8 is null or confidence >= $3)"#,
        query.run_id as Option<Uuid>,
        status as Option<&str>,
        query.confidence_min as Option<f64>,
    );
    let total_count = counted.fetch_one(&mut *db).await?;
    let ids = sqlx::query_scalar!(
        "select id from proposals
         where ($1::uuid is null or run_id = $1) and ($2::text is null or status = $2) and ($3::float8 is null or confidence >= $3)
         order by created_at, run_id, batch, place limit $4 offset $5",
        query.run_id as Option<Uuid>,
        status as Option<&str>,
        query.confidence_min as Option<f64>,
        query.page_size,
        (query.page - 1) * query.page_size,
    )
    .fetch_all(&mut *db)
    .await?;
    let items = load_all(&mut db, &ids).await?;
    Ok(Page::new(total_count, query.page, query.page_size, items))
}

/// One proposal.
///
/// # Errors
/// There is no such proposal, or Postgres doesn't answer.
pub async fn proposal(pool: &PgPool, id: Uuid) -> Result<Proposal, ServiceError> {
    let mut db = pool.acquire().await?;
    load(&mut db, id).await
}

/// One proposal.
pub(super) async fn load(db: &mut PgConnection, id: Uuid) -> Result<Proposal, ServiceError> {
    load_all(db, &[id]).await?.pop().ok_or_else(|| not_found(id))
}

/// That a proposal is not there.
pub(super) fn not_found(id: Uuid) -> ServiceError {
    ServiceError::NotFound(format!("proposal {id}"))
}

/// The proposals with these ids, in the order in which they were made.
async fn load_all(db: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Proposal>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select p.id, p.run_id, p.batch, p.proposed_title, p.proposed_description, p.proposed_priority, p.proposed_category,
               p.proposed_tags, p.confidence, p.source_message_ids, p.reasoning, p.llm_recommendation, p.project_config_id,
               j.name as "project_name?", p.duplicate_of, d.proposed_title as "duplicate_title?", p.similarity, p.status, p.merged_into,
               p.reviewed_at, p.created_at
           from proposals p left join projects j on j.id = p.project_config_id left join proposals d on d.id = p.duplicate_of
           where p.id = any($1) order by p.created_at, p.run_id, p.batch, p.place"#,
        ids,
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(Proposal::try_from).collect()
}

struct Row {
    id: Uuid,
    run_id: Uuid,
    batch: i64,
    proposed_title: String,
    proposed_description: String,
    proposed_priority: String,
    proposed_category: String,
    proposed_tags: Vec<String>,
    confidence: f64,
    source_message_ids: Vec<i64>,
    reasoning: String,
    llm_recommendation: String,
    project_config_id: Option<Uuid>,
    project_name: Option<String>,
    duplicate_of: Option<Uuid>,
    duplicate_title: Option<String>,
    similarity: Option<f64>,
    status: String,
    merged_into: Option<Uuid>,
    reviewed_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

impl TryFrom<Row> for Proposal {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.id,
            run_id: row.run_id,
            batch: row.batch,
            proposed_title: row.proposed_title,
            proposed_description: row.proposed_description,
            proposed_priority: word(&row.proposed_priority)?,
            proposed_category: word(&row.proposed_category)?,
            proposed_tags: row.proposed_tags,
            confidence: row.confidence,
            message_count: i64::try_from(row.source_message_ids.len()).unwrap_or(i64::MAX),
            source_message_ids: row.source_message_ids,
            reasoning: row.reasoning,
            llm_recommendation: word(&row.llm_recommendation)?,
            project_config_id: row.project_config_id,
            project_name: row.project_name,
            duplicate_of: row.duplicate_of,
            duplicate_title: row.duplicate_title,
            similarity: row.similarity,
            status: word(&row.status)?,
            merged_into: row.merged_into,
            reviewed_at: row.reviewed_at,
            created_at: row.created_at,
        })
    }
}
