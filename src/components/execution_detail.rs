use chrono::{DateTime, TimeDelta, Utc};
use leptos::prelude::*;
#[cfg(test)]
use taskscope_wire::Source;
use taskscope_wire::{AttemptSummary, Execution, Json, Role, StallReason, TaskStatus};

use super::{Notice, StalledTag, StatusBadge, TextBlock, Timestamp, Tone, format, may, url};

/// What TaskIQ's worker reports instead of the cause when it retries an attempt that failed.
const NO_RESULT: &str = "taskiq.exceptions.NoResultError()";

/// Everything that is known of one execution.
#[component]
pub fn ExecutionDetail(
    /// The execution, with its attempts.
    execution: Execution,
) -> impl IntoView {
    let json = |label: &'static str, value: Option<&Json>| {
        value.map(|value| view! { <TextBlock label text=Signal::stored(value.pretty())/> })
    };
    let traceback = execution.error_traceback.clone();
    view! {
        <div class="detail">
            <div class="detail-status">
                <StatusBadge status=execution.status/>
                {attempt_of(&execution)}
                {execution.retried.then(|| view! { <span class="tag">"retried"</span> })}
                {execution.stalled.map(|reason| view! { <StalledTag reason/> })}
                {(execution.can_run_again() && may(Role::Operator)).then(|| view! {
                    <a class="button button-small detail-again" href=url::run_again(&execution.task_name, execution.id)>"Run again…"</a>
                })}
            </div>
            {stalled(&execution)}
            {error(&execution)}
            {traceback.map(|text| view! { <TextBlock label="Traceback" text=Signal::stored(text)/> })}
            <Facts execution=execution.clone()/>
            {json("Params", execution.params.as_ref())}
            {json("Result", execution.result.as_ref())}
            {json("Labels", execution.labels.as_ref())}
            <Attempts own=execution.id attempts=execution.attempts/>
        </div>
    }
}

fn attempt_of(execution: &Execution) -> Option<impl IntoView + use<>> {
    let of = execution.attempts.iter().map(|attempt| attempt.attempt).max().unwrap_or(1).max(execution.attempt);
    let text = format!("attempt {} of {of}", execution.attempt);
    (of > 1).then(|| view! { <span class="tag">{text}</span> })
}

fn stalled(execution: &Execution) -> Option<impl IntoView + use<>> {
    let text = match execution.stalled? {
        StallReason::WorkerGone => {
            "No heartbeat of its worker comes any more. If the worker's broker delivers the task again, it appears as another attempt."
        }
        StallReason::Overdue => "It runs longer than 99 % of the last successful executions of its task type did.",
    };
    Some(view! {
        <Notice tone=Tone::Calm title="Stalled">
            <p>{text}</p>
        </Notice>
    })
}

fn error(execution: &Execution) -> Option<impl IntoView + use<>> {
    let message = execution.error_message.clone().filter(|_| execution.status == TaskStatus::Failed)?;
    let hidden = execution.retried && message.trim() == NO_RESULT;
    Some(match hidden {
        true => view! {
            <Notice tone=Tone::Calm title="Retried">
                <p>"This attempt failed and was retried; the worker reported no cause."</p>
            </Notice>
        }
        .into_any(),
        false => view! {
            <div class="detail-error" data-status="failed">
                <h3>"Error"</h3>
                <p class="detail-message">{message}</p>
            </div>
        }
        .into_any(),
    })
}

#[component]
fn Facts(execution: Execution) -> impl IntoView {
    let Execution { queued_at, started_at, completed_at, created_at, .. } = execution;
    let time = |name: &'static str, at: Option<DateTime<Utc>>| {
        at.map(|at| view! { <div><dt>{name}</dt><dd><Timestamp at write=format::precise/></dd></div> })
    };
    let text = |name: &'static str, value: Option<String>| {
        value.filter(|value| !value.is_empty()).map(|value| view! { <div><dt>{name}</dt><dd>{value}</dd></div> })
    };
    let reported_times = [queued_at, started_at, completed_at].iter().any(Option::is_some);
    let waited = queued_at.zip(started_at).map(|(queued, started)| started - queued).filter(|wait| *wait >= TimeDelta::zero());
    view! {
        <dl class="facts">
            {time("Queued", queued_at)}
            {time("Started", started_at)}
            {time(if execution.status == TaskStatus::Failed { "Failed" } else { "Completed" }, completed_at)}
            {time("Created", (!reported_times).then_some(created_at))}
            {text("Duration", execution.duration_ms.map(|ms| format::duration(ms as f64)))}
            {text("Waited", waited.map(|wait| format::duration(wait.num_milliseconds() as f64)))}
            {text("Error type", execution.error_type)}
            {worker(execution.worker)}
            {text("Queue", execution.queue)}
            {text("Broker task id", execution.task_id)}
            {text("Retries allowed", execution.max_retries.map(|most| most.to_string()))}
            {text("Execution", Some(execution.id.to_string()))}
        </dl>
    }
}

