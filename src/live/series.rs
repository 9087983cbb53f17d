use std::sync::Arc;

use chrono::{DateTime, Utc};
use taskscope_wire::{LiveEvent, Series, TaskStatus};

use super::Next;

/// A series that was fetched, and what the stream says of it since.
///
/// It promises that an event counts once: those up to the place of the series are in it, later ones move its counts. The last step takes what is
/// created after its end too, until the series is fetched again. Times are those that were fetched; the oldest that waits may have been younger than
/// is said, until then.
#[derive(Debug, Default)]
pub struct LiveSeries {
    series: Series,
}

impl LiveSeries {
    /// Takes a series that was fetched, and what came after it.
    pub fn load(&mut self, series: Series, later: &[Arc<LiveEvent>]) -> Next {
        self.series = series;
        later.iter().fold(Next::Go, |next, event| next.and(self.apply(event)))
    }

    /// The series as it is now.
    #[must_use]
    pub const fn series(&self) -> &Series {
        &self.series
    }

    /// Moves the counts by an event, if they don't hold it yet.
    pub fn apply(&mut self, event: &LiveEvent) -> Next {
        if event.seq <= self.series.position.seq {
            return Next::Go;
        }
        self.series.position.seq = event.seq;
        let is_counted = |name: &String| self.series.task_name.as_ref().is_none_or(|counted| counted == name);
        let was = event.data.previous.as_ref().filter(|was| is_counted(&was.task_name));
        let is = is_counted(&event.task_name);
        if event.data.refetch {
            return if is || was.is_some() { Next::Refetch } else { Next::Go };
        }
        if let Some(was) = was {
            self.shift(was.created_at, was.status, -1);
        }
        if is {
            self.shift(event.data.created_at, event.status, 1);
        }
        Next::Go
    }

    fn shift(&mut self, at: DateTime<Utc>, status: TaskStatus, by: i64) {
        if let Some(step) = self.series.step_of(at).and_then(|step| self.series.steps.get_mut(step)) {
            *step.count_mut(status) += by;
        }
        if status == TaskStatus::Pending {
            // What waits may be older than the window.
            self.series.waiting = (self.series.waiting + by).max(0);
            let waiting = self.series.waiting;
            let oldest = &mut self.series.oldest_waiting_since;
            if waiting == 0 {
                *oldest = None;
            } else if by > 0 {
                *oldest = Some(oldest.map_or(at, |oldest| oldest.min(at)));
            }
            if let Some(last) = self.series.steps.last_mut() {
                last.queue_depth = last.queue_depth.max(Some(waiting));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use taskscope_wire::{LiveData, Position, Previous, SeriesStep};

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(1_795_257_000 + seconds)
    }

    fn series(task_name: Option<&str>) -> Series {
        Series {
            task_name: task_name.map(str::to_owned),
            start: at(0),
            generated_at: at(150),
            position: Position { epoch: "e".to_owned(), seq: 10 },
            step_seconds: 60,
            steps: vec![SeriesStep::default(); 3],
            ..Series::default()
        }
    }

    fn event(seq: i64, name: &str, created: i64, status: TaskStatus, was: Option<TaskStatus>) -> Arc<LiveEvent> {
        let previous =
            was.map(|status| Previous { task_name: name.to_owned(), status, duration_ms: None, created_at: at(created) });
        Arc::new(LiveEvent {
            kind: LiveEvent::kind_of(status),
            task_name: name.to_owned(),
            status,
            timestamp: at(created),
            data: LiveData {
                task_id: 1,
                broker_task_id: None,
                attempt: 1,
                duration_ms: None,
                error_message: None,
                params: None,
                created_at: at(created),
                previous,
                refetch: false,
            },
            seq,
        })
    }

    #[test]
    fn an_event_counts_once_in_the_step_that_it_was_created_in() {
        let mut live = LiveSeries::default();
        let later = [
            event(10, "t", 130, TaskStatus::Pending, None),
            event(11, "t", 70, TaskStatus::Pending, None),
            event(12, "t", 70, TaskStatus::Running, Some(TaskStatus::Pending)),
            event(12, "t", 70, TaskStatus::Running, Some(TaskStatus::Pending)),
            event(13, "other", 70, TaskStatus::Failed, None),
            event(14, "t", -1, TaskStatus::Success, Some(TaskStatus::Pending)),
            event(15, "t", 500, TaskStatus::Pending, None),
        ];
        assert_eq!(live.load(series(Some("t")), &later), Next::Go);
        let running = SeriesStep { running: 1, ..SeriesStep::default() };
        let last = SeriesStep { pending: 1, queue_depth: Some(1), ..SeriesStep::default() };
        assert_eq!(live.series().steps, [SeriesStep::default(), running, last]);
        assert_eq!(live.series().waiting, 1, "what is older than the window has left the queue too");
        assert_eq!(live.series().oldest_waiting_since, Some(at(500)), "the others wait no more");
    }

    #[test]
    fn all_task_types_together_take_every_event() {
        let mut live = LiveSeries::default();
        let later = [event(11, "t", 70, TaskStatus::Success, None), event(12, "other", 70, TaskStatus::Failed, None)];
        assert_eq!(live.load(series(None), &later), Next::Go);
        assert_eq!((live.series().steps[1].success, live.series().steps[1].failed), (1, 1));
    }

    #[test]
    fn what_was_written_by_sql_is_fetched() {
        let mut live = LiveSeries::default();
        let foreign = |seq, name| {
            let mut event = LiveEvent::clone(&event(seq, name, 70, TaskStatus::Success, None));
            event.data.refetch = true;
            Arc::new(event)
        };
        assert_eq!(live.load(series(Some("t")), &[foreign(11, "other")]), Next::Go);
        assert_eq!(live.apply(&foreign(12, "t")), Next::Refetch);
        assert_eq!(live.series().sum().total(), 0);
    }
}
