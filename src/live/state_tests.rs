use taskscope_wire::{AnalysisEventKind, LiveData, Previous};

use super::*;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(seconds)
}

fn position(seq: i64) -> Position {
    Position { epoch: "e".to_owned(), seq }
}

fn snapshot(seq: i64, metrics: Vec<TaskMetrics>) -> Metrics {
    Metrics { time_window_hours: 24, generated_at: at(0), position: position(seq), metrics }
}

fn event(seq: i64, id: i64, name: &str, status: TaskStatus) -> LiveEvent {
    LiveEvent {
        kind: LiveEvent::kind_of(status),
        task_name: name.to_owned(),
        status,
        timestamp: at(seq),
        data: LiveData {
            task_id: id,
            broker_task_id: None,
            attempt: 1,
            duration_ms: status.is_finished().then_some(100),
            error_message: None,
            params: None,
            created_at: at(0),
            previous: None,
            refetch: false,
        },
        seq,
    }
}

fn after(mut event: LiveEvent, name: &str, status: TaskStatus) -> LiveMessage {
    let created_at = event.data.created_at;
    event.data.previous = Some(Previous { task_name: name.to_owned(), status, duration_ms: None, created_at });
    LiveMessage::Event(Box::new(event))
}

fn new(event: LiveEvent) -> LiveMessage {
    LiveMessage::Event(Box::new(event))
}

fn hello(seq: i64, recovered: bool) -> LiveMessage {
    LiveMessage::Hello { position: position(seq), recovered }
}

/// A dashboard that knows nothing but an empty snapshot at 10, and is connected.
fn connected() -> Dashboard {
    let mut dashboard = Dashboard::default();
    assert_eq!(dashboard.load_metrics(snapshot(10, vec![])), Next::Go);
    assert_eq!(dashboard.apply(hello(10, true)), Next::Go);
    dashboard
}

fn counts(dashboard: &Dashboard, name: &str) -> Option<(i64, i64, i64, i64)> {
    let metrics = dashboard.metrics().iter().find(|metrics| metrics.task_name == name)?;
    Some((metrics.pending, metrics.running, metrics.success, metrics.failed))
}

#[test]
fn counts_move_with_an_execution_and_it_counts_once() {
    let mut dashboard = connected();
    let steps = [
        (new(event(11, 1, "t", TaskStatus::Pending)), (1, 0, 0, 0)),
        (after(event(12, 1, "t", TaskStatus::Running), "t", TaskStatus::Pending), (0, 1, 0, 0)),
        (after(event(13, 1, "t", TaskStatus::Success), "t", TaskStatus::Running), (0, 0, 1, 0)),
        (after(event(13, 1, "t", TaskStatus::Success), "t", TaskStatus::Running), (0, 0, 1, 0)),
    ];
    for (message, expected) in steps {
        assert_eq!(dashboard.apply(message), Next::Go);
        assert_eq!(counts(&dashboard, "t"), Some(expected));
    }
    let metrics = &dashboard.metrics()[0];
    assert_eq!((metrics.total_executions, metrics.avg_duration_ms, metrics.success_rate), (1, Some(100.0), Some(100.0)));
    assert_eq!(metrics.trend.last().map(|point| point.total), Some(1));
    assert_eq!(dashboard.take_fresh().len(), 3);
    assert!(dashboard.take_fresh().is_empty());
}

#[test]
fn the_snapshots_own_events_are_not_counted_again() {
    let mut dashboard = Dashboard::default();
    let mut counted = TaskMetrics::empty("t");
    counted.add(TaskStatus::Pending, None, 1);
    dashboard.load_feed(MissedEvents { position: position(8), complete: false, events: vec![] });
    assert_eq!(dashboard.load_metrics(snapshot(10, vec![counted])), Next::Go);
    assert_eq!(dashboard.position(), Some(&position(8)), "the stream begins at the earlier place");
    assert_eq!(dashboard.apply(hello(10, true)), Next::Go);
    assert_eq!(dashboard.apply(new(event(9, 1, "t", TaskStatus::Pending))), Next::Go);
    assert_eq!(counts(&dashboard, "t"), Some((1, 0, 0, 0)));
    assert_eq!(dashboard.feed().items.len(), 1, "the feed was read at 8 and lacked it");
}

#[test]
fn a_late_snapshot_is_advanced_by_what_it_lacks() {
    let mut dashboard = connected();
    for seq in 11..=14 {
        assert_eq!(dashboard.apply(new(event(seq, seq, "t", TaskStatus::Pending))), Next::Go);
    }
    let mut counted = TaskMetrics::empty("t");
    counted.add(TaskStatus::Pending, None, 1);
    counted.add(TaskStatus::Pending, None, 1);
    assert_eq!(dashboard.load_metrics(snapshot(12, vec![counted])), Next::Go);
    assert_eq!(counts(&dashboard, "t"), Some((4, 0, 0, 0)));
}

