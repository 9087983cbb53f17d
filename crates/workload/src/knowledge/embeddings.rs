//! Embeddings of messages and atoms. What is there already and has not changed is left as it is.

use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::extraction::provider;
use crate::{
    context::Context,
    failure::{Failure, TaskResult},
    llm::{Embedded, LlmError, Provider},
};

/// Texts that are embedded and kept together.
const BATCH: usize = 64;
/// The most that are named in one task.
pub(crate) const MOST_NAMED: usize = 1000;

/// What became of those that were to be embedded.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Counts {
    success: usize,
    /// Those that the provider refuses, and those that are not there.
    failed: usize,
    /// Those that have their embedding already, or no text.
    skipped: usize,
}

/// What is to be embedded: those that are named, or so many that have no embedding.
pub(crate) enum Wanted<T> {
    Named(Vec<T>),
    Missing(i64),
}

struct Text {
    id: String,
    text: String,
    /// Of what was embedded before.
    hash: Option<Vec<u8>>,
}

pub(crate) async fn messages(context: &Context, wanted: Wanted<i64>, provider_id: Option<Uuid>) -> TaskResult<Counts> {
    let (provider, model) = embedder(context, provider_id).await?;
    let (texts, named) = match wanted {
        Wanted::Named(ids) => {
            let texts = sqlx::query_as!(
                Text,
                r#"select m.id::text as "id!", m.content as "text!", e.content_hash as "hash?" from messages m
                   left join embeddings e on e.subject_type = 'message' and e.subject_id = m.id::text and e.model = $1
                   where m.id = any($2) order by m.id"#,
                model,
                &ids,
            );
            (texts.fetch_all(&context.pool).await?, distinct(ids))
        }
        Wanted::Missing(limit) => {
            let texts = sqlx::query_as!(
                Text,
                r#"select m.id::text as "id!", m.content as "text!", null::bytea as "hash?" from messages m
                   where m.content ~ '\S' and not exists (
                       select from embeddings e where e.subject_type = 'message' and e.subject_id = m.id::text and e.model = $1
                   )
                   order by m.id limit $2"#,
                model,
                limit,
            );
            (texts.fetch_all(&context.pool).await?, 0)
        }
    };
    embed(context, &provider, "message", &model, texts, named).await
}

pub(crate) async fn atoms(context: &Context, wanted: Wanted<Uuid>, provider_id: Option<Uuid>) -> TaskResult<Counts> {
    let (provider, model) = embedder(context, provider_id).await?;
    let (texts, named) = match wanted {
        Wanted::Named(ids) => {
            let texts = sqlx::query_as!(
                Text,
                r#"select a.id::text as "id!", a.title || E'\n' || a.content as "text!", e.content_hash as "hash?" from atoms a
                   left join embeddings e on e.subject_type = 'atom' and e.subject_id = a.id::text and e.model = $1
                   where a.id = any($2) order by a.id"#,
                model,
                &ids,
            );
            (texts.fetch_all(&context.pool).await?, distinct(ids))
        }
        Wanted::Missing(limit) => {
            let texts = sqlx::query_as!(
                Text,
                r#"select a.id::text as "id!", a.title || E'\n' || a.content as "text!", null::bytea as "hash?" from atoms a
                   where not exists (
                       select from embeddings e where e.subject_type = 'atom' and e.subject_id = a.id::text and e.model = $1
                   )
                   order by a.created_at, a.id limit $2"#,
                model,
                limit,
            );
            (texts.fetch_all(&context.pool).await?, 0)
        }
    };
    embed(context, &provider, "atom", &model, texts, named).await
}

fn distinct<T: Ord>(mut ids: Vec<T>) -> usize {
    ids.sort_unstable();
    ids.dedup();
    ids.len()
}

async fn embedder(context: &Context, provider_id: Option<Uuid>) -> TaskResult<(Provider, String)> {
    let provider = provider(context, provider_id).await?;
    let model = provider.embedding_model(None).ok_or_else(|| {
        let name = provider.name();
        Failure::permanent(format!("{name} has no model for embeddings: set llm.embedding_models to one that it has"))
    })?;
    Ok((provider, model))
}

async fn embed(
    context: &Context,
    provider: &Provider,
    subject: &str,
    model: &str,
    texts: Vec<Text>,
    named: usize,
) -> TaskResult<Counts> {
    let mut counts = Counts { failed: named.saturating_sub(texts.len()), ..Counts::default() };
    let (todo, done): (Vec<_>, Vec<_>) = texts
        .into_iter()
        .partition(|text| !text.text.trim().is_empty() && text.hash.as_deref() != Some(hash(&text.text).as_slice()));
    counts.skipped = done.len();
    for batch in todo.chunks(BATCH) {
        match vectors(provider, model, batch).await {
            Ok(embedded) => counts.success += keep(context, subject, batch, &embedded).await?,
            Err(error) if is_about_the_texts(&error) => {
                for text in batch {
                    embed_alone(context, provider, subject, model, text, &mut counts).await?;
                }
            }
            Err(error) => return Err(error.into_failure()),
        }
    }
    Ok(counts)
}

/// One text that the provider refuses costs no other.
async fn embed_alone(
    context: &Context,
    provider: &Provider,
    subject: &str,
    model: &str,
    text: &Text,
    counts: &mut Counts,
) -> TaskResult<()> {
    let batch = std::slice::from_ref(text);
    match vectors(provider, model, batch).await {
        Ok(embedded) => counts.success += keep(context, subject, batch, &embedded).await?,
        Err(error) if is_about_the_texts(&error) => {
            tracing::warn!(%error, subject, id = text.id, "a text can't be embedded");
            counts.failed += 1;
        }
        Err(error) => return Err(error.into_failure()),
    }
    Ok(())
}

async fn vectors(provider: &Provider, model: &str, batch: &[Text]) -> Result<Embedded, LlmError> {
    let texts: Vec<_> = batch.iter().map(|text| text.text.clone()).collect();
    let embedded = provider.embed(Some(model), &texts).await?;
    embedded.ok_or_else(|| LlmError::Setup(format!("{} has no model for embeddings", provider.name())))
}

/// A request that is wrong may be so by one of its texts, such as one that is too long.
fn is_about_the_texts(error: &LlmError) -> bool {
    matches!(error, LlmError::Refused { status: 400 | 413 | 422, .. })
}

async fn keep(context: &Context, subject: &str, batch: &[Text], embedded: &Embedded) -> TaskResult<usize> {
    let mut tx = context.pool.begin().await?;
    for (text, vector) in batch.iter().zip(&embedded.vectors) {
        let hash = hash(&text.text);
        sqlx::query!(
            "insert into embeddings (subject_type, subject_id, model, content_hash, vector) values ($1, $2, $3, $4, $5)
             on conflict (subject_type, subject_id, model) do update
                 set content_hash = excluded.content_hash, vector = excluded.vector, created_at = now()",
            subject,
            text.id,
            embedded.model,
            hash.as_slice(),
            vector,
        )
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    Ok(batch.len())
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}
