use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use taskscope_wire::{AnalysisEventKind, ProposalsCreated, Recommendation};
use uuid::Uuid;

use super::{Batch, Executor, Stop, answer::Found, progress};
use crate::{
    analysis::{
        classify::{self, Candidate},
        draft::Draft,
        duplicates::{self, Vectors},
        journal,
    },
    llm::{LlmError, Provider, Usage},
};

/// What is needed to place a batch's proposals among the others.
struct Surroundings<'a> {
    /// The run's own project, which all its proposals belong to.
    project: Option<Uuid>,
    candidates: Vec<Candidate>,
    vectors: &'a mut Vectors,
}

/// What texts mean, by the provider's model; none where it has none.
#[derive(Default)]
struct Meaning {
    model: String,
    vectors: Vec<Vec<f32>>,
}

impl Executor<'_> {
    /// Tells that a batch has begun.
    pub(super) async fn update_progress(&self, batch: &Batch) -> Result<(), Stop> {
        let mut tx = self.turn().await?;
        let progress = progress(&mut tx, self.run_id, batch.number).await?;
        let (number, all, messages) = (batch.number, progress.total_batches, batch.message_ids.len());
        journal::log(&mut *tx, self.run_id, &format!("Processing batch {number}/{all} ({messages} messages)")).await?;
        journal::tell(&mut tx, AnalysisEventKind::ProgressUpdated, &progress).await?;
        Ok(tx.commit().await?)
    }

    /// Keeps a batch's proposals and counts them, all or nothing.
    pub(super) async fn save_proposals(
        &self,
        provider: &Provider,
        batch: &Batch,
        found: Found,
        known: &mut Vectors,
    ) -> Result<(), Stop> {
        let Found { drafts, mut usage } = found;
        let drafts = drafts.kept;
        let meaning = self.meaning(provider, &drafts, &mut usage, known).await?;
        if !meaning.vectors.is_empty() {
            known.know(self.pool, &meaning.model).await?;
        }
        let mut tx = self.turn().await?;
        if !self.mark_done(&mut tx, batch, drafts.len(), usage).await? {
            return Ok(());
        }
        let project = sqlx::query_scalar!("select project_config_id from analysis_runs where id = $1", self.run_id);
        let project = project.fetch_one(&mut *tx).await?;
        let candidates = classify::candidates(&mut tx).await?;
        duplicates::prepare(&mut tx).await?;
        let mut surroundings = Surroundings { project, candidates, vectors: known };
        for (index, draft) in drafts.iter().enumerate() {
            let place = i32::try_from(index + 1).unwrap_or(i32::MAX);
            let id = self.insert(&mut tx, batch, place, draft, meaning.vectors.get(index), &mut surroundings).await?;
            if let Some(vector) = meaning.vectors.get(index) {
                keep_vector(&mut tx, id, &meaning.model, draft, vector).await?;
            }
        }
        self.tell_saved(&mut tx, batch, drafts.len()).await?;
        Ok(tx.commit().await?)
    }

    /// Vectors of the proposals, for comparison. A run doesn't fail for want of them.
    async fn meaning(
        &self,
        provider: &Provider,
        drafts: &[Draft],
        usage: &mut Usage,
        known: &mut Vectors,
    ) -> Result<Meaning, Stop> {
        if drafts.is_empty() || known.are_missing() {
            return Ok(Meaning::default());
        }
        let texts: Vec<_> = drafts.iter().map(Draft::text).collect();
        match self.wanted(provider.embed(None, &texts)).await? {
            Ok(Some(embedded)) if embedded.vectors.len() == drafts.len() => {
                *usage += embedded.usage;
                Ok(Meaning { model: embedded.model, vectors: embedded.vectors })
            }
            Ok(_) => Ok(Meaning::default()),
            Err(LlmError::Database(cause)) => Err(cause.into()),
            Err(error) => {
                known.miss();
                self.log(&format!("Comparing proposals by their texts alone: {error}")).await?;
                Ok(Meaning::default())
            }
        }
    }

    /// Counts the batch once; says whether it was not counted yet.
    async fn mark_done(&self, db: &mut PgConnection, batch: &Batch, proposals: usize, usage: Usage) -> Result<bool, Stop> {
        let proposals = i64::try_from(proposals).unwrap_or(i64::MAX);
        let marked = sqlx::query!(
            "update analysis_batches set done_at = now(), proposals = $3, prompt_tokens = $4, completion_tokens = $5, cost = $6
             where run_id = $1 and number = $2 and done_at is null",
            self.run_id,
            batch.number,
            proposals,
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.cost as Option<f64>,
        );
        if marked.execute(&mut *db).await?.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query!(
            "update analysis_runs set updated_at = now(), batches_done = batches_done + 1, messages_processed = messages_processed + $2,
                 proposals_total = proposals_total + $3, proposals_pending = proposals_pending + $3,
                 prompt_tokens = prompt_tokens + $4, completion_tokens = completion_tokens + $5,
                 cost = case when $6::float8 is null then cost else coalesce(cost, 0) + $6 end
             where id = $1",
            self.run_id,
            i64::try_from(batch.message_ids.len()).unwrap_or(i64::MAX),
            proposals,
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.cost as Option<f64>,
        )
        .execute(db)
        .await?;
        Ok(true)
    }

    async fn insert(
        &self,
        db: &mut PgConnection,
        batch: &Batch,
        place: i32,
        draft: &Draft,
        vector: Option<&Vec<f32>>,
        surroundings: &mut Surroundings<'_>,
    ) -> Result<Uuid, Stop> {
        let text = draft.text();
        let by_text = duplicates::by_text(&mut *db, &text).await?;
        let by_vector = vector.and_then(|vector| surroundings.vectors.nearest(vector));
        let duplicate = by_text.into_iter().chain(by_vector).max_by(|one, other| one.1.total_cmp(&other.1));
        let recommendation: &str = match (draft.recommendation, duplicate) {
            (Recommendation::NewTask, Some(_)) => Recommendation::Merge.into(),
            (recommendation, _) => recommendation.into(),
        };
        let searched = format!("{text} {}", draft.tags.join(" "));
        let project = surroundings.project.or_else(|| classify::project(&surroundings.candidates, &searched));
        let (priority, category): (&str, &str) = (draft.priority.into(), draft.category.into());
        let id = sqlx::query_scalar!(
            "insert into proposals (run_id, batch, place, proposed_title, proposed_description, proposed_priority, proposed_category,
                 proposed_tags, confidence, source_message_ids, reasoning, llm_recommendation, project_config_id, duplicate_of, similarity)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) returning id",
            self.run_id,
            batch.number,
            place,
            draft.title,
            draft.description,
            priority,
            category,
            &draft.tags,
            draft.confidence,
            &draft.sources,
            draft.reasoning,
            recommendation,
            project as Option<Uuid>,
            duplicate.map(|(id, _)| id) as Option<Uuid>,
            duplicate.map(|(_, similarity)| similarity) as Option<f64>,
        )
        .fetch_one(db)
        .await?;
        if let (Some(vector), None) = (vector, duplicate) {
            surroundings.vectors.add(id, vector);
        }
        Ok(id)
    }

    async fn tell_saved(&self, db: &mut PgConnection, batch: &Batch, count: usize) -> Result<(), Stop> {
        journal::log(&mut *db, self.run_id, &format!("Saved {count} proposals")).await?;
        let number = batch.number;
        journal::log(&mut *db, self.run_id, &format!("Batch {number} completed, created {count} proposals")).await?;
        if count > 0 {
            let progress = progress(&mut *db, self.run_id, number).await?;
            let created = ProposalsCreated { proposals_count: i64::try_from(count).unwrap_or(i64::MAX), progress };
            journal::tell(db, AnalysisEventKind::ProposalsCreated, &created).await?;
        }
        Ok(())
    }
}

async fn keep_vector(db: &mut PgConnection, id: Uuid, model: &str, draft: &Draft, vector: &[f32]) -> Result<(), Stop> {
    let hash = Sha256::digest(draft.text());
    sqlx::query!(
        "insert into embeddings (subject_type, subject_id, model, content_hash, vector) values ('proposal', $1, $2, $3, $4)",
        id.to_string(),
        model,
        hash.as_slice(),
        vector,
    )
    .execute(db)
    .await?;
    Ok(())
}