#[test]
fn a_snapshot_older_than_what_is_remembered_is_fetched_again() {
    let mut dashboard = connected();
    for seq in 11..=(REMEMBERED as i64 + 12) {
        assert_eq!(dashboard.apply(new(event(seq, seq, "t", TaskStatus::Pending))), Next::Go);
    }
    assert_eq!(dashboard.load_metrics(snapshot(11, vec![])), Next::Refetch);
    assert_eq!(dashboard.load_metrics(snapshot(12, vec![])), Next::Go);
}

#[test]
fn executions_outside_the_window_are_not_counted() {
    let mut dashboard = connected();
    let mut old = event(11, 1, "t", TaskStatus::Running);
    old.data.created_at = at(0) - TimeDelta::hours(25);
    assert_eq!(dashboard.apply(after(old, "t", TaskStatus::Pending)), Next::Go);
    assert_eq!(counts(&dashboard, "t"), None);
    assert_eq!(dashboard.feed().items.len(), 1);
}

#[test]
fn an_execution_moves_to_its_name() {
    let mut dashboard = connected();
    assert_eq!(dashboard.apply(new(event(11, 1, "(unknown task)", TaskStatus::Success))), Next::Go);
    let named = after(event(12, 1, "t", TaskStatus::Success), "(unknown task)", TaskStatus::Success);
    assert_eq!(dashboard.apply(named), Next::Go);
    assert_eq!((counts(&dashboard, "(unknown task)"), counts(&dashboard, "t")), (None, Some((0, 0, 1, 0))));
    let shown: Vec<_> = dashboard.feed().items.iter().map(|event| event.task_name.as_str()).collect();
    assert_eq!(shown, ["t"], "the feed's line is corrected, not doubled");
}

#[test]
fn new_task_types_stand_behind_the_registered_ones_by_name() {
    let registered = REGISTERED_TASK_TYPES.map(TaskMetrics::empty).to_vec();
    let mut dashboard = Dashboard::default();
    assert_eq!(dashboard.load_metrics(snapshot(10, registered)), Next::Go);
    for (seq, name) in [(11, "b"), (12, "a"), (13, "score_message_task")] {
        assert_eq!(dashboard.apply(new(event(seq, seq, name, TaskStatus::Pending))), Next::Go);
    }
    let names: Vec<_> = dashboard.metrics().iter().skip(15).map(|metrics| metrics.task_name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!((dashboard.metrics().len(), dashboard.totals().pending), (17, 3));
}

#[test]
fn changes_by_sql_and_gaps_are_fetched_again() {
    let mut dashboard = connected();
    let mut by_sql = event(11, 1, "t", TaskStatus::Success);
    by_sql.data.refetch = true;
    assert_eq!(dashboard.apply(new(by_sql)), Next::Refetch);
    assert_eq!(counts(&dashboard, "t"), None);
    assert_eq!(dashboard.apply(LiveMessage::Changed { seq: 12 }), Next::Refetch);
    assert_eq!(dashboard.apply(LiveMessage::Gap { from: 13, to: 90 }), Next::Refetch);
    assert_eq!(dashboard.position(), Some(&position(90)));
    assert_eq!(dashboard.load_metrics(snapshot(95, vec![])), Next::Go);
    assert_eq!(dashboard.apply(LiveMessage::Changed { seq: 94 }), Next::Go, "the snapshot holds it");
}

/// The history loaded by itself: what stalls, and what others write by SQL, is told by a change alone.
#[test]
fn a_page_without_counts_fetches_again_too() {
    let mut dashboard = Dashboard::default();
    dashboard.start_at(&position(10));
    assert_eq!(dashboard.apply(LiveMessage::Hello { position: position(10), recovered: true }), Next::Go);
    assert_eq!(dashboard.apply(LiveMessage::Changed { seq: 11 }), Next::Refetch);
    assert_eq!(dashboard.apply(LiveMessage::Changed { seq: 11 }), Next::Go, "it is known");
}

#[test]
fn counts_below_zero_are_fetched_again() {
    let mut dashboard = connected();
    let message = after(event(11, 1, "t", TaskStatus::Success), "t", TaskStatus::Running);
    assert_eq!(dashboard.apply(message), Next::Refetch);
}

#[test]
fn a_reconnection_resumes_and_fetches_again() {
    let mut dashboard = connected();
    assert_eq!(dashboard.apply(new(event(11, 1, "t", TaskStatus::Pending))), Next::Go);
    assert_eq!(dashboard.apply(hello(13, true)), Next::Refetch);
    assert_eq!(dashboard.position(), Some(&position(11)), "the missed events follow");
    assert_eq!(dashboard.apply(new(event(12, 2, "t", TaskStatus::Pending))), Next::Go);
    assert_eq!(dashboard.apply(new(event(13, 3, "t", TaskStatus::Pending))), Next::Go);
    assert_eq!(counts(&dashboard, "t"), Some((3, 0, 0, 0)));
}

#[test]
fn another_epoch_starts_over() {
    let mut dashboard = connected();
    assert_eq!(dashboard.apply(new(event(11, 1, "t", TaskStatus::Pending))), Next::Go);
    let other = Position { epoch: "f".to_owned(), seq: 2 };
    assert_eq!(dashboard.apply(LiveMessage::Hello { position: other.clone(), recovered: false }), Next::Refetch);
    assert_eq!(dashboard.position(), Some(&other));
    assert_eq!(dashboard.apply(new(event(3, 2, "t", TaskStatus::Pending))), Next::Go);
    assert_eq!(counts(&dashboard, "t"), Some((1, 0, 0, 0)), "the old snapshot can't be advanced by the new stream");
    let fetched = Metrics { position: other, ..snapshot(0, vec![TaskMetrics::empty("t")]) };
    assert_eq!(dashboard.load_metrics(fetched), Next::Go);
    assert_eq!(counts(&dashboard, "t"), Some((1, 0, 0, 0)), "and the new one by what came before it arrived");
}

#[test]
fn a_page_that_names_no_position_fetches_after_the_hello() {
    let mut dashboard = Dashboard::default();
    assert_eq!(dashboard.apply(hello(5, true)), Next::Refetch);
    assert_eq!(dashboard.position(), Some(&position(5)));
}

#[test]
fn the_feed_keeps_the_newest_and_says_how_many_came() {
    let mut dashboard = connected();
    for seq in 11..=70 {
        assert_eq!(dashboard.apply(new(event(seq, seq, "t", TaskStatus::Pending))), Next::Go);
    }
    let feed = dashboard.feed();
    assert_eq!((feed.items.len(), feed.items[0].seq, feed.items[FEED - 1].seq, feed.arrived), (FEED, 70, 21, 60));
    let events = (60..=65).map(|seq| event(seq, seq, "t", TaskStatus::Pending)).collect();
    dashboard.load_feed(MissedEvents { position: position(65), complete: false, events });
    let feed = dashboard.feed();
    let seqs: Vec<_> = feed.items.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, [70, 69, 68, 67, 66, 65, 64, 63, 62, 61, 60]);
    assert_eq!(feed.arrived, 60, "nothing of it is new");
}

