use leptos::prelude::*;
use serde_json::Value;
use taskscope_wire::{AccuracyMetrics, Json, Run, RunError, TriggerType};

use super::{Timestamp, format, url};

/// What a run was asked for, by whom, and when.
#[component]
pub fn RunFacts(
    /// The run.
    #[prop(into)]
    run: Signal<Run>,
    /// The name of its project.
    #[prop(into)]
    project: Signal<Option<String>>,
) -> impl IntoView {
    let text = move |name: &'static str, of: fn(&Run) -> Option<String>| {
        let value = Memo::new(move |_| run.with(of));
        move || value.get().map(|value| view! { <div><dt>{name}</dt><dd>{value}</dd></div> })
    };
    let time = move |name: &'static str, of: fn(&Run) -> Option<chrono::DateTime<chrono::Utc>>| {
        let value = Memo::new(move |_| run.with(of));
        move || value.get().map(|at| view! { <div><dt>{name}</dt><dd><Timestamp at/></dd></div> })
    };
    let task = Memo::new(move |_| run.with(|run| run.task_id.clone()));
    view! {
        <dl class="facts">
            {text("Agent", |run| run.agent_name.clone())}
            {text("Model", |run| run.config_snapshot.as_ref().and_then(model))}
            {move || project.get().map(|name| view! { <div><dt>"Project"</dt><dd>{name}</dd></div> })}
            {text("Started by", |run| Some(started_by(run.trigger_type).to_owned()))}
            {time("Created", |run| Some(run.created_at))}
            {time("Started", |run| run.started_at)}
            {time("Ended", |run| run.completed_at)}
            {time("Closed", |run| run.closed_at)}
            {move || {
                task.get().map(|id| {
                    view! { <div><dt>"Executions"</dt><dd><a href=url::history_of_id(&id)>"In the Task History"</a></dd></div> }
                })
            }}
        </dl>
    }
}

const fn started_by(trigger: TriggerType) -> &'static str {
    match trigger {
        TriggerType::Manual => "A person",
        TriggerType::Scheduled => "The clock",
        TriggerType::Custom => "Another program",
    }
}

/// The model in the configuration that a run began with.
fn model(config: &Json) -> Option<String> {
    let config: Value = serde_json::from_str(config.as_str()).ok()?;
    config.get("model_name").and_then(Value::as_str).map(str::to_owned)
}

/// Why a run failed.
#[component]
pub fn RunFailure(
    /// Why.
    error: RunError,
) -> impl IntoView {
    let batch = error.batch.map(|batch| format!(", batch {}", format::grouped(batch))).unwrap_or_default();
    view! {
        <div class="detail-error" data-status="failed" data-testid="run-error">
            <h2>"Why it failed"</h2>
            <p class="detail-message">{error.error}</p>
            <p class="run-error-step">
                "Step " <code>{error.step}</code> {batch} ", " <Timestamp at=error.at/>
            </p>
        </div>
    }
}

/// How well the proposals of a closed run were received.
#[component]
pub fn RunOutcome(
    /// The figures.
    metrics: AccuracyMetrics,
) -> impl IntoView {
    let figures = [
        ("approval_rate", "Approved or merged", metrics.approval_rate),
        ("rejection_rate", "Rejected", metrics.rejection_rate),
        ("average_confidence", "Mean confidence", metrics.average_confidence),
        ("approved_confidence", "Confidence of the approved", metrics.approved_confidence),
        ("rejected_confidence", "Confidence of the rejected", metrics.rejected_confidence),
    ];
    let figures = figures.map(|(name, label, share)| {
        view! {
            <div>
                <dt>{label}</dt>
                <dd class="number" data-figure=name>{share.map_or_else(|| format::NONE.to_owned(), format::share)}</dd>
            </div>
        }
    });
    view! {
        <section class="section" aria-labelledby="outcome-title" data-testid="run-outcome">
            <h2 id="outcome-title">"Outcome of the review"</h2>
            <dl class="figures panel">{figures}</dl>
        </section>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_found_in_the_configuration() {
        let config = Json::parse(r#"{"model_name": "keyword-rules"}"#.to_owned()).unwrap();
        assert_eq!(model(&config).as_deref(), Some("keyword-rules"));
        assert_eq!(model(&Json::parse("{}".to_owned()).unwrap()), None);
    }
}
