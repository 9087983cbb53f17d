use chrono::{DateTime, Utc};
use leptos::prelude::*;
use taskscope_wire::{QueueState, RunningTask, TaskStatus, WorkerHealth, WorkerState};

use super::{Icon, StalledTag, Timestamp, format, url};

/// What waits in which queue, and for how long.
#[component]
pub fn QueueTable(
    /// The queues, by name.
    #[prop(into)]
    queues: Signal<Vec<QueueState>>,
    /// When that was so.
    #[prop(into)]
    now: Signal<DateTime<Utc>>,
) -> impl IntoView {
    view! {
        <table class="list-table queue-table" data-testid="queues">
            <caption class="visually-hidden">"Queues, by name"</caption>
            <thead>
                <tr>
                    <th scope="col">"Queue"</th>
                    <th scope="col" class="numeric">"Queued"</th>
                    <th scope="col" class="numeric">"Oldest waits"</th>
                    <th scope="col" class="numeric">"Active"</th>
                    <th scope="col" class="numeric">"Workers"</th>
                </tr>
            </thead>
            <tbody>
                {move || queues.get().into_iter().map(|queue| view! { <QueueRow queue now=now.get()/> }).collect_view()}
            </tbody>
        </table>
    }
}

#[component]
fn QueueRow(queue: QueueState, now: DateTime<Utc>) -> impl IntoView {
    let name = if queue.queue.is_empty() { "(no queue named)".to_owned() } else { queue.queue.clone() };
    let oldest = queue.oldest_pending_at.map_or_else(|| format::NONE.to_owned(), |since| format::span(now - since));
    // With waiting tasks and nobody to take them something is wrong, unless no worker tells its queues.
    let nobody = queue.workers == 0 && queue.pending > 0 && !queue.queue.is_empty();
    view! {
        <tr data-queue=queue.queue.clone()>
            <th scope="row">{name}</th>
            <td class="numeric number" data-count="pending" data-value=queue.pending.to_string()>
                <a href=url::history_of_queue(&queue.queue, TaskStatus::Pending)>{format::count(queue.pending)}</a>
            </td>
            <td class="numeric number">{oldest}</td>
            <td class="numeric number" data-count="running" data-value=queue.running.to_string()>
                <a href=url::history_of_queue(&queue.queue, TaskStatus::Running)>{format::count(queue.running)}</a>
            </td>
            <td class="numeric number" data-count="workers" data-value=queue.workers.to_string()>
                {format::count(queue.workers)}
                {nobody.then(|| view! { <span class="tag tag-stalled">"nobody takes"</span> })}
            </td>
        </tr>
    }
}

/// The workers, and what each runs now.
#[component]
pub fn WorkerList(
    /// The workers: those that are alive first.
    #[prop(into)]
    workers: Signal<Vec<WorkerState>>,
    /// When that was so.
    #[prop(into)]
    now: Signal<DateTime<Utc>>,
) -> impl IntoView {
    view! {
        <ul class="workers" data-testid="workers">
            <For each=move || workers.get() key=|worker| worker.worker.clone() let:worker>
                <Worker name=worker.worker.clone() workers now/>
            </For>
        </ul>
    }
}

/// One worker, whose element stays while it changes.
#[component]
fn Worker(name: String, workers: Signal<Vec<WorkerState>>, now: Signal<DateTime<Utc>>) -> impl IntoView {
    let own = name.clone();
    let state = Memo::new(move |_| workers.with(|workers| workers.iter().find(|worker| worker.worker == own).cloned()));
    let heading = name.clone();
    view! {
        <li class="worker panel" data-testid="worker" data-worker=name data-health=move || state.read().as_ref().map(|worker| worker.health.as_str())>
            {move || {
                state.get().map(|worker| {
                    view! {
                        <div class="worker-head">
                            <h3><a href=url::history_by_worker(&heading)>{heading.clone()}</a></h3>
                            <Health health=worker.health/>
                        </div>
                        <Facts worker=worker.clone() now=now.get()/>
                        <Running worker now=now.get()/>
                    }
                })
            }}
        </li>
    }
}

/// How a worker is, as icon and word.
#[component]
fn Health(health: WorkerHealth) -> impl IntoView {
    let d = match health {
        WorkerHealth::Alive => "M1.5 8.5h3l2-5 3 9 2-4h3",
        WorkerHealth::Stopped => "M3.5 3.5h9v9h-9z",
        WorkerHealth::Gone => "M3.5 3.5l9 9M12.5 3.5l-9 9",
    };
    view! {
        <span class="worker-health" data-health=health.as_str()>
            <Icon d/>
            {health.label()}
        </span>
    }
}

