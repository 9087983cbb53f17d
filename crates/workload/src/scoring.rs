//! How important a message is: four factors from 0 to 1, weighed.
//!
//! *Content* is what the text itself shows: length, a question, a link, code, somebody addressed. *Topic* is what it is about, an incident
//! more than a lunch. *Author* is how often others answer its author. *Time* is how lively the talk around it was.

use serde::Serialize;
use sqlx::PgPool;

const CONTENT_WEIGHT: f64 = 0.3;
const TOPIC_WEIGHT: f64 = 0.35;
const AUTHOR_WEIGHT: f64 = 0.15;
const TIME_WEIGHT: f64 = 0.2;

/// Topics, how much they matter, and words by which they are known, in English and Ukrainian.
const TOPICS: [(&str, f64, &[&str]); 7] = [
    (
        "incident",
        1.0,
        &[
            "outage",
            "incident",
            "is down",
            "went down",
            "data loss",
            "urgent",
            "rollback",
            "security",
            "терміново",
            "не працює",
            "впав",
        ],
    ),
    (
        "bug",
        0.85,
        &["bug", "error", "exception", "crash", "fails", "failed", "broken", "regression", "timeout", "помилка", "баг"],
    ),
    ("decision", 0.8, &["decided", "decision", "let's go with", "agreed", "we will", "deadline", "вирішили", "дедлайн"]),
    ("release", 0.7, &["release", "deploy", "migration", "merge", "rollout", "version", "реліз", "деплой", "міграц"]),
    ("planning", 0.6, &["sprint", "roadmap", "estimate", "ticket", "backlog", "priority", "review", "спринт", "задач"]),
    ("question", 0.5, &["?", "how do", "does anyone", "why does", "хто", "чому"]),
    ("social", 0.1, &["lunch", "coffee", "birthday", "thanks", "thank you", "good morning", "weekend", "дякую", "обід"]),
];

/// What a message's score is made of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Facts {
    pub(crate) id: i64,
    pub(crate) content: String,
    /// Messages of the author.
    pub(crate) written: i64,
    /// Answers of others to them.
    pub(crate) answered: i64,
    /// Messages in the same channel within ten minutes before and after.
    pub(crate) around: i64,
}

/// A score and what it is made of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Score {
    pub(crate) message_id: i64,
    pub(crate) score: f64,
    pub(crate) factors: Factors,
}

/// The factors, each from 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Factors {
    content: f64,
    topic: f64,
    author: f64,
    time: f64,
    topic_name: &'static str,
}

impl Facts {
    pub(crate) fn score(&self) -> Score {
        let text = self.content.to_lowercase();
        let (topic_name, topic) = topic(&text);
        let factors = Factors { content: content(&text), topic, author: self.author(), time: self.time(), topic_name };
        let score = CONTENT_WEIGHT * factors.content
            + TOPIC_WEIGHT * factors.topic
            + AUTHOR_WEIGHT * factors.author
            + TIME_WEIGHT * factors.time;
        Score { message_id: self.id, score: (score.clamp(0.0, 1.0) * 1e4).round() / 1e4, factors }
    }

    /// The share of the author's messages that others answer; ten more, of which a third is answered, keep a new author near the middle.
    #[expect(clippy::cast_precision_loss, reason = "nobody writes 2^52 messages")]
    fn author(&self) -> f64 {
        let share = (self.answered as f64 + 3.3) / (self.written as f64 + 10.0);
        (share * 1.5).min(1.0)
    }

    /// Ten others around it are as lively as it gets.
    #[expect(clippy::cast_precision_loss, reason = "nobody writes 2^52 messages")]
    fn time(&self) -> f64 {
        (self.around as f64 / 10.0).min(1.0)
    }
}

/// The topic that matters most of those that the text touches.
fn topic(text: &str) -> (&'static str, f64) {
    let touched = TOPICS.iter().find(|(_, _, words)| words.iter().any(|word| text.contains(word)));
    touched.map_or(("other", 0.3), |(name, weight, _)| (name, *weight))
}

fn content(text: &str) -> f64 {
    let words = text.split_whitespace().count().min(40);
    #[expect(clippy::cast_precision_loss, reason = "at most 40")]
    let length = words as f64 / 40.0;
    let signs = [text.contains('?'), text.contains("http"), text.contains('`') || text.contains("::"), text.contains('@')];
    let signs = signs.into_iter().filter(|sign| *sign).count().min(3);
    #[expect(clippy::cast_precision_loss, reason = "at most 3")]
    let signs = signs as f64 / 3.0;
    0.6 * length + 0.4 * signs
}

/// Scores messages and keeps the scores. Ids that there are no messages of are left out.
pub(crate) async fn score(pool: &PgPool, ids: &[i64]) -> Result<Vec<Score>, sqlx::Error> {
    let scores: Vec<_> = facts(pool, ids).await?.iter().map(Facts::score).collect();
    let column = |value: fn(&Score) -> f64| scores.iter().map(value).collect::<Vec<_>>();
    sqlx::query!(
        "update messages m set score = new.score, score_factors = new.factors, scored_at = now()
         from unnest($1::bigint[], $2::float8[], $3::jsonb[]) as new (id, score, factors) where m.id = new.id",
        &scores.iter().map(|score| score.message_id).collect::<Vec<_>>(),
        &column(|score| score.score),
        &scores.iter().map(|score| serde_json::json!(score.factors)).collect::<Vec<_>>(),
    )
    .execute(pool)
    .await?;
    Ok(scores)
}

async fn facts(pool: &PgPool, ids: &[i64]) -> Result<Vec<Facts>, sqlx::Error> {
    sqlx::query_as!(
        Facts,
        r#"with wanted as (select id, author, channel, content, sent_at from messages where id = any($1)),
           authors as (
               select m.author, count(*) as written, count(*) filter (
                   where exists (select from messages r where r.reply_to = m.external_id and r.author <> m.author)
               ) as answered
               from messages m where m.author in (select author from wanted) group by m.author
           )
           select w.id, w.content, a.written as "written!", a.answered as "answered!", (
               select count(*) from messages o
               where o.sent_at between w.sent_at - interval '10 minutes' and w.sent_at + interval '10 minutes'
                 and o.channel is not distinct from w.channel and o.id <> w.id
           ) as "around!"
           from wanted w join authors a using (author) order by w.id"#,
        ids,
    )
    .fetch_all(pool)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(content: &str) -> Facts {
        Facts { id: 1, content: content.to_owned(), written: 20, answered: 5, around: 3 }
    }

    #[test]
    fn what_matters_scores_higher() {
        let outage = facts("@lena the payment API went down after the deploy, 502 on every request: https://status.example/42 can you roll back?").score();
        let lunch = facts("lunch?").score();
        assert!(outage.score > lunch.score + 0.3, "{outage:?} {lunch:?}");
        assert_eq!(outage.factors.topic_name, "incident");
    }

    #[test]
    fn each_factor_moves_the_score() {
        let usual = facts("the parser reads the file twice");
        let score = usual.score().score;
        assert!(Facts { answered: 15, ..usual.clone() }.score().score > score);
        assert!(Facts { around: 9, ..usual.clone() }.score().score > score);
        assert!(facts("the parser reads the file twice, a bug").score().score > score);
        let everything = Facts { around: 99, answered: 99, ..facts(&"outage? `a` http @b ".repeat(20)) };
        assert!((everything.score().score - 1.0).abs() < 1e-9);
        assert!(Facts { around: 0, answered: 0, written: 9000, ..facts("") }.score().score >= 0.0);
    }
}
