use std::{collections::VecDeque, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use taskscope_wire::{
    AnalysisEvent, LiveEvent, LiveMessage, Metrics, MissedEvents, Position, REGISTERED_TASK_TYPES, ServerState, TaskMetrics,
    TaskStatus,
};

/// How many events the feed shows.
pub const FEED: usize = 50;

/// How many events are remembered, so that a snapshot that arrives late can be advanced by what it doesn't hold.
const REMEMBERED: usize = 2_000;

/// What the caller has to do after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Next {
    /// Nothing: the state is current.
    Go,
    /// Fetch the state again: what was told doesn't say what the numbers are now.
    Refetch,
}

impl Next {
    /// This, or the other where that asks for more.
    pub fn and(self, other: Self) -> Self {
        if self == Self::Refetch { self } else { other }
    }
}

/// The newest events, newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Feed {
    /// At most [`FEED`] of them.
    pub items: Vec<Arc<LiveEvent>>,
    /// How many ever entered, so that a reader who holds the feed can be told how many are new.
    pub arrived: u64,
}

/// What a dashboard knows: a snapshot of the metrics and the newest events, both advanced by the live stream.
///
/// It promises that an event counts once, whether it comes by the snapshot, by the stream or by both, in any order: events
/// up to the snapshot's position are in its counts, later ones are applied to it, also when the snapshot arrives after
/// them. Where it can't keep that promise (a gap, a restart of the server, a row changed by SQL) it asks for a new
/// snapshot; it never guesses.
#[derive(Debug, Default)]
pub struct Dashboard {
    position: Option<Position>,
    streaming: bool,
    snapshot: Option<Metrics>,
    feed: Feed,
    server: Option<ServerState>,
    recent: VecDeque<Arc<LiveEvent>>,
    forgotten: i64,
    fresh: Vec<Arc<LiveEvent>>,
    fresh_analysis: Vec<AnalysisEvent>,
}

impl Dashboard {
    /// Takes counts that were fetched, and advances them by the later events that are known already.
    pub fn load_metrics(&mut self, metrics: Metrics) -> Next {
        self.start_at(&metrics.position);
        let (epoch, seq) = (metrics.position.epoch.clone(), metrics.position.seq);
        self.snapshot = Some(metrics);
        if !self.is_of(&epoch) {
            return Next::Go;
        }
        let hole = if self.forgotten > seq { Next::Refetch } else { Next::Go };
        let later: Vec<_> = self.recent.iter().filter(|event| event.seq > seq).cloned().collect();
        later.iter().fold(hole, |next, event| next.and(self.count(event)))
    }

    /// Takes the newest events that were fetched, and puts the later ones that are known already before them.
    pub fn load_feed(&mut self, missed: MissedEvents) {
        self.start_at(&missed.position);
        let old = std::mem::take(&mut self.feed);
        for event in missed.events {
            self.feed.push(Arc::new(event));
        }
        if self.is_of(&missed.position.epoch) {
            let later = self.recent.iter().filter(|event| event.seq > missed.position.seq);
            later.for_each(|event| self.feed.push(Arc::clone(event)));
        }
        let new = self.feed.items.iter().filter(|event| !old.holds(event)).count();
        self.feed.arrived = old.arrived + new as u64;
    }

    /// Takes a message of the stream.
    pub fn apply(&mut self, message: LiveMessage) -> Next {
        match message {
            LiveMessage::Event(event) => self.apply_event(*event),
            LiveMessage::Analysis(event) => {
                if self.position.as_ref().is_none_or(|position| event.seq > position.seq) {
                    self.advance(event.seq);
                    self.fresh_analysis.push(*event);
                }
                Next::Go
            }
            LiveMessage::Hello { position, recovered } => self.greet(position, recovered),
            LiveMessage::Gap { to, .. } => {
                self.advance(to);
                self.forgotten = self.forgotten.max(to);
                Next::Refetch
            }
            LiveMessage::Changed { seq } => {
                let new = self.position.as_ref().is_none_or(|position| seq > position.seq);
                self.advance(seq);
                // What a page without counts shows was fetched before the stream began.
                let counted = self.snapshot.is_some() && self.is_counted(seq);
                if new && !counted { Next::Refetch } else { Next::Go }
            }
            LiveMessage::Server(server) => {
                self.server = Some(server);
                Next::Go
            }
            LiveMessage::Other => Next::Go,
        }
    }

