//! What is redacted beyond the defaults, and the texts that a preview looks at.

use chrono::{DateTime, Utc};
use taskscope_wire::RedactionRules;

use super::{Store, StoreError, read};

/// The rules as they are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRules {
    /// What people have set.
    pub rules: RedactionRules,
    /// Goes up with every change.
    pub version: i64,
    /// When they were changed, if they ever were.
    pub changed_at: Option<DateTime<Utc>>,
}

/// What of an execution can hold secrets; values of JSON as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionTexts {
    /// Its id.
    pub id: i64,
    /// Its task type.
    pub task_name: String,
    /// What it was called with.
    pub params: Option<String>,
    /// Its labels.
    pub labels: Option<String>,
    /// What it returned.
    pub result: Option<String>,
    /// Why it failed.
    pub error_message: Option<String>,
    /// Where it failed.
    pub error_traceback: Option<String>,
}

impl Store {
    /// The rules that hold.
    ///
    /// # Errors
    /// Postgres doesn't answer, or the tables aren't there yet.
    pub async fn redaction_rules(&self) -> Result<StoredRules, StoreError> {
        read(async {
            let row = sqlx::query!("select keys, patterns, exceptions, version, changed_at from redaction")
                .fetch_one(&self.pool)
                .await?;
            let rules = RedactionRules { keys: row.keys, patterns: row.patterns, exceptions: row.exceptions };
            Ok(StoredRules { rules, version: row.version, changed_at: row.changed_at })
        })
        .await
    }

    /// Puts others in their place.
    ///
    /// # Errors
    /// Postgres doesn't answer.
    pub async fn save_redaction_rules(&self, rules: &RedactionRules) -> Result<StoredRules, StoreError> {
        let row = sqlx::query!(
            r#"update redaction set keys = $1, patterns = $2, exceptions = $3, version = version + 1, changed_at = now()
               returning version, changed_at"#,
            &rules.keys,
            &rules.patterns,
            &rules.exceptions,
        );
        let row = row.fetch_one(&self.pool).await?;
        Ok(StoredRules { rules: rules.clone(), version: row.version, changed_at: row.changed_at })
    }

    /// The texts of the newest executions, newest first: so many, or fewer once they have more than so many bytes.
    ///
    /// # Errors
    /// Postgres doesn't answer, or not in time.
    pub async fn newest_texts(&self, most: i64, most_bytes: i64) -> Result<Vec<ExecutionTexts>, StoreError> {
        read(async {
            let mut tx = self.snapshot().await?;
            let texts = sqlx::query_as!(
                ExecutionTexts,
                r#"with newest as (
                       select id, created_at, task_name, params::text, labels::text, result::text, error_message, error_traceback
                       from task_execution_logs order by created_at desc, id desc limit $1
                   ), summed as (
                       select *, sum(coalesce(length(params), 0) + coalesce(length(labels), 0) + coalesce(length(result), 0)
                           + coalesce(length(error_message), 0) + coalesce(length(error_traceback), 0))
                           over (order by created_at desc, id desc) as bytes
                       from newest
                   )
                   select id as "id!", task_name as "task_name!", params, labels, result, error_message, error_traceback
                   from summed where bytes <= $2 order by created_at desc, id desc"#,
                most,
                most_bytes as _,
            );
            Ok(texts.fetch_all(&mut *tx).await?)
        })
        .await
    }
}
