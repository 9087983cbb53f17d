use std::sync::Arc;

use leptos::{html, prelude::*, tachys::view::keyed::keyed};
use taskscope_wire::{LiveEvent, NativeKind};

use super::{Icon, StatusIcon, format, url};

/// How much of an error message a line of the feed shows.
const ERROR: usize = 140;

const PAUSE: &str = "M5 3v10M11 3v10";
const PLAY: &str = "M4.75 2.75v10.5L13.25 8z";

/// The newest events, newest first. It never moves under a reader who points at it, has focus in it, has scrolled it or has
/// paused it: new events are held back then, and a button says how many.
#[component]
pub fn LiveFeed(
    /// The newest events, newest first.
    #[prop(into)]
    items: Signal<Vec<Arc<LiveEvent>>>,
    /// How many ever came.
    #[prop(into)]
    arrived: Signal<u64>,
) -> impl IntoView {
    let list = NodeRef::<html::Ol>::new();
    let paused = RwSignal::new(false);
    let (pointed, focused, scrolled) = (RwSignal::new(false), RwSignal::new(false), RwSignal::new(false));
    let held = Memo::new(move |_| paused.get() || pointed.get() || focused.get() || scrolled.get());
    let released = RwSignal::new(0_u32);
    let shown = Memo::new(move |before: Option<&Shown>| {
        let now = Shown { released: released.get(), arrived: arrived.get(), items: items.get() };
        before.filter(|before| held.get() && before.released == now.released).cloned().unwrap_or(now)
    });
    let new = Memo::new(move |_| arrived.get() - shown.with(|shown| shown.arrived));
    let release = move |_| {
        released.update(|times| *times += 1);
        if let Some(list) = list.get_untracked() {
            list.set_scroll_top(0);
        }
    };
    view! {
        <section class="feed" data-testid="live-feed" aria-labelledby="live-feed-title">
            <div class="feed-head">
                <h2 id="live-feed-title">"Live Activity Feed"</h2>
                <button
                    type="button"
                    class="button button-small js-only"
                    aria-pressed=move || paused.get().to_string()
                    on:click=move |_| paused.update(|paused| *paused = !*paused)
                >
                    <Icon d=Signal::derive(move || if paused.get() { PLAY } else { PAUSE })/>
                    {move || if paused.get() { "Resume" } else { "Pause" }}
                </button>
            </div>
            <div
                class="feed-events"
                on:pointerenter=move |event| pointed.set(event.pointer_type() == "mouse")
                on:pointerleave=move |_| pointed.set(false)
            >
                <button type="button" class="feed-new" hidden=move || new.get() == 0 on:click=release>
                    {move || match new.get() {
                        1 => "1 new event".to_owned(),
                        new => format!("{} new events", format::grouped(new.cast_signed())),
                    }}
                </button>
                <Show when=move || shown.with(|shown| shown.items.is_empty())>
                    <p class="empty">"No events yet. They appear here the moment a worker reports one."</p>
                </Show>
                <ol
                    class="feed-list"
                    tabindex="0"
                    aria-label="Events, newest first"
                    node_ref=list
                    on:focusin=move |_| focused.set(true)
                    on:focusout=move |_| focused.set(false)
                    on:scroll=move |_| scrolled.set(list.get_untracked().is_some_and(|list| list.scroll_top() > 0))
                >
                    {move || keyed(shown.with(|shown| shown.items.clone()), key_of, line)}
                </ol>
            </div>
        </section>
    }
}

/// What the reader sees of the feed.
#[derive(Clone, PartialEq)]
struct Shown {
    released: u32,
    arrived: u64,
    items: Vec<Arc<LiveEvent>>,
}

/// A line of the list. `For` would note an owner for each, which stays noted as long as the list does: a hundred bytes for every event that ever came.
/// Nothing in a line changes, so that none is needed.
fn line(_: usize, event: Arc<LiveEvent>) -> (fn(usize), impl IntoView) {
    (drop, view! { <FeedItem event/> })
}

/// A line is drawn anew when what it says changes.
fn key_of(event: &Arc<LiveEvent>) -> String {
    let data = &event.data;
    format!("{} {:?} {} {} {:?}", data.task_id, event.kind, event.task_name, event.timestamp, data.duration_ms)
}

