use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// Texts this much alike say the same: pg_trgm's measure, from 0 to 1.
const LIKE_TEXT: &str = "0.6";
/// Vectors this close say the same: the cosine between them.
const LIKE_VECTOR: f64 = 0.85;
/// So many of the newest proposals are compared by vector.
const COMPARED: i64 = 2000;

/// The earlier proposal whose text is most like this one, if it is like enough. Only one that duplicates no other is asked, so that
/// duplicates make no chains.
pub(super) async fn by_text(db: &mut PgConnection, text: &str) -> Result<Option<(Uuid, f64)>, sqlx::Error> {
    sqlx::query!("select set_config('pg_trgm.similarity_threshold', $1, true)", LIKE_TEXT).fetch_one(&mut *db).await?;
    let found = sqlx::query!(
        r#"select id, similarity(proposed_title || ' ' || proposed_description, $1)::float8 as "similarity!" from proposals
           where duplicate_of is null and (proposed_title || ' ' || proposed_description) % $1
           order by 2 desc, created_at, id limit 1"#,
        text,
    );
    Ok(found.fetch_optional(db).await?.map(|row| (row.id, row.similarity)))
}

/// The vectors of earlier proposals that duplicate no other.
#[derive(Debug, Default)]
pub(super) struct Vectors(Vec<(Uuid, Vec<f32>)>);

impl Vectors {
    /// Those of the newest proposals, by this model.
    pub(super) async fn load(pool: &PgPool, model: &str) -> Result<Self, sqlx::Error> {
        let rows = sqlx::query!(
            "select p.id, e.vector from proposals p
             join embeddings e on e.subject_type = 'proposal' and e.subject_id = p.id::text and e.model = $1
             where p.duplicate_of is null order by p.created_at desc, p.id desc limit $2",
            model,
            COMPARED,
        );
        Ok(Self(rows.fetch_all(pool).await?.into_iter().map(|row| (row.id, row.vector)).collect()))
    }

    /// The closest one, if it is close enough.
    pub(super) fn nearest(&self, vector: &[f32]) -> Option<(Uuid, f64)> {
        let all = self.0.iter().filter_map(|(id, other)| Some((*id, cosine(vector, other)?)));
        all.filter(|(_, cosine)| *cosine >= LIKE_VECTOR).max_by(|one, other| one.1.total_cmp(&other.1))
    }

    pub(super) fn add(&mut self, id: Uuid, vector: Vec<f32>) {
        self.0.push((id, vector));
    }
}

/// Between -1 and 1; none where the lengths differ or there is no direction.
fn cosine(one: &[f32], other: &[f32]) -> Option<f64> {
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let norms = (product(one, one) * product(other, other)).sqrt();
    (one.len() == other.len() && norms.is_normal()).then(|| (product(one, other) / norms).clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_vector_is_found_if_it_is_close() {
        let [one, two] = [1, 2].map(Uuid::from_u128);
        let mut vectors = Vectors::default();
        vectors.add(one, vec![1.0, 0.0]);
        vectors.add(two, vec![0.8, 0.6]);
        assert_eq!(vectors.nearest(&[2.0, 0.0]), Some((one, 1.0)));
        assert_eq!(vectors.nearest(&[0.7, 0.6]).map(|(id, _)| id), Some(two));
        assert_eq!(vectors.nearest(&[0.0, 1.0]), None);
        assert_eq!(vectors.nearest(&[0.0, 0.0]), None);
        assert_eq!(vectors.nearest(&[1.0, 0.0, 0.0]), None, "of another length");
    }
}
