use std::{sync::Arc, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};
use taskscope_wire::{Json, NativeEvent, NativeKind, Numbering, limits};

use crate::{
    Failure, Work,
    work::{beginning, bounded},
};

/// Bytes that are left of each text of an event that is too large as a whole, and of each value. Even with every byte of a text escaped
/// as `\u0001` they fit into [`limits::EVENT`]. Values that were cut before are no longer than this.
const SLIM_TEXT: usize = 8 * 1024;
const SLIM_JSON: usize = limits::JSON / 2 + 64;

/// What waits to be sent. It becomes JSON in the background.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) work: Arc<Work>,
    pub(crate) at: DateTime<Utc>,
    pub(crate) step: Step,
}

#[derive(Debug)]
pub(crate) enum Step {
    Queued,
    Started,
    Finished(Box<End>),
}

#[derive(Debug)]
pub(crate) struct End {
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) duration: Duration,
    pub(crate) outcome: Outcome,
}

#[derive(Debug)]
pub(crate) enum Outcome {
    Succeeded(Option<Json>),
    Failed(Failure),
}

impl Outcome {
    /// The same in a size that the server takes.
    pub(crate) fn bounded(self) -> Self {
        match self {
            Self::Succeeded(result) => Self::Succeeded(result.map(|json| bounded(json, limits::RESULT))),
            Self::Failed(failure) => Self::Failed(failure.bounded()),
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Succeeded(result) => result.as_ref().map_or(0, |json| json.as_str().len()),
            Self::Failed(failure) => failure.size(),
        }
    }
}

impl Event {
    /// About the bytes that it holds. What two events of one run share is counted twice.
    pub(crate) fn size(&self) -> usize {
        let end = match &self.step {
            Step::Queued | Step::Started => 0,
            Step::Finished(end) => size_of::<End>() + end.outcome.size(),
        };
        size_of::<Self>() + self.work.size() + end
    }

    /// The JSON text that is sent.
    pub(crate) fn encode(self, worker: &str) -> String {
        let event = self.into_native(worker);
        let text = to_json(&event);
        if text.len() <= limits::EVENT { text } else { to_json(&slim(event)) }
    }

    fn into_native(self, worker: &str) -> NativeEvent {
        let work = &*self.work;
        let mut event = NativeEvent {
            kind: NativeKind::TaskQueued,
            task_id: work.task_id.clone(),
            task_name: Some(work.task_name.clone()),
            timestamp: timestamp(self.at),
            event_id: None,
            numbering: Numbering::Attempt,
            attempt: work.attempt,
            started_at: None,
            max_retries: work.max_retries,
            queue: work.queue.clone(),
            // Who sends a task to its queue doesn't run it.
            worker: (!matches!(self.step, Step::Queued)).then(|| worker.to_owned()),
            labels: work.labels.clone(),
            params: work.params.clone(),
            duration_ms: None,
            error_type: None,
            error_message: None,
            error_traceback: None,
            result: None,
        };
        match self.step {
            Step::Queued => {}
            Step::Started => event.kind = NativeKind::TaskStarted,
            Step::Finished(end) => end.write_into(&mut event),
        }
        event
    }
}

impl End {
    fn write_into(self, event: &mut NativeEvent) {
        event.started_at = Some(timestamp(self.started_at));
        event.duration_ms = Some(self.duration.as_secs_f64() * 1000.0);
        match self.outcome {
            Outcome::Succeeded(result) => {
                event.kind = NativeKind::TaskCompleted;
                event.result = result;
            }
            Outcome::Failed(failure) => {
                event.kind = NativeKind::TaskFailed;
                event.error_type = failure.error_type;
                event.error_message = Some(failure.message);
                event.error_traceback = failure.traceback;
            }
        }
    }
}

fn timestamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn to_json(event: &NativeEvent) -> String {
    // Strings, numbers and JSON can always be written. If they couldn't, the server would refuse the empty event, and it would be counted.
    serde_json::to_string(event).unwrap_or_else(|_| "{}".to_owned())
}

/// The event with the beginning of everything that may be long.
fn slim(mut event: NativeEvent) -> NativeEvent {
    for json in [&mut event.params, &mut event.labels, &mut event.result].into_iter().flatten() {
        if json.as_str().len() > SLIM_JSON {
            *json = beginning(json, limits::JSON / 4);
        }
    }
    if let Some(message) = event.error_message.take() {
        let failure = Failure { error_type: event.error_type.take(), message, traceback: event.error_traceback.take() };
        let failure = failure.cut_to(SLIM_TEXT);
        event.error_type = failure.error_type;
        event.error_message = Some(failure.message);
        event.error_traceback = failure.traceback;
    }
    event
}
