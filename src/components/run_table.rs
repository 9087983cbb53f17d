use leptos::prelude::*;
use taskscope_wire::{Run, RunStatus};
use uuid::Uuid;

use super::{ProgressBar, RunBadge, Timestamp, clock, format, url};

/// A run in the table, with its own signal, so that an event redraws one row only.
#[derive(Debug, Clone)]
pub struct RunRow {
    /// The run's id.
    pub id: Uuid,
    /// The run.
    pub run: ArcRwSignal<Run>,
}

/// A page of analysis runs.
#[component]
pub fn RunTable(
    /// The runs, newest first.
    #[prop(into)]
    rows: Signal<Vec<RunRow>>,
) -> impl IntoView {
    view! {
        <table class="list-table run-table">
            <caption class="visually-hidden">"Analysis runs, newest first"</caption>
            <thead>
                <tr>
                    <th scope="col">"Messages from – to (UTC)"</th>
                    <th scope="col">"Status"</th>
                    <th scope="col">"Agent"</th>
                    <th scope="col">"Batches"</th>
                    <th scope="col">"Proposals"</th>
                    <th scope="col" class="numeric">"Tokens"</th>
                    <th scope="col" class="numeric">"Cost"</th>
                    <th scope="col">"Started"</th>
                    <th scope="col" class="numeric">"Duration"</th>
                </tr>
            </thead>
            <tbody>
                <For each=move || rows.get() key=|row| row.id let:row>
                    <Row id=row.id run=row.run/>
                </For>
            </tbody>
        </table>
    }
}

#[component]
fn Row(id: Uuid, #[prop(into)] run: Signal<Run>) -> impl IntoView {
    let status = Memo::new(move |_| run.with(|run| run.status));
    let window = Memo::new(move |_| run.with(|run| format::window(run.time_window_start, run.time_window_end)));
    let agent = Memo::new(move |_| run.with(|run| run.agent_name.clone()).unwrap_or_else(|| format::NONE.to_owned()));
    let count = move |of: fn(&Run) -> i64| Memo::new(move |_| run.with(of));
    let tokens = count(|run| run.llm_tokens);
    let started = Memo::new(move |_| run.with(|run| run.started_at));
    view! {
        <tr class="run-row" data-testid="run-row" data-id=id.to_string() data-status=move || status.get().to_string()>
            <th scope="row" class="number"><a href=url::analysis_run(id)>{window}</a></th>
            <td class="run-status"><RunBadge status/></td>
            <td class="run-agent">{agent}</td>
            <td class="run-batches"><Batches run/></td>
            <td><ProposalCounts run/></td>
            <td class="numeric"><span class="run-label">"Tokens "</span>{move || format::count(tokens.get())}</td>
            <td class="numeric"><span class="run-label">"Cost "</span>{move || run.with(cost)}</td>
            <td class="run-started">{move || started.get().map_or_else(|| format::NONE.into_any(), |at| view! { <Timestamp at/> }.into_any())}</td>
            <td class="numeric"><Took run/></td>
        </tr>
    }
}

/// What a run cost, or a dash where its model has no price.
pub(super) fn cost(run: &Run) -> String {
    run.cost.map_or_else(|| format::NONE.to_owned(), format::dollars)
}

/// How many batches are done, with a bar while the run runs.
#[component]
fn Batches(run: Signal<Run>) -> impl IntoView {
    let running = Memo::new(move |_| run.with(|run| run.status == RunStatus::Running));
    let batches = Memo::new(move |_| run.with(|run| (run.batches_done, run.batches_created)));
    let text = move || match batches.get() {
        (_, 0) => format::NONE.to_owned(),
        (done, all) => format!("{} of {}", format::grouped(done), format::grouped(all)),
    };
    view! {
        <span class="run-label">"Batches "</span>
        <span class="number" data-count="batches">{text}</span>
        <Show when=move || running.get()>
            <ProgressBar label="Batches done" done=Signal::derive(move || batches.get().0) all=Signal::derive(move || batches.get().1)/>
        </Show>
    }
}

