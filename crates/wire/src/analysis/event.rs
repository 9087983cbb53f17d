//! What happens to runs, as `/ws` tells it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Run;
use crate::Json;

/// What happened to a run.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum AnalysisEventKind {
    /// It began; the data is the run.
    RunStarted,
    /// A batch began; the data is a `Progress`.
    ProgressUpdated,
    /// A batch gave proposals; the data is a `ProposalsCreated`.
    ProposalsCreated,
    /// It is completed; the data is the run.
    RunCompleted,
    /// It failed; the data is the run.
    RunFailed,
    /// Somebody cancelled, reviewed or closed it; the data is the run.
    RunUpdated,
}

/// What happened to a run, as `/ws` sends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AnalysisEvent {
    /// What happened.
    pub event: AnalysisEventKind,
    /// The run or its progress, by the kind of event.
    pub data: Json,
    /// Its number in the stream.
    #[serde(default)]
    pub seq: i64,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Progress {
    /// The run.
    pub run_id: Uuid,
    /// The batch that has begun, from 1.
    pub current_batch: i64,
    /// How many batches there are.
    pub total_batches: i64,
    /// Batches done.
    pub batches_done: i64,
    /// Messages done.
    pub messages_processed: i64,
    /// Messages to do in all.
    pub messages_after_prefilter: i64,
    /// Proposals so far.
    pub proposals_total: i64,
    /// Tokens asked and answered so far.
    pub llm_tokens: i64,
    /// What that cost, in US dollars.
    pub cost: Option<f64>,
}

/// What a batch gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProposalsCreated {
    /// How many proposals the batch gave.
    pub proposals_count: i64,
    /// How far the run is with it.
    #[serde(flatten)]
    pub progress: Progress,
}

/// What an event says, read.
#[derive(Debug, Clone, PartialEq)]
pub enum AnalysisUpdate {
    /// The run as it is now, without its snapshot of the configuration.
    Run(Box<Run>),
    /// How far it is.
    Progress(Progress),
}

impl AnalysisEvent {
    /// Reads the data.
    ///
    /// # Errors
    /// It is of another version.
    pub fn update(&self) -> Result<AnalysisUpdate, serde_json::Error> {
        let data = self.data.as_str();
        Ok(match self.event {
            AnalysisEventKind::ProgressUpdated | AnalysisEventKind::ProposalsCreated => {
                AnalysisUpdate::Progress(serde_json::from_str(data)?)
            }
            _ => AnalysisUpdate::Run(serde_json::from_str(data)?),
        })
    }

    /// The run that it is about.
    #[must_use]
    pub fn run_id(&self) -> Option<Uuid> {
        match self.update().ok()? {
            AnalysisUpdate::Run(run) => Some(run.id),
            AnalysisUpdate::Progress(progress) => Some(progress.run_id),
        }
    }
}

impl Run {
    /// Advances the run by an event; one of another run changes nothing.
    pub fn apply(&mut self, update: &AnalysisUpdate) {
        match update {
            AnalysisUpdate::Run(run) if run.id == self.id => {
                let config_snapshot = self.config_snapshot.take();
                *self = (**run).clone();
                self.config_snapshot = config_snapshot;
            }
            AnalysisUpdate::Progress(progress) if progress.run_id == self.id => self.advance(progress),
            _ => {}
        }
    }

    /// One that is older than what is known changes nothing.
    fn advance(&mut self, progress: &Progress) {
        if (progress.batches_done, progress.proposals_total) < (self.batches_done, self.proposals_total) {
            return;
        }
        let created = progress.proposals_total - self.proposals_total;
        self.proposals_pending += created.max(0);
        self.proposals_total = progress.proposals_total;
        self.batches_created = progress.total_batches;
        self.batches_done = progress.batches_done;
        self.messages_processed = progress.messages_processed;
        self.messages_after_prefilter = progress.messages_after_prefilter;
        self.llm_tokens = progress.llm_tokens;
        self.cost = progress.cost;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use chrono::DateTime;

    use super::*;
    use crate::RunStatus;

    fn run() -> Run {
        let zeroes = [
            "total_messages_in_window",
            "messages_after_prefilter",
            "messages_processed",
            "batches_created",
            "batches_done",
            "proposals_total",
            "proposals_pending",
            "proposals_approved",
            "proposals_rejected",
            "proposals_merged",
            "llm_tokens",
            "prompt_tokens",
            "completion_tokens",
        ];
        let mut run = json!({
            "id": Uuid::from_u128(1), "status": "running", "time_window_start": DateTime::UNIX_EPOCH,
            "time_window_end": DateTime::UNIX_EPOCH, "agent_assignment_id": Uuid::from_u128(2), "trigger_type": "manual",
            "config_snapshot": {"model_name": "m"}, "created_at": DateTime::UNIX_EPOCH,
        });
        for field in zeroes {
            run[field] = 0.into();
        }
        serde_json::from_value(run).unwrap()
    }

    fn event(event: &str, data: &serde_json::Value) -> AnalysisUpdate {
        let text = json!({"event": event, "data": data, "seq": 1}).to_string();
        serde_json::from_str::<AnalysisEvent>(&text).unwrap().update().unwrap()
    }

    #[test]
    fn a_run_follows_its_events() {
        let mut shown = run();
        let progress = json!({
            "run_id": shown.id, "current_batch": 2, "total_batches": 3, "batches_done": 1, "messages_processed": 15,
            "messages_after_prefilter": 45, "proposals_total": 2, "llm_tokens": 700, "cost": 0.01, "proposals_count": 2,
        });
        shown.apply(&event("proposals_created", &progress));
        assert_eq!((shown.batches_done, shown.batches_created, shown.proposals_pending, shown.cost), (1, 3, 2, Some(0.01)));
        let mut older = progress.clone();
        older["proposals_total"] = 1.into();
        older["llm_tokens"] = 300.into();
        shown.apply(&event("proposals_created", &older));
        older["batches_done"] = 0.into();
        older["proposals_total"] = 4.into();
        shown.apply(&event("progress_updated", &older));
        assert_eq!((shown.batches_done, shown.proposals_total, shown.llm_tokens), (1, 2, 700), "an older event changes nothing");
        shown.apply(&event("proposals_created", &progress));
        assert_eq!(shown.proposals_pending, 2, "the same event twice counts once");
        let mut other = progress;
        other["run_id"] = json!(Uuid::from_u128(9));
        other["batches_done"] = 3.into();
        shown.apply(&event("progress_updated", &other));
        assert_eq!(shown.batches_done, 1, "an event of another run changes nothing");
        let done = Run { status: RunStatus::Completed, config_snapshot: None, ..run() };
        shown.apply(&event("run_completed", &serde_json::to_value(&done).unwrap()));
        assert_eq!(shown.status, RunStatus::Completed);
        assert!(shown.config_snapshot.is_some(), "what live messages leave out is kept");
    }
}