/// The worker, with a way to what else it ran.
fn worker(name: Option<String>) -> Option<impl IntoView> {
    let name = name.filter(|name| !name.is_empty())?;
    Some(view! { <div><dt>"Worker"</dt><dd><a href=url::history_by_worker(&name)>{name.clone()}</a></dd></div> })
}

#[component]
fn Attempts(own: i64, attempts: Vec<AttemptSummary>) -> impl IntoView {
    (attempts.len() > 1).then(|| {
        let rows = attempts.into_iter().map(|attempt| {
            let name = format!("Attempt {}", attempt.attempt);
            let link = match attempt.id == own {
                true => view! { <span aria-current="true">{name}</span> }.into_any(),
                false => view! { <a href=url::execution(attempt.id)>{name}</a> }.into_any(),
            };
            view! {
                <li>
                    {link}
                    <StatusBadge status=attempt.status/>
                    {attempt.duration_ms.map(|ms| view! { <span class="number">{format::duration(ms as f64)}</span> })}
                    {attempt.started_at.map(|at| view! { <Timestamp at/> })}
                </li>
            }
        });
        view! {
            <div class="attempts">
                <h3>"Attempts"</h3>
                <ol>{rows.collect_view()}</ol>
            </div>
        }
    })
}

/// An execution for tests.
#[cfg(test)]
pub(crate) fn fixture(id: i64, status: TaskStatus) -> Execution {
    let at = DateTime::UNIX_EPOCH + TimeDelta::seconds(1_795_257_000);
    Execution {
        id,
        task_name: "score_message_task".to_owned(),
        status,
        source: Source::Native,
        task_id: Some("broker-id".to_owned()),
        params: Json::parse(r#"{"message_ids":[],"provider_id":"invalid"}"#.to_owned()).ok(),
        queued_at: Some(at - TimeDelta::milliseconds(40)),
        started_at: Some(at),
        completed_at: Some(at + TimeDelta::milliseconds(320)),
        duration_ms: Some(320),
        error_message: (status == TaskStatus::Failed).then(|| "No messages provided for extraction".to_owned()),
        error_traceback: (status == TaskStatus::Failed).then(|| "File \"a.py\", line 3".to_owned()),
        created_at: at,
        updated_at: at,
        attempt: 1,
        max_retries: None,
        queue: None,
        worker: None,
        labels: None,
        result: None,
        error_type: None,
        error_fingerprint: None,
        stalled: None,
        retried: false,
        attempts: Vec::new(),
    }
}

#[cfg(test)]
#[cfg(feature = "ssr")]
mod tests {
    use super::*;
    use crate::components::provide_role;

    fn detail(execution: Execution) -> String {
        detail_for(Role::Operator, execution)
    }

    fn detail_for(role: Role, execution: Execution) -> String {
        let owner = Owner::new();
        owner.set();
        provide_role(role);
        view! { <ExecutionDetail execution/> }.to_html()
    }

    #[test]
    fn scenario_3_shows_message_traceback_params_and_time() {
        let html = detail(fixture(7, TaskStatus::Failed));
        for part in
            ["No messages provided for extraction", "File \"a.py\", line 3", "\"message_ids\": []", "2026-11-21 10:30:00", "40ms"]
        {
            assert!(html.contains(part) || html.contains(&part.replace('"', "&quot;")), "{part} in {html}");
        }
    }

    #[test]
    fn only_tasks_of_our_own_worker_can_run_again() {
        let link = r#"href="/monitoring/tasks?run=score_message_task&amp;from=7""#;
        assert!(detail(fixture(7, TaskStatus::Failed)).contains(link), "{}", detail(fixture(7, TaskStatus::Failed)));
        assert!(!detail_for(Role::Viewer, fixture(7, TaskStatus::Failed)).contains("Run again"));
        assert!(!detail(fixture(7, TaskStatus::Running)).contains(link));
        assert!(!detail(Execution { source: Source::Taskiq, ..fixture(7, TaskStatus::Failed) }).contains(link));
        assert!(!detail(Execution { task_name: "another".to_owned(), ..fixture(7, TaskStatus::Failed) }).contains("Run again"));
    }

    #[test]
    fn a_stalled_execution_says_why() {
        let execution = Execution { stalled: Some(StallReason::WorkerGone), ..fixture(7, TaskStatus::Running) };
        let html = detail(execution);
        assert!(html.contains("stalled") && html.contains("No heartbeat of its worker"), "{html}");
        assert!(!detail(fixture(7, TaskStatus::Running)).contains("stalled"));
    }

    #[test]
    fn a_hidden_cause_is_explained() {
        let mut execution = fixture(7, TaskStatus::Failed);
        execution.retried = true;
        execution.error_message = Some(NO_RESULT.to_owned());
        let other = |id, attempt, status| AttemptSummary {
            id,
            attempt,
            status,
            started_at: None,
            duration_ms: None,
            error_message: None,
        };
        execution.attempts = vec![other(7, 1, TaskStatus::Failed), other(8, 2, TaskStatus::Running)];
        let html = detail(execution);
        assert!(html.contains("the worker reported no cause") && html.contains("attempt 1 of 2"), "{html}");
        assert!(html.contains(r#"href="/monitoring/executions/8""#), "{html}");
    }
}
