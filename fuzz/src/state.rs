//! What a page knows of a server that changes while messages and snapshots are under way, in any order that a network allows.
//!
//! The model is a log: every change gets a number, and the counts at any number are known by counting. Whenever the page has not asked for
//! a new snapshot, its counts must be those of the place that it has reached.

use std::collections::{BTreeMap, VecDeque};

use arbitrary::{Arbitrary, Unstructured};
use chrono::TimeDelta;
use taskscope_wire::{
    LiveData, LiveEvent, LiveMessage, Metrics, MissedEvents, Position, Previous, REGISTERED_TASK_TYPES, TaskMetrics, TaskStatus,
};

use crate::{
    dashboard::{Dashboard, FEED, Next},
    now,
};

/// Task types: one that is registered, and two that aren't.
const NAMES: [&str; 3] = ["score_message_task", "a", "b"];
/// Executions of the model.
const EXECUTIONS: usize = 6;

#[derive(Debug, Arbitrary)]
enum Step {
    /// An execution changes, or begins.
    Change {
        execution: u8,
        name: u8,
        status: u8,
        duration: u16,
    },
    /// The same by SQL.
    BySql {
        execution: u8,
        name: u8,
        status: u8,
    },
    /// A row is deleted by SQL.
    Deleted {
        execution: u8,
    },
    /// Messages arrive.
    Deliver {
        messages: u8,
    },
    /// The last message arrives again.
    Again,
    /// The watcher was too slow for some messages.
    Gap {
        messages: u8,
    },
    /// Metrics are read, and arrive later.
    FetchMetrics,
    ArriveMetrics,
    /// The newest events are read, and arrive later.
    FetchFeed,
    ArriveFeed,
    /// The connection ends and another one begins.
    Reconnect {
        recovered: bool,
    },
    /// The server begins another stream.
    Restart,
}

