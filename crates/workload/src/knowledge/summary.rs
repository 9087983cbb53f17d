//! Summaries of topics.

use serde::Serialize;
use uuid::Uuid;

use super::extraction::{provider, say};
use crate::{
    context::Context,
    failure::{Failure, TaskResult},
    llm::Work,
};

/// The most atoms that a summary is made of, the surest first.
const MOST_ATOMS: i64 = 200;

#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    topic: String,
    atoms: usize,
    summary: String,
    prompt_tokens: i64,
    completion_tokens: i64,
    cost: Option<f64>,
}

/// Writes the summary of a topic from its atoms but for the rejected ones.
pub(crate) async fn write(context: &Context, topic_id: Uuid, provider_id: Option<Uuid>) -> TaskResult<Outcome> {
    let topic = sqlx::query_scalar!("select name from topics where id = $1", topic_id).fetch_optional(&context.pool).await?;
    let topic = topic.ok_or_else(|| Failure::permanent(format!("there is no topic {topic_id}")))?;
    let lines = sqlx::query_scalar!(
        r#"select '[' || kind || '] ' || title || ' — ' || content as "line!" from (
               select kind, title, content, created_at, id from atoms where topic_id = $1 and status <> 'rejected'
               order by status = 'approved' desc, confidence desc, id limit $2
           ) surest order by created_at, id"#,
        topic_id,
        MOST_ATOMS,
    );
    let lines = lines.fetch_all(&context.pool).await?;
    if lines.is_empty() {
        return Err(Failure::permanent(format!("the topic {topic} has no atoms to sum up")));
    }
    let provider = provider(context, provider_id).await?;
    let answer = say(&provider, Work::Summary(&topic, &lines), None).await?;
    let summary = answer.value.as_str().unwrap_or_default().replace('\0', "");
    sqlx::query!("update topics set summary = $2, summarized_at = now(), updated_at = now() where id = $1", topic_id, summary)
        .execute(&context.pool)
        .await?;
    let usage = answer.usage;
    let (prompt_tokens, completion_tokens, cost) = (usage.prompt_tokens, usage.completion_tokens, usage.cost);
    Ok(Outcome { topic, atoms: lines.len(), summary, prompt_tokens, completion_tokens, cost })
}
