use sqlx::PgConnection;
use uuid::Uuid;

use super::keywords;

/// A project as proposals are matched with it; the keywords are in lower case.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) id: Uuid,
    pub(super) keywords: Vec<String>,
}

/// The active projects, kept from being deleted until the transaction ends.
pub(super) async fn candidates(db: &mut PgConnection) -> Result<Vec<Candidate>, sqlx::Error> {
    let rows = sqlx::query!("select id, keywords from projects where is_active order by name, id for key share");
    let rows = rows.fetch_all(db).await?;
    let lower = |keywords: Vec<String>| keywords.iter().map(|word| word.to_lowercase()).collect();
    Ok(rows.into_iter().map(|row| Candidate { id: row.id, keywords: lower(row.keywords) }).collect())
}

/// The project with the most keywords in the text; of several the first by name.
pub(super) fn project(candidates: &[Candidate], text: &str) -> Option<Uuid> {
    let text = text.to_lowercase();
    let matches = |candidate: &Candidate| candidate.keywords.iter().filter(|word| keywords::has(&text, word)).count();
    let counted = candidates.iter().map(|candidate| (matches(candidate), candidate.id));
    counted.filter(|(count, _)| *count > 0).rev().max_by_key(|(count, _)| *count).map(|(_, id)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_matches_win_and_the_first_of_equals() {
        let [one, two, three] = [1, 2, 3].map(Uuid::from_u128);
        let candidate = |id, words: &[&str]| Candidate { id, keywords: words.iter().map(|word| (*word).to_owned()).collect() };
        let candidates =
            [candidate(one, &["import", "parser"]), candidate(two, &["import", "queue", "retry"]), candidate(three, &["import"])];
        assert_eq!(project(&candidates, "The Import queue is stuck"), Some(two));
        assert_eq!(project(&candidates, "imports are slow"), Some(one));
        assert_eq!(project(&candidates, "lunch"), None);
    }
}