/// How an execution stands.
type Row = (&'static str, TaskStatus, Option<i64>);
/// Pending, running, success, failed, and the sum of the durations that count.
type Counts = BTreeMap<String, [i64; 5]>;

struct World {
    epoch: u32,
    rows: [Option<Row>; EXECUTIONS],
    /// The stream since its beginning: a message each, and the counts after it.
    log: Vec<(LiveMessage, Counts)>,
    pipe: VecDeque<LiveMessage>,
    last: Option<LiveMessage>,
    /// Fetches are numbered: one that was begun before the page asked for another doesn't answer it.
    fetches: u32,
    metrics: Option<(u32, Metrics)>,
    feed: Option<MissedEvents>,
    page: Dashboard,
    greeted: bool,
    /// The fetch after which the page knows the truth again.
    owed: Option<u32>,
    /// The place of the snapshot that the page counts from.
    snapshot: Option<Position>,
}

/// The input is a list of steps.
pub fn check(input: &[u8]) {
    let Ok(steps) = Vec::<Step>::arbitrary(&mut Unstructured::new(input)) else { return };
    let mut world = World::new();
    for step in steps {
        world.step(step);
        world.holds();
    }
}

impl World {
    fn new() -> Self {
        Self {
            epoch: 0,
            rows: [None; EXECUTIONS],
            log: Vec::new(),
            pipe: VecDeque::new(),
            last: None,
            fetches: 0,
            metrics: None,
            feed: None,
            page: Dashboard::default(),
            greeted: false,
            owed: Some(0),
            snapshot: None,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Change { execution, name, status, duration } => {
                let status = status_of(status);
                let ms = status.is_finished().then_some(i64::from(duration));
                self.change(execution, Some((name_of(name), status, ms)), false);
            }
            Step::BySql { execution, name, status } => {
                self.change(execution, Some((name_of(name), status_of(status), None)), true)
            }
            Step::Deleted { execution } => self.change(execution, None, true),
            Step::Deliver { messages } => (0..messages % 8).for_each(|_| self.deliver()),
            Step::Again => self.last.clone().into_iter().for_each(|message| self.apply(message)),
            Step::Gap { messages } => self.gap(messages.into()),
            Step::FetchMetrics => {
                self.fetches += 1;
                self.metrics = Some((self.fetches, self.snapshot_now()));
            }
            Step::ArriveMetrics => self.arrive(),
            Step::FetchFeed => self.feed = Some(self.newest()),
            Step::ArriveFeed => self.feed.take().into_iter().for_each(|feed| self.page.load_feed(feed)),
            Step::Reconnect { recovered } => self.reconnect(recovered),
            Step::Restart => {
                self.epoch += 1;
                self.log.clear();
                self.pipe.clear();
                self.reconnect(false);
            }
        }
    }

    fn position(&self) -> Position {
        Position { epoch: format!("e{}", self.epoch), seq: self.log.len() as i64 }
    }

    /// Writes a row, and a message about it.
    fn change(&mut self, execution: u8, row: Option<Row>, by_sql: bool) {
        let id = usize::from(execution) % EXECUTIONS;
        let was = std::mem::replace(&mut self.rows[id], row);
        let seq = self.log.len() as i64 + 1;
        let message = match row {
            None => LiveMessage::Changed { seq },
            Some((name, status, duration_ms)) => {
                let created_at = created_at(id);
                let data = LiveData {
                    task_id: id as i64,
                    broker_task_id: None,
                    attempt: 1,
                    duration_ms,
                    error_message: None,
                    params: None,
                    created_at,
                    previous: was.map(|(name, status, duration_ms)| Previous {
                        task_name: name.to_owned(),
                        status,
                        duration_ms,
                        created_at,
                    }),
                    refetch: by_sql,
                };
                let kind = LiveEvent::kind_of(status);
                LiveMessage::Event(Box::new(LiveEvent { kind, task_name: name.to_owned(), status, timestamp: now(), data, seq }))
            }
        };
        self.log.push((message.clone(), self.count()));
        if self.greeted {
            self.pipe.push_back(message);
        }
    }

    fn count(&self) -> Counts {
        let mut counts = Counts::new();
        for (id, row) in self.rows.iter().enumerate() {
            let Some((name, status, ms)) = row.filter(|_| is_in_window(id)) else { continue };
            let of = counts.entry(name.to_owned()).or_default();
            of[status as usize] += 1;
            of[4] += ms.filter(|_| status == TaskStatus::Success).unwrap_or(0);
        }
        counts
    }

    /// What `GET /metrics` answers now.
    fn snapshot_now(&self) -> Metrics {
        let mut all: Vec<TaskMetrics> = REGISTERED_TASK_TYPES.map(TaskMetrics::empty).to_vec();
        let mut rows: Vec<(usize, Row)> = self.rows.iter().enumerate().filter_map(|(id, row)| Some((id, (*row)?))).collect();
        rows.sort_by_key(|(_, row)| row.0);
        for (_, (name, status, ms)) in rows.into_iter().filter(|(id, _)| is_in_window(*id)) {
            if !all.iter().any(|metrics| metrics.task_name == name) {
                all.push(TaskMetrics::empty(name));
            }
            all.iter_mut().filter(|metrics| metrics.task_name == name).for_each(|metrics| metrics.add(status, ms, 1));
        }
        Metrics { time_window_hours: 24, generated_at: now(), position: self.position(), metrics: all }
    }

    fn newest(&self) -> MissedEvents {
        let events = self.log.iter().filter_map(|(message, _)| event_of(message)).cloned().collect::<Vec<_>>();
        let from = events.len().saturating_sub(FEED);
        MissedEvents { position: self.position(), complete: false, events: events[from..].to_vec() }
    }

    fn apply(&mut self, message: LiveMessage) {
        let next = self.page.apply(message);
        self.told(next);
    }

    fn told(&mut self, next: Next) {
        if next == Next::Refetch {
            self.owed = Some(self.fetches);
        }
    }

    fn deliver(&mut self) {
        if let Some(message) = self.pipe.pop_front() {
            self.last = Some(message.clone());
            self.apply(message);
        }
    }

    /// Messages that wait are left out, and the watcher is told.
    fn gap(&mut self, messages: usize) {
        let missing: Vec<LiveMessage> = self.pipe.drain(..messages.min(self.pipe.len())).collect();
        let numbers = (missing.first().and_then(seq_of), missing.last().and_then(seq_of));
        if let (Some(from), Some(to)) = numbers {
            self.apply(LiveMessage::Gap { from, to });
        }
    }

    fn arrive(&mut self) {
        let Some((number, metrics)) = self.metrics.take() else { return };
        self.snapshot = Some(metrics.position.clone());
        let next = self.page.load_metrics(metrics);
        if self.owed.is_some_and(|owed| number > owed) {
            self.owed = None;
        }
        self.told(next);
    }

    fn reconnect(&mut self, recovered: bool) {
        self.pipe.clear();
        self.last = None;
        self.greeted = true;
        let known = self.page.position().filter(|known| known.epoch == self.position().epoch).map(|known| known.seq);
        let recovered = recovered && known.is_some();
        if let Some(known) = known.filter(|_| recovered) {
            let missed = self.log.iter().skip(usize::try_from(known).unwrap_or(0));
            self.pipe.extend(missed.map(|(message, _)| message.clone()));
        }
        self.apply(LiveMessage::Hello { position: self.position(), recovered });
    }

    /// What is promised after every step.
    fn holds(&mut self) {
        let feed = &self.page.feed().items;
        assert!(feed.len() <= FEED);
        for (at, event) in feed.iter().enumerate() {
            let is_same = |other: &LiveEvent| other.data.task_id == event.data.task_id && other.kind == event.kind;
            assert!(!feed[at + 1..].iter().any(|other| is_same(other)), "an event is shown twice");
        }
        for metrics in self.page.metrics() {
            let sum: i64 = TaskStatus::ALL.into_iter().map(|status| metrics.count(status)).sum();
            assert_eq!(metrics.total_executions, sum);
            assert!(metrics.trend.iter().all(|point| point.total >= 0 && point.failed >= 0));
        }
        self.counts_are_right();
        self.what_followed_is_known();
    }

    fn counts_are_right(&self) {
        let (Some(live), Some(snapshot)) = (self.page.position(), &self.snapshot) else { return };
        if self.owed.is_some() || live.epoch != self.position().epoch || snapshot.epoch != live.epoch || !self.greeted {
            return;
        }
        let place = live.seq.max(snapshot.seq);
        let expected = usize::try_from(place - 1).ok().and_then(|place| self.log.get(place)).map(|(_, counts)| counts.clone());
        let shown = self.page.metrics().iter().filter(|metrics| metrics.total_executions != 0 || metrics.timed_duration_ms != 0);
        let shown: Counts = shown
            .map(|it| (it.task_name.clone(), [it.pending, it.running, it.success, it.failed, it.timed_duration_ms]))
            .collect();
        if place > 0 {
            assert_eq!(Some(shown), expected, "at {place}");
        }
    }

    /// What is told to have come after a place is all that came.
    fn what_followed_is_known(&self) {
        let Some(live) = self.page.position().filter(|live| self.greeted && live.epoch == self.position().epoch) else { return };
        for back in [1, 3, 10] {
            let from = Position { epoch: live.epoch.clone(), seq: (live.seq - back).max(0) };
            let Some(events) = self.page.since(&from) else { continue };
            let told: Vec<i64> = events.iter().map(|event| event.seq).collect();
            let after = self.log.iter().filter_map(|(message, _)| event_of(message)).map(|event| event.seq);
            let all: Vec<i64> = after.filter(|seq| *seq > from.seq && *seq <= live.seq).collect();
            assert_eq!(told, all, "after {} up to {}", from.seq, live.seq);
        }
    }
}

fn event_of(message: &LiveMessage) -> Option<&LiveEvent> {
    if let LiveMessage::Event(event) = message { Some(event) } else { None }
}

fn seq_of(message: &LiveMessage) -> Option<i64> {
    match message {
        LiveMessage::Event(event) => Some(event.seq),
        LiveMessage::Changed { seq } => Some(*seq),
        _ => None,
    }
}

fn name_of(number: u8) -> &'static str {
    NAMES[usize::from(number) % NAMES.len()]
}

fn status_of(number: u8) -> TaskStatus {
    TaskStatus::ALL[usize::from(number) % TaskStatus::ALL.len()]
}

/// The last execution is older than the window.
fn is_in_window(id: usize) -> bool {
    id + 1 < EXECUTIONS
}

fn created_at(id: usize) -> chrono::DateTime<chrono::Utc> {
    now() - TimeDelta::hours(if is_in_window(id) { 4 * id as i64 } else { 30 })
}
