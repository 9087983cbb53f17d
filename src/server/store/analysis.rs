//! What happened to analysis runs: their executor notes it in its own transactions, the recorder makes live messages of it.

use taskscope_wire::{AnalysisEvent, Json};

use super::{BatchTx, Store, StoreError};

impl Store {
    /// Whether something happened to a run since the last look.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn has_analysis_events(&self) -> Result<bool, StoreError> {
        let any = sqlx::query_scalar!(r#"select exists (select from analysis_events) as "any!""#);
        Ok(any.fetch_one(&self.pool).await?)
    }
}

impl BatchTx {
    /// Takes the oldest events of runs out, at most `limit`. One of a kind that this version doesn't know is dropped.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn take_analysis_events(&mut self, limit: i64) -> Result<Vec<AnalysisEvent>, StoreError> {
        let rows = sqlx::query!(
            r#"with taken as (
                   delete from analysis_events where id in (select id from analysis_events order by id limit $1) returning id, event, data
               )
               select event as "event!", data::text as "data!" from taken order by id"#,
            limit,
        )
        .fetch_all(&mut *self.tx)
        .await?;
        Ok(rows
            .into_iter()
            .filter_map(|row| Some(AnalysisEvent { event: row.event.parse().ok()?, data: Json::parse(row.data).ok()?, seq: 0 }))
            .collect())
    }
}
