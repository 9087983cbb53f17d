use chrono::{DateTime, Utc};
use leptos::prelude::*;
use taskscope_wire::{Run, RunStatus};

use super::{ProgressBar, Status, Took, clock, format, run_table::cost};

/// How far a run is: a bar with words, and figures that keep their places while they move.
#[component]
pub fn RunProgress(
    /// The run.
    #[prop(into)]
    run: Signal<Run>,
) -> impl IntoView {
    let text = Memo::new(move |_| run.with(in_words));
    let status = Memo::new(move |_| run.with(|run| run.status));
    let figure = move |name: &'static str, label: &'static str, of: fn(&Run) -> String| {
        let value = Memo::new(move |_| run.with(of));
        view! {
            <div>
                <dt>{label}</dt>
                <dd class="number" data-figure=name>{value}</dd>
            </div>
        }
    };
    view! {
        <div class="run-progress panel" data-testid="run-progress">
            // Only what happens seldom is said aloud: batches end more than once a second.
            <p class="visually-hidden" role="status">{move || status.get().label()}</p>
            <div class="run-progress-head">
                <p class="number" data-testid="run-progress-text">{text}</p>
                <p class="run-progress-share number" aria-hidden="true">{move || run.with(share)}</p>
            </div>
            <ProgressBar label="Batches done" done=Signal::derive(move || run.with(done)) all=Signal::derive(move || run.with(all))/>
            <dl class="figures">
                {figure("messages", "Messages", |run| of(run.messages_processed, run.messages_after_prefilter))}
                {figure("batches", "Batches", |run| of(run.batches_done, run.batches_created))}
                {figure("proposals", "Proposals", |run| format::count(run.proposals_total))}
                {figure("tokens", "Tokens", |run| format::count(run.llm_tokens))}
                {figure("cost", "Cost", cost)}
                <div>
                    <dt>{move || if is_running(run) { "Time left" } else { "Duration" }}</dt>
                    <dd class="number" data-figure="time"><Time run/></dd>
                </div>
            </dl>
        </div>
    }
}

fn is_running(run: Signal<Run>) -> bool {
    run.with(|run| run.status == RunStatus::Running)
}

fn of(done: i64, all: i64) -> String {
    if all == 0 { format::NONE.to_owned() } else { format!("{} of {}", format::grouped(done), format::grouped(all)) }
}

/// A finished run without batches had nothing to do, which is all done.
const fn all(run: &Run) -> i64 {
    match run.status {
        RunStatus::Pending => 1,
        RunStatus::Running => run.batches_created,
        _ if run.batches_created == 0 => 1,
        _ => run.batches_created,
    }
}

const fn done(run: &Run) -> i64 {
    match run.status {
        RunStatus::Completed | RunStatus::Reviewed | RunStatus::Closed if run.batches_created == 0 => 1,
        _ => run.batches_done,
    }
}

fn share(run: &Run) -> Option<String> {
    (run.batches_created > 0).then(|| format::share(run.batches_done as f64 / run.batches_created as f64))
}

fn in_words(run: &Run) -> String {
    let n = format::grouped;
    let (done, all) = (run.batches_done, run.batches_created);
    match run.status {
        RunStatus::Pending if run.task_id.is_some() => "Waits in the queue.".to_owned(),
        RunStatus::Pending => "Not started yet.".to_owned(),
        RunStatus::Running if all == 0 => "Choosing messages…".to_owned(),
        RunStatus::Running => format!("Batch {} of {}", n((done + 1).min(all)), n(all)),
        RunStatus::Failed | RunStatus::Cancelled if all == 0 => "Stopped before the first batch.".to_owned(),
        RunStatus::Failed | RunStatus::Cancelled => format!("Stopped after {} of {} batches.", n(done), n(all)),
        _ if all == 0 && run.total_messages_in_window == 0 => "There are no messages in this window.".to_owned(),
        _ if all == 0 => format!("None of {} messages passed the filter.", n(run.total_messages_in_window)),
        _ => format!(
            "{} of {} messages in the window passed the filter.",
            n(run.messages_after_prefilter),
            n(run.total_messages_in_window)
        ),
    }
}

/// While it runs, how long it will still take, by the batches that are done; then how long it took.
#[component]
fn Time(run: Signal<Run>) -> impl IntoView {
    let running = Memo::new(move |_| is_running(run));
    let now = clock::seconds(running.into());
    let batches = Memo::new(move |_| run.with(|run| (run.started_at, run.batches_done, run.batches_created)));
    // Reckoned when a batch ends, so that it falls steadily until the next one does.
    let ends = RwSignal::new(None::<DateTime<Utc>>);
    Effect::new(move |_| {
        let (started, done, all) = batches.get();
        ends.set(started.and_then(|started| end_of(started, Utc::now(), done, all)));
    });
    let left = move || now.get().zip(ends.get()).map_or_else(|| format::NONE.to_owned(), |(now, ends)| format::span(ends - now));
    move || match running.get() {
        true => view! { {left} }.into_any(),
        false => view! { <Took run/> }.into_any(),
    }
}

fn end_of(started: DateTime<Utc>, now: DateTime<Utc>, done: i64, all: i64) -> Option<DateTime<Utc>> {
    let done = i32::try_from(done).ok().filter(|done| *done > 0)?;
    let left = i32::try_from(all).ok()?.checked_sub(done)?;
    let each = (now - started) / done;
    now.checked_add_signed(each.checked_mul(left)?)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::components::run_table::fixture;

    #[test]
    fn the_end_is_reckoned_by_the_batches_that_are_done() {
        let (started, now) = (DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH + TimeDelta::seconds(20));
        assert_eq!(end_of(started, now, 2, 5), Some(now + TimeDelta::seconds(30)));
        assert_eq!(end_of(started, now, 0, 5), None);
    }

    #[test]
    fn a_run_says_how_it_stands() {
        let says = |status| in_words(&fixture(status));
        assert_eq!(says(RunStatus::Running), "Batch 3 of 3");
        assert_eq!(says(RunStatus::Pending), "Waits in the queue.");
        assert_eq!(in_words(&Run { task_id: None, ..fixture(RunStatus::Pending) }), "Not started yet.");
        assert_eq!(says(RunStatus::Failed), "Stopped after 2 of 3 batches.");
        assert_eq!(says(RunStatus::Completed), "45 of 150 messages in the window passed the filter.");
        let nothing = Run { batches_created: 0, total_messages_in_window: 0, ..fixture(RunStatus::Completed) };
        assert_eq!(
            (in_words(&nothing), done(&nothing), all(&nothing)),
            ("There are no messages in this window.".to_owned(), 1, 1)
        );
    }
}