    /// Where the next connection resumes.
    #[must_use]
    pub const fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    /// The events after a place of the stream, as far as they have come; none where some of them are not remembered. Of another stream there
    /// are none: when it begins, everything is fetched again.
    #[must_use]
    pub fn since(&self, position: &Position) -> Option<Vec<Arc<LiveEvent>>> {
        if !self.is_of(&position.epoch) {
            return Some(Vec::new());
        }
        let later = self.recent.iter().filter(|event| event.seq > position.seq);
        (self.forgotten <= position.seq).then(|| later.cloned().collect())
    }

    /// The counts of every task type; none before the first snapshot.
    #[must_use]
    pub fn metrics(&self) -> &[TaskMetrics] {
        self.snapshot.as_ref().map_or(&[], |snapshot| &snapshot.metrics)
    }

    /// The sums over all task types.
    #[must_use]
    pub fn totals(&self) -> TaskMetrics {
        let mut sum = TaskMetrics::default();
        for metrics in self.metrics() {
            sum.total_executions += metrics.total_executions;
            sum.pending += metrics.pending;
            sum.running += metrics.running;
            sum.success += metrics.success;
            sum.failed += metrics.failed;
            sum.stalled += metrics.stalled;
            sum.timed += metrics.timed;
            sum.timed_duration_ms += metrics.timed_duration_ms;
        }
        sum.derive();
        sum
    }

    /// The newest events.
    #[must_use]
    pub const fn feed(&self) -> &Feed {
        &self.feed
    }

    /// How the server last said it is.
    #[must_use]
    pub const fn server(&self) -> Option<&ServerState> {
        self.server.as_ref()
    }

    /// The events that were applied since this was last asked.
    pub fn take_fresh(&mut self) -> Vec<Arc<LiveEvent>> {
        std::mem::take(&mut self.fresh)
    }

    /// What happened to analysis runs since this was last asked.
    pub fn take_fresh_analysis(&mut self) -> Vec<AnalysisEvent> {
        std::mem::take(&mut self.fresh_analysis)
    }

    /// Until the stream begins, what was fetched says where it must begin: at the earliest of the places.
    pub fn start_at(&mut self, fetched: &Position) {
        if self.streaming {
            return;
        }
        let seq = match &self.position {
            Some(position) if position.epoch == fetched.epoch => position.seq.min(fetched.seq),
            _ => fetched.seq,
        };
        self.position = Some(Position { epoch: fetched.epoch.clone(), seq });
    }

    /// A connection begins. What was fetched before a reconnection is fetched again in any case: it costs little, and a
    /// reader who saw "Disconnected" trusts the numbers again.
    fn greet(&mut self, position: Position, recovered: bool) -> Next {
        let resumed = recovered && self.is_of(&position.epoch);
        let first = !std::mem::replace(&mut self.streaming, true);
        if !resumed {
            self.recent.clear();
            self.position = Some(position);
        }
        if let Some(position) = self.position.as_ref().filter(|_| !resumed || first) {
            // What came before was never heard.
            self.forgotten = position.seq;
        }
        if resumed && first { Next::Go } else { Next::Refetch }
    }

    fn apply_event(&mut self, mut event: LiveEvent) -> Next {
        let known = self.position.as_ref().is_some_and(|position| event.seq <= position.seq);
        if known {
            return Next::Go;
        }
        self.advance(event.seq);
        // Thousands are remembered, and no page draws these: what is looked at closely is fetched.
        (event.data.params, event.data.broker_task_id) = (None, None);
        let event = Arc::new(event);
        self.feed.push(Arc::clone(&event));
        self.fresh.push(Arc::clone(&event));
        let next = self.count(&event);
        self.remember(event);
        next
    }

    fn advance(&mut self, seq: i64) {
        if let Some(position) = &mut self.position {
            position.seq = position.seq.max(seq);
        }
    }

    fn remember(&mut self, event: Arc<LiveEvent>) {
        self.recent.push_back(event);
        if self.recent.len() > REMEMBERED
            && let Some(event) = self.recent.pop_front()
        {
            self.forgotten = event.seq;
        }
    }

    fn is_of(&self, epoch: &str) -> bool {
        self.position.as_ref().is_some_and(|position| position.epoch == epoch)
    }