#[component]
fn FeedItem(event: Arc<LiveEvent>) -> impl IntoView {
    let LiveEvent { task_name, status, timestamp, data, .. } = event.as_ref();
    let (status, at) = (*status, *timestamp);
    let attempt = (data.attempt > 1).then(|| view! { <span class="tag">{format!("attempt {}", data.attempt)}</span> });
    let error = data.error_message.as_deref().filter(|_| event.kind == NativeKind::TaskFailed);
    let error = error.map(|error| view! { <p class="feed-error">{format::cut(error, ERROR)}</p> });
    view! {
        <li class="feed-item" data-status=status.as_str() data-kind=kind_of(event.kind)>
            <StatusIcon status/>
            <div class="feed-body">
                <a class="feed-text" href=url::execution(data.task_id)>
                    <span class="feed-task">{task_name.clone()}</span>
                    {what(&event)}
                    <time class="number" datetime=format::iso(at) title=format::iso(at)>{format::clock(at)}</time>
                </a>
                {attempt}
                {error}
            </div>
        </li>
    }
}

const fn kind_of(kind: NativeKind) -> &'static str {
    match kind {
        NativeKind::TaskQueued => "queued",
        NativeKind::TaskStarted => "started",
        NativeKind::TaskCompleted => "completed",
        NativeKind::TaskFailed => "failed",
    }
}

/// What stands between the task's name and the time.
fn what(event: &LiveEvent) -> String {
    let verb = match event.kind {
        NativeKind::TaskQueued => "queued",
        NativeKind::TaskStarted => "started",
        NativeKind::TaskCompleted => "completed (success)",
        NativeKind::TaskFailed => "completed (failed)",
    };
    let finished = matches!(event.kind, NativeKind::TaskCompleted | NativeKind::TaskFailed);
    match event.data.duration_ms.filter(|_| finished) {
        Some(ms) => format!(" {verb} in {} at ", format::duration(ms as f64)),
        None => format!(" {verb} at "),
    }
}

#[cfg(test)]
#[cfg(feature = "ssr")]
mod tests {
    use chrono::DateTime;
    use taskscope_wire::{LiveData, TaskStatus};

    use super::*;

    fn item(status: TaskStatus, duration_ms: Option<i64>, attempt: i32) -> String {
        let owner = Owner::new();
        owner.set();
        let at = DateTime::from_timestamp(1_795_257_000, 0).unwrap();
        let data = LiveData {
            task_id: 7,
            broker_task_id: None,
            attempt,
            duration_ms,
            error_message: Some("no <b>".to_owned()),
            params: None,
            created_at: at,
            previous: None,
            refetch: false,
        };
        let kind = LiveEvent::kind_of(status);
        let event = LiveEvent { kind, task_name: "score_message_task".to_owned(), status, timestamp: at, data, seq: 1 };
        view! { <FeedItem event=Arc::new(event)/> }.to_html()
    }

    /// What a reader reads of the link.
    fn text(html: &str) -> String {
        let link = html.split_once("<a ").unwrap().1.split_once("</a>").unwrap().0.split_once('>').unwrap().1;
        link.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text)).collect()
    }

    #[test]
    fn lines_read_as_the_quickstart_says() {
        let cases = [
            (TaskStatus::Pending, None, "score_message_task queued at 10:30:00"),
            (TaskStatus::Running, None, "score_message_task started at 10:30:00"),
            (TaskStatus::Success, Some(320), "score_message_task completed (success) in 320ms at 10:30:00"),
            (TaskStatus::Failed, Some(12), "score_message_task completed (failed) in 12ms at 10:30:00"),
            (TaskStatus::Failed, None, "score_message_task completed (failed) at 10:30:00"),
        ];
        for (status, duration, expected) in cases {
            assert_eq!(text(&item(status, duration, 1)), expected);
        }
    }

    #[test]
    fn attempts_and_errors_stand_behind_the_line() {
        let html = item(TaskStatus::Failed, None, 2);
        assert!(html.contains(r#"href="/monitoring/executions/7""#) && html.contains("attempt 2"), "{html}");
        assert!(html.contains("no &lt;b&gt;"), "{html}");
        assert!(!item(TaskStatus::Success, None, 1).contains("no &lt;b&gt;"));
    }
}