/// How many proposals a run made, and what became of them.
#[component]
fn ProposalCounts(run: Signal<Run>) -> impl IntoView {
    let counts = Memo::new(move |_| {
        let parts = run.with(|run| [run.proposals_pending, run.proposals_approved, run.proposals_rejected, run.proposals_merged]);
        (run.with(|run| run.proposals_total), parts)
    });
    move || match counts.get() {
        (0, _) => view! { <span class="run-label">"Proposals "</span>{format::NONE} }.into_any(),
        (total, parts) => {
            let parts = parts.into_iter().zip(["pending", "approved", "rejected", "merged"]);
            let parts = parts.filter(|(count, _)| *count > 0).map(|(count, word)| format!("{} {word}", format::grouped(count)));
            view! {
                <span class="run-label">"Proposals "</span>
                <span class="number" data-count="proposals" data-value=total.to_string()>{format::count(total)}</span>
                <span class="run-parts">{parts.collect::<Vec<_>>().join(", ")}</span>
            }
            .into_any()
        }
    }
}

/// How long a run took, or has taken so far.
#[component]
pub fn Took(
    /// The run.
    run: Signal<Run>,
) -> impl IntoView {
    let times = Memo::new(move |_| run.with(|run| (run.started_at, run.completed_at)));
    let running = Memo::new(move |_| run.with(|run| run.status == RunStatus::Running));
    let now = clock::seconds(running.into());
    move || match (times.get(), running.get()) {
        ((Some(started), _), true) => now.get().map_or_else(|| format::NONE.to_owned(), |now| format::span(now - started)),
        ((Some(started), Some(ended)), false) => format::duration((ended - started).num_milliseconds().max(0) as f64),
        _ => format::NONE.to_owned(),
    }
}

/// A run for tests.
#[cfg(test)]
pub(crate) fn fixture(status: RunStatus) -> Run {
    use chrono::{DateTime, TimeDelta};
    use taskscope_wire::TriggerType;

    let at = DateTime::UNIX_EPOCH + TimeDelta::seconds(1_795_257_000);
    let begun = status != RunStatus::Pending;
    Run {
        id: Uuid::from_u128(7),
        status,
        time_window_start: at - TimeDelta::days(1),
        time_window_end: at,
        agent_assignment_id: Uuid::from_u128(4),
        project_config_id: None,
        trigger_type: TriggerType::Manual,
        agent_name: Some("Keyword rules".to_owned()),
        config_snapshot: None,
        task_id: Some("task-7".to_owned()),
        created_at: at,
        started_at: begun.then_some(at),
        completed_at: status.is_over().then_some(at + TimeDelta::seconds(75)),
        closed_at: None,
        total_messages_in_window: 150,
        messages_after_prefilter: 45,
        messages_processed: 30,
        batches_created: 3,
        batches_done: 2,
        proposals_total: 5,
        proposals_pending: 2,
        proposals_approved: 1,
        proposals_rejected: 1,
        proposals_merged: 1,
        llm_tokens: 12_345,
        prompt_tokens: 12_000,
        completion_tokens: 345,
        cost: Some(0.0421),
        error_log: None,
        accuracy_metrics: None,
    }
}

#[cfg(test)]
#[cfg(feature = "ssr")]
mod tests {
    use super::*;

    fn html(run: Run) -> String {
        let owner = Owner::new();
        owner.set();
        let rows = Signal::stored(vec![RunRow { id: run.id, run: ArcRwSignal::new(run) }]);
        view! { <RunTable rows/> }.to_html()
    }

    #[test]
    fn a_running_run_has_a_bar_and_a_finished_one_its_duration() {
        let running = html(fixture(RunStatus::Running));
        assert!(running.contains("<progress") && running.contains("2 of 3"), "{running}");
        let completed = html(fixture(RunStatus::Completed));
        assert!(!completed.contains("<progress") && completed.contains("1m 15s") && completed.contains("$0.042"), "{completed}");
        assert!(completed.contains("2 pending, 1 approved, 1 rejected, 1 merged"), "{completed}");
        assert!(completed.contains(r#"href="/monitoring/analysis/00000000-0000-0000-0000-000000000007""#), "{completed}");
    }

    #[test]
    fn what_is_not_known_is_a_dash() {
        let run = Run { cost: None, batches_created: 0, proposals_total: 0, ..fixture(RunStatus::Pending) };
        assert!(html(run).matches(format::NONE).count() >= 5);
    }
}