    /// Whether the snapshot holds this place of the stream; without a snapshot there is nothing to bring up to date.
    fn is_counted(&self, seq: i64) -> bool {
        self.snapshot.as_ref().is_none_or(|snapshot| self.is_of(&snapshot.position.epoch) && seq <= snapshot.position.seq)
    }

    /// Moves the counts by one event, if they don't hold it yet.
    fn count(&mut self, event: &LiveEvent) -> Next {
        if self.is_counted(event.seq) {
            return Next::Go;
        }
        let live = self.position.as_ref();
        match &mut self.snapshot {
            // A snapshot of another stream: a hello and a new snapshot are on their way.
            Some(snapshot) if live.is_none_or(|position| position.epoch != snapshot.position.epoch) => Next::Go,
            Some(_) if event.data.refetch => Next::Refetch,
            Some(snapshot) => {
                let left = event.data.previous.as_ref().map_or(Next::Go, |was| {
                    let gone = Execution { task_name: &was.task_name, status: was.status, duration_ms: was.duration_ms };
                    shift(snapshot, &gone, was.created_at, -1)
                });
                let now = Execution { task_name: &event.task_name, status: event.status, duration_ms: event.data.duration_ms };
                left.and(shift(snapshot, &now, event.data.created_at, 1))
            }
            None => Next::Go,
        }
    }
}

impl Feed {
    /// Puts an event first. One that is shown already is corrected where it stands.
    fn push(&mut self, event: Arc<LiveEvent>) {
        if let Some(shown) = self.items.iter_mut().find(|shown| is_same(shown, &event)) {
            *shown = event;
            return;
        }
        self.items.insert(0, event);
        self.items.truncate(FEED);
        self.arrived += 1;
    }

    fn holds(&self, event: &LiveEvent) -> bool {
        self.items.iter().any(|shown| is_same(shown, event))
    }
}

fn is_same(one: &LiveEvent, other: &LiveEvent) -> bool {
    one.data.task_id == other.data.task_id && one.kind == other.kind
}

/// What counts of an execution.
struct Execution<'a> {
    task_name: &'a str,
    status: TaskStatus,
    duration_ms: Option<i64>,
}

/// Adds `by` (1 or -1) executions to the counts. The window is the snapshot's own, so that what it counted is what leaves it;
/// that time goes on is seen with the next snapshot.
fn shift(snapshot: &mut Metrics, execution: &Execution<'_>, created_at: DateTime<Utc>, by: i64) -> Next {
    let window = TimeDelta::hours(snapshot.time_window_hours.into());
    let since = snapshot.generated_at - window;
    if created_at < since {
        return Next::Go;
    }
    let index = index_of(&mut snapshot.metrics, execution.task_name);
    let metrics = &mut snapshot.metrics[index];
    metrics.add(execution.status, execution.duration_ms, by);
    mark(metrics, (created_at - since).num_milliseconds(), window.num_milliseconds(), execution.status, by);
    let impossible = TaskStatus::ALL.into_iter().any(|status| metrics.count(status) < 0);
    if metrics.total_executions == 0 && !REGISTERED_TASK_TYPES.contains(&metrics.task_name.as_str()) {
        snapshot.metrics.remove(index);
    }
    if impossible { Next::Refetch } else { Next::Go }
}

/// The place of a task type, which gets one if it is new: behind the registered ones, by name.
fn index_of(metrics: &mut Vec<TaskMetrics>, task_name: &str) -> usize {
    let known = metrics.iter().position(|metrics| metrics.task_name == task_name);
    known.unwrap_or_else(|| {
        let is_before = |other: &str| REGISTERED_TASK_TYPES.contains(&other) || other < task_name;
        let index = metrics.iter().position(|other| !is_before(&other.task_name)).unwrap_or(metrics.len());
        metrics.insert(index, TaskMetrics::empty(task_name));
        index
    })
}

/// Moves the trend's step at this age of the window.
fn mark(metrics: &mut TaskMetrics, age_ms: i64, window_ms: i64, status: TaskStatus, by: i64) {
    let steps = metrics.trend.len() as i64;
    let step = (age_ms * steps / window_ms.max(1)).clamp(0, (steps - 1).max(0));
    if let Some(point) = usize::try_from(step).ok().and_then(|step| metrics.trend.get_mut(step)) {
        point.total = (point.total + by).max(0);
        if status == TaskStatus::Failed {
            point.failed = (point.failed + by).max(0);
        }
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
