use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{config::AnalysisConfig, llm::SourceMessage};

/// With what a run asks: its agent, provider and schema as they were when it began. Never with a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Setup {
    pub(super) agent_id: Uuid,
    pub(super) agent_name: String,
    pub(super) provider_id: Uuid,
    pub(super) provider_name: String,
    pub(super) provider_type: String,
    pub(super) model_name: String,
    pub(super) system_prompt: String,
    pub(super) temperature: f64,
    pub(super) max_tokens: i32,
    pub(super) task_config_id: Uuid,
    pub(super) task_config_name: String,
    pub(super) response_schema: Value,
}

/// A run's `config_snapshot`: what it goes by from its beginning to its end, whatever is changed meanwhile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Snapshot {
    #[serde(flatten)]
    pub(super) setup: Setup,
    /// Words that choose messages, of the project or the configuration.
    pub(super) keywords: Vec<String>,
    pub(super) min_length: usize,
    pub(super) batch_messages: usize,
    pub(super) batch_tokens: usize,
}

impl Setup {
    /// What an assignment stands for; or why it can't be used.
    pub(super) async fn of_assignment(db: &mut PgConnection, assignment: Uuid) -> Result<Result<Self, String>, sqlx::Error> {
        let row = sqlx::query!(
            "select s.is_active as assignment_active, a.is_active as agent_active, p.is_active as provider_active,
                 c.is_active as config_active, a.id as agent_id, a.name as agent_name, p.id as provider_id, p.name as provider_name,
                 p.type as provider_type, model_name, system_prompt, temperature, max_tokens, c.id as task_config_id,
                 c.name as task_config_name, response_schema
             from agent_assignments s join agents a on a.id = s.agent_id join providers p on p.id = a.provider_id
                 join task_configs c on c.id = s.task_id
             where s.id = $1",
            assignment,
        )
        .fetch_optional(db)
        .await?;
        let Some(row) = row else { return Ok(Err(format!("there is no agent assignment {assignment}"))) };
        let parts = [
            (row.assignment_active, format!("agent assignment {assignment}")),
            (row.agent_active, format!("agent {:?}", row.agent_name)),
            (row.provider_active, format!("provider {:?}", row.provider_name)),
            (row.config_active, format!("task config {:?}", row.task_config_name)),
        ];
        if let Some((_, part)) = parts.into_iter().find(|(active, _)| !active) {
            return Ok(Err(format!("the {part} is not active")));
        }
        Ok(Ok(Self {
            agent_id: row.agent_id,
            agent_name: row.agent_name,
            provider_id: row.provider_id,
            provider_name: row.provider_name,
            provider_type: row.provider_type,
            model_name: row.model_name,
            system_prompt: row.system_prompt,
            temperature: row.temperature,
            max_tokens: row.max_tokens,
            task_config_id: row.task_config_id,
            task_config_name: row.task_config_name,
            response_schema: row.response_schema,
        }))
    }
}

impl Snapshot {
    /// What a run goes by that begins now.
    pub(super) async fn take(
        db: &mut PgConnection,
        setup: Setup,
        project: Option<Uuid>,
        config: &AnalysisConfig,
    ) -> Result<Self, sqlx::Error> {
        let of_project = match project {
            Some(id) => sqlx::query_scalar!("select keywords from projects where id = $1", id).fetch_optional(db).await?,
            None => None,
        };
        Ok(Self {
            setup,
            keywords: of_project.unwrap_or_else(|| config.keywords.clone()),
            min_length: config.min_length,
            batch_messages: config.batch_messages,
            batch_tokens: config.batch_tokens,
        })
    }
}

/// About how many tokens a message is for a model: a quarter of its characters, name and time among them.
pub(super) fn tokens(message: &SourceMessage) -> usize {
    const TIME: usize = 24;
    (message.content.chars().count() + message.author.chars().count() + TIME).div_ceil(4)
}
