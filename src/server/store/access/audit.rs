//! What somebody did, or tried.

use taskscope_wire::{AuditEntry, AuditQuery, Page};

use crate::server::store::{Store, StoreError, read};

/// Something to be written down.
#[derive(Debug, Clone, Default)]
pub struct Action {
    /// Who; empty for somebody unknown.
    pub actor: String,
    /// How they came in.
    pub via: &'static str,
    /// Where they called from.
    pub address: Option<String>,
    /// Method and route.
    pub action: String,
    /// The path, and what the action itself adds.
    pub target: String,
    /// The HTTP status of the answer.
    pub status: u16,
    /// The number of the request.
    pub request_id: Option<String>,
}

impl Store {
    /// Writes an action down.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn note_action(&self, action: &Action) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into audit_log (actor, via, address, action, target, status, request_id) values ($1, $2, $3, $4, $5, $6, $7)",
            action.actor,
            action.via,
            action.address,
            action.action,
            action.target,
            action.status.cast_signed(),
            action.request_id
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// A page of the audit log, newest first.
    ///
    /// # Errors
    /// Postgres doesn't answer, or not in time.
    pub async fn audit_page(&self, query: &AuditQuery) -> Result<Page<AuditEntry>, StoreError> {
        read(async {
            let mut tx = self.snapshot().await?;
            let total = sqlx::query_scalar!(
                r#"select count(*) as "count!" from audit_log where $1::text is null or actor = $1"#,
                query.actor
            );
            let total = total.fetch_one(&mut *tx).await?;
            let entries = sqlx::query_as!(
                AuditEntry,
                "select id, at, actor, via, address, action, target, status, request_id from audit_log
                 where $1::text is null or actor = $1 order by id desc limit $2 offset $3",
                query.actor,
                query.page_size,
                (query.page - 1) * query.page_size,
            );
            let entries = entries.fetch_all(&mut *tx).await?;
            Ok(Page::new(total, query.page, query.page_size, entries))
        })
        .await
    }
}
