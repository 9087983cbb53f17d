use std::collections::VecDeque;

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// Texts this much alike say the same: pg_trgm's measure, from 0 to 1.
const LIKE_TEXT: &str = "0.6";
/// So many characters of a text are compared, as the index has it.
const COMPARED_TEXT: usize = 2000;
/// Vectors this close say the same: the cosine between them.
const LIKE_VECTOR: f64 = 0.85;
/// So many of the newest proposals are compared by vector.
const COMPARED: usize = 2000;

/// Sets up a transaction for [`by_text`]. Postgres takes comparing texts for cheap and would look at every row as long as it thinks that
/// there are few, so it is left no choice but the index.
pub(super) async fn prepare(db: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "select set_config('pg_trgm.similarity_threshold', $1, true) as likeness, set_config('enable_seqscan', 'off', true) as scan,
             set_config('enable_sort', 'off', true) as sort",
        LIKE_TEXT,
    )
    .fetch_one(db)
    .await?;
    Ok(())
}

/// The earlier proposal whose text is most like this one, if it is like enough. Only one that duplicates no other is asked, so that
/// duplicates make no chains.
pub(super) async fn by_text(db: &mut PgConnection, text: &str) -> Result<Option<(Uuid, f64)>, sqlx::Error> {
    let found = sqlx::query!(
        r#"select id, similarity(left(proposed_title || ' ' || proposed_description, 2000), $1)::float8 as "similarity!" from proposals
           where duplicate_of is null and left(proposed_title || ' ' || proposed_description, 2000) % $1
           order by left(proposed_title || ' ' || proposed_description, 2000) <-> $1 limit 1"#,
        text.chars().take(COMPARED_TEXT).collect::<String>(),
    );
    Ok(found.fetch_optional(db).await?.map(|row| (row.id, row.similarity)))
}

/// The vectors of the newest proposals that duplicate no other, for as long as an attempt works on its run. What other runs propose
/// meanwhile is found by its text alone.
#[derive(Debug, Default)]
pub(super) struct Vectors {
    model: String,
    /// Whether there are none to be had: every question about them would cost as much as the one that failed.
    missing: bool,
    /// The oldest first. Each has length 1, so that the product of two is the cosine between them.
    kept: VecDeque<(Uuid, Vec<f32>)>,
}

impl Vectors {
    /// Reads those of this model, unless that is done.
    pub(super) async fn know(&mut self, pool: &PgPool, model: &str) -> Result<(), sqlx::Error> {
        if self.model == model {
            return Ok(());
        }
        let rows = sqlx::query!(
            "select p.id, e.vector from proposals p
             join embeddings e on e.subject_type = 'proposal' and e.subject_id = p.id::text and e.model = $1
             where p.duplicate_of is null order by p.created_at desc, p.id desc limit $2",
            model,
            i64::try_from(COMPARED).unwrap_or(i64::MAX),
        );
        let rows = rows.fetch_all(pool).await?;
        *self = Self { model: model.to_owned(), ..Self::default() };
        rows.into_iter().rev().for_each(|row| self.add(row.id, &row.vector));
        Ok(())
    }

    /// Notes that there are none to be had for as long as this attempt goes on.
    pub(super) fn miss(&mut self) {
        self.missing = true;
    }

    /// Whether there are none to be had.
    pub(super) fn are_missing(&self) -> bool {
        self.missing
    }

    /// The closest one, if it is close enough.
    pub(super) fn nearest(&self, vector: &[f32]) -> Option<(Uuid, f64)> {
        let vector = of_length_one(vector)?;
        let same_kind = self.kept.iter().filter(|(_, other)| other.len() == vector.len());
        let cosines = same_kind.map(|(id, other)| (*id, f64::from(product(&vector, other)).clamp(-1.0, 1.0)));
        cosines.filter(|(_, cosine)| *cosine >= LIKE_VECTOR).max_by(|one, other| one.1.total_cmp(&other.1))
    }

    /// One more; the oldest makes room for it.
    pub(super) fn add(&mut self, id: Uuid, vector: &[f32]) {
        if self.kept.len() == COMPARED {
            self.kept.pop_front();
        }
        self.kept.extend(of_length_one(vector).map(|vector| (id, vector)));
    }
}

fn product(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

/// None where there is no direction.
fn of_length_one(vector: &[f32]) -> Option<Vec<f32>> {
    let length = product(vector, vector).sqrt();
    length.is_normal().then(|| vector.iter().map(|part| part / length).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_vector_is_found_if_it_is_close() {
        let [one, two] = [1, 2].map(Uuid::from_u128);
        let mut vectors = Vectors::default();
        vectors.add(one, &[3.0, 0.0]);
        vectors.add(two, &[0.8, 0.6]);
        assert_eq!(vectors.nearest(&[2.0, 0.0]), Some((one, 1.0)));
        assert_eq!(vectors.nearest(&[0.7, 0.6]).map(|(id, _)| id), Some(two));
        assert_eq!(vectors.nearest(&[0.0, 1.0]), None);
        assert_eq!(vectors.nearest(&[0.0, 0.0]), None);
        assert_eq!(vectors.nearest(&[1.0, 0.0, 0.0]), None, "of another length");
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut vectors = Vectors::default();
        for number in 0..=u128::try_from(COMPARED).unwrap() {
            vectors.add(Uuid::from_u128(number), if number == 0 { &[0.0, 1.0] } else { &[1.0, 0.0] });
        }
        assert_eq!((vectors.kept.len(), vectors.nearest(&[0.0, 1.0])), (COMPARED, None));
    }
}