#[test]
fn the_server_tells_how_it_is() {
    let mut dashboard = connected();
    let state = ServerState { database_up: false, database_down_since: Some(at(0)), events_waiting: 3, notices: Vec::new() };
    assert_eq!(dashboard.apply(LiveMessage::Server(state.clone())), Next::Go);
    assert_eq!(dashboard.server(), Some(&state));
    assert_eq!(dashboard.apply(LiveMessage::Other), Next::Go);
}

#[test]
fn events_of_runs_pass_once_and_move_no_counts() {
    let mut dashboard = connected();
    let event = |seq| {
        let data = serde_json::json!({"run_id": "00000000-0000-0000-0000-000000000001"}).into();
        LiveMessage::Analysis(Box::new(AnalysisEvent { event: AnalysisEventKind::ProgressUpdated, data, seq }))
    };
    for seq in [11, 12, 12] {
        assert_eq!(dashboard.apply(event(seq)), Next::Go);
    }
    let seqs: Vec<_> = dashboard.take_fresh_analysis().iter().map(|event| event.seq).collect();
    assert_eq!((seqs, dashboard.position()), (vec![11, 12], Some(&position(12))));
    assert!(dashboard.take_fresh_analysis().is_empty());
}

#[test]
fn what_came_after_a_place_is_told_as_long_as_it_is_remembered() {
    let mut dashboard = connected();
    for seq in 11..=(REMEMBERED as i64 + 11) {
        assert_eq!(dashboard.apply(new(event(seq, seq, "t", TaskStatus::Pending))), Next::Go);
    }
    let since = |seq| dashboard.since(&position(seq)).map(|events| events.len());
    assert_eq!([since(10), since(11), since(REMEMBERED as i64 + 10), since(9_999)], [None, Some(REMEMBERED), Some(1), Some(0)]);
    assert_eq!(dashboard.since(&Position { epoch: "another".to_owned(), seq: 0 }), Some(vec![]));
}

#[test]
fn what_was_never_heard_is_not_taken_for_nothing() {
    let mut dashboard = connected();
    assert_eq!(dashboard.apply(LiveMessage::Gap { from: 11, to: 20 }), Next::Refetch);
    assert_eq!(dashboard.since(&position(15)), None);
    assert_eq!(dashboard.since(&position(20)), Some(vec![]));
    assert_eq!(dashboard.load_metrics(snapshot(15, vec![])), Next::Refetch, "it lacks what the gap hides");
    assert_eq!(dashboard.apply(hello(30, false)), Next::Refetch);
    assert_eq!(dashboard.since(&position(29)), None);
    assert_eq!(dashboard.since(&position(30)), Some(vec![]));
    assert_eq!(connected().since(&position(9)), None, "the stream began at 10");
}