#[component]
fn Facts(worker: WorkerState, now: DateTime<Utc>) -> impl IntoView {
    let text = |name: &'static str, value: Option<String>| {
        value.filter(|value| !value.is_empty()).map(|value| view! { <div><dt>{name}</dt><dd>{value}</dd></div> })
    };
    let running = match worker.concurrency {
        Some(most) => format!("{} of {}", format::count(worker.running_count), format::count(most)),
        None => format::count(worker.running_count),
    };
    let dropped = (worker.dropped > 0).then(|| {
        view! {
            <div class="worker-dropped" data-count="dropped" data-value=worker.dropped.to_string()>
                <dt>"Events dropped"</dt>
                <dd>{format::grouped(worker.dropped)}</dd>
            </div>
        }
    });
    view! {
        <dl class="facts">
            <div><dt>"Runs now"</dt><dd data-count="running" data-value=worker.running_count.to_string()>{running}</dd></div>
            <div><dt>"Last heartbeat"</dt><dd>{format!("{} ago", format::span(now - worker.last_seen))}</dd></div>
            {text("Queues", Some(worker.queues.join(", ")))}
            <div><dt>"Started"</dt><dd><Timestamp at=worker.started_at/></dd></div>
            {text("Host", Some(worker.host))}
            {text("Process", Some(worker.pid.to_string()))}
            {text("Client", Some(worker.client))}
            {text("Version", worker.version)}
            {text("Events waiting", (worker.buffered > 0).then(|| format::grouped(worker.buffered)))}
            {dropped}
        </dl>
    }
}

#[component]
fn Running(worker: WorkerState, now: DateTime<Utc>) -> impl IntoView {
    let more = worker.running_count - worker.running.len() as i64;
    let row = |task: RunningTask| {
        view! {
            <li data-id=task.id.to_string()>
                <a href=url::execution(task.id)>{task.task_name}</a>
                <span class="number">{format::span(now - task.started_at)}</span>
                {task.stalled.map(|reason| view! { <StalledTag reason/> })}
            </li>
        }
    };
    (worker.running_count > 0).then(|| {
        view! {
            <ul class="worker-running" aria-label="Runs now">
                {worker.running.into_iter().map(row).collect_view()}
                {(more > 0).then(|| view! { <li>{format!("and {} more", format::grouped(more))}</li> })}
            </ul>
        }
    })
}

#[cfg(test)]
#[cfg(feature = "ssr")]
mod tests {
    use chrono::TimeDelta;
    use taskscope_wire::StallReason;

    use super::*;

    fn worker(health: WorkerHealth) -> WorkerState {
        let at = DateTime::UNIX_EPOCH;
        WorkerState {
            worker: "web-1:41:9f2a".to_owned(),
            health,
            host: "web-1".to_owned(),
            pid: 41,
            client: "taskscope-client 0.1.0".to_owned(),
            version: None,
            queues: vec!["default".to_owned()],
            concurrency: Some(8),
            started_at: at,
            last_seen: at + TimeDelta::seconds(60),
            buffered: 0,
            dropped: 1234,
            running_count: 2,
            running: vec![RunningTask {
                id: 7,
                task_name: "score_message_task".to_owned(),
                started_at: at,
                stalled: Some(StallReason::WorkerGone),
            }],
        }
    }

    #[test]
    fn a_worker_says_what_it_runs_and_dropped() {
        let owner = Owner::new();
        owner.set();
        let now = DateTime::UNIX_EPOCH + TimeDelta::seconds(62);
        let workers = Signal::stored(vec![worker(WorkerHealth::Gone)]);
        let html = view! { <WorkerList workers now=Signal::stored(now)/> }.to_html();
        for part in
            ["2 of 8", "2s ago", "1,234", "1m 02s", "and 1 more", r#"data-health="gone""#, r#"data-stalled="worker_gone""#]
        {
            assert!(html.contains(part), "{part} in {html}");
        }
    }

    #[test]
    fn a_queue_that_nobody_takes_from_says_so() {
        let owner = Owner::new();
        owner.set();
        let queue = |workers| QueueState {
            queue: "mail".to_owned(),
            pending: 3,
            oldest_pending_at: Some(DateTime::UNIX_EPOCH),
            running: 0,
            workers,
        };
        let html = |workers| {
            let now = Signal::stored(DateTime::UNIX_EPOCH + TimeDelta::seconds(75));
            view! { <QueueTable queues=Signal::stored(vec![queue(workers)]) now/> }.to_html()
        };
        assert!(html(0).contains("nobody takes") && html(0).contains("1m 15s"), "{}", html(0));
        assert!(!html(1).contains("nobody takes"));
    }
}
