use chrono::{DateTime, TimeDelta, Utc};
use leptos::prelude::*;
use taskscope_wire::{Assignment, NewRun, Project, TriggerType, time};
use uuid::Uuid;

use super::format;

/// From when to when messages are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Window {
    /// So many hours that end now.
    Last(i64),
    /// As the fields say.
    Custom,
}

const WINDOWS: [(Window, &str); 4] = [
    (Window::Last(24), "Last 24 hours"),
    (Window::Last(168), "Last 7 days"),
    (Window::Last(720), "Last 30 days"),
    (Window::Custom, "From – to"),
];

/// The form for a new analysis run.
#[component]
pub fn RunForm(
    /// Which agents do which tasks.
    assignments: Vec<Assignment>,
    /// The projects to choose from.
    projects: Vec<Project>,
    /// What is wrong with what was sent.
    #[prop(into)]
    error: Signal<Option<String>>,
    /// Whether the answer is on its way.
    #[prop(into)]
    busy: Signal<bool>,
    /// Takes the run, or what is wrong with it.
    #[prop(into)]
    submit: Callback<Result<NewRun, String>>,
    /// Closes the form.
    #[prop(into)]
    close: Callback<()>,
) -> impl IntoView {
    let assignment = RwSignal::new(assignments.first().map(|assignment| assignment.id));
    let project = RwSignal::new(None::<Uuid>);
    let window = RwSignal::new(Window::Last(24));
    let (from, to) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let read = move || {
        let (start, end) = window_of(window.get_untracked(), &from.read_untracked(), &to.read_untracked(), Utc::now())?;
        Ok(NewRun {
            time_window_start: start,
            time_window_end: end,
            agent_assignment_id: assignment.get_untracked().ok_or("An agent must be chosen.")?,
            trigger_type: TriggerType::Manual,
            project_config_id: project.get_untracked(),
        })
    };
    let choose = move |chosen: Window| {
        window.set(chosen);
        if chosen == Window::Custom && from.read_untracked().is_empty() && to.read_untracked().is_empty() {
            let now = Utc::now();
            from.set(format::input_value(now - TimeDelta::days(1)));
            to.set(format::input_value(now));
        }
    };
    let none = assignments.is_empty();
    view! {
        <form
            class="task-form"
            on:submit=move |event| {
                event.prevent_default();
                submit.run(read());
            }
        >
            <AssignmentField assignments chosen=assignment/>
            <WindowField window choose from to/>
            {(!projects.is_empty()).then(|| view! { <ProjectField projects chosen=project/> })}
            <p class="task-form-error" role="alert" data-testid="run-form-error">{move || error.get()}</p>
            <div class="task-form-buttons">
                <button type="button" class="button" on:click=move |_| close.run(())>"Cancel"</button>
                <button type="submit" class="button button-primary" disabled=move || none || busy.get()>
                    {move || if busy.get() { "Starting…" } else { "Start the run" }}
                </button>
            </div>
        </form>
    }
}

#[component]
fn AssignmentField(assignments: Vec<Assignment>, chosen: RwSignal<Option<Uuid>>) -> impl IntoView {
    if assignments.is_empty() {
        return view! {
            <p class="field-hint">
                "No active agent has a task. Give one with " <code>"POST /api/v1/agents/{id}/tasks"</code> "."
            </p>
        }
        .into_any();
    }
    let options = assignments.iter().map(|assignment| {
        let id = assignment.id;
        let name = format!("{}: {}", assignment.agent_name, assignment.task_name);
        view! { <option value=id.to_string() prop:selected=move || chosen.get() == Some(id)>{name}</option> }
    });
    let options = options.collect_view();
    let hint = move || {
        let chosen = chosen.get();
        assignments.iter().find(|assignment| Some(assignment.id) == chosen).map(provider_of)
    };
    view! {
        <div class="field">
            <label for="run-assignment">"Agent and task"</label>
            <select
                id="run-assignment"
                aria-describedby="run-assignment-hint"
                on:change=move |event| chosen.set(event_target_value(&event).parse().ok())
            >
                {options}
            </select>
            <p id="run-assignment-hint" class="field-hint" data-testid="run-provider">{hint}</p>
        </div>
    }
    .into_any()
}

fn provider_of(assignment: &Assignment) -> String {
    match assignment.provider_type.as_str() {
        "keyword" => "Rules without a language model: nothing leaves this machine, and it costs nothing.".to_owned(),
        _ => format!("Language model {} of {}.", assignment.model_name, assignment.provider_name),
    }
}

#[component]
fn WindowField(
    window: RwSignal<Window>,
    #[prop(into)] choose: Callback<Window>,
    from: RwSignal<String>,
    to: RwSignal<String>,
) -> impl IntoView {
    let choices = WINDOWS.map(|(value, name)| {
        view! {
            <label class="choice">
                <input type="radio" name="window" prop:checked=move || window.get() == value on:change=move |_| choose.run(value)/>
                <span>{name}</span>
            </label>
        }
    });
    let time = move |id: &'static str, label: &'static str, text: RwSignal<String>| {
        view! {
            <div class="field">
                <label for=id>{label}</label>
                <input id=id type="datetime-local" required prop:value=text on:input=move |event| text.set(event_target_value(&event))/>
            </div>
        }
    };
    view! {
        <fieldset class="choices">
            <legend>"Messages of"</legend>
            <div class="choices-row">{choices}</div>
            <Show when=move || window.get() == Window::Custom>
                <div class="choices-times">
                    {time("run-from", "From (UTC)", from)}
                    {time("run-to", "To (UTC)", to)}
                </div>
            </Show>
        </fieldset>
    }
}

#[component]
fn ProjectField(projects: Vec<Project>, chosen: RwSignal<Option<Uuid>>) -> impl IntoView {
    let options = projects.into_iter().map(|Project { id, name, .. }| {
        view! { <option value=id.to_string() prop:selected=move || chosen.get() == Some(id)>{name}</option> }
    });
    view! {
        <div class="field">
            <label for="run-project">"Project" <span class="field-optional">" (optional)"</span></label>
            <select id="run-project" on:change=move |event| chosen.set(event_target_value(&event).parse().ok())>
                <option value="" prop:selected=move || chosen.get().is_none()>"All messages"</option>
                {options.collect_view()}
            </select>
        </div>
    }
}

type Span = (DateTime<Utc>, DateTime<Utc>);

fn window_of(window: Window, from: &str, to: &str, now: DateTime<Utc>) -> Result<Span, String> {
    let Window::Last(hours) = window else {
        let start = time::parse(from).ok_or("From must be a date with a time.")?;
        let end = time::parse(to).ok_or("To must be a date with a time.")?;
        return if start < end { Ok((start, end)) } else { Err("To must be later than From.".to_owned()) };
    };
    Ok((now - TimeDelta::hours(hours), now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_after_it_starts() {
        let now = DateTime::from_timestamp(1_795_257_000, 0).unwrap();
        assert_eq!(window_of(Window::Last(24), "", "", now), Ok((now - TimeDelta::days(1), now)));
        let custom = |from, to| window_of(Window::Custom, from, to, now);
        assert_eq!(custom("2026-11-20T10:30", "2026-11-21T10:30"), Ok((now - TimeDelta::days(1), now)));
        assert_eq!(custom("2026-11-21T10:30", "2026-11-21T10:30").unwrap_err(), "To must be later than From.");
        assert_eq!(custom("", "2026-11-21T10:30").unwrap_err(), "From must be a date with a time.");
    }
}
