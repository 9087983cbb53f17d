use leptos::prelude::*;
use taskscope_wire::{Role, TaskType};

use super::{format, may, url};

/// The task types of Taskscope's own worker, each with a way to run it.
#[component]
pub fn TaskTypes(
    /// The task types.
    types: Vec<TaskType>,
) -> impl IntoView {
    let row = |task: TaskType| {
        let schedule = task.schedule.clone().map(|cron| view! { <span class="tag" title="Cron expression, UTC">{cron}</span> });
        let tries = match task.max_attempts {
            1 => "tried once".to_owned(),
            most => format!("tried {most} times"),
        };
        let label = format!("Run {}…", task.name);
        view! {
            <li class="task-type" data-testid="task-type" data-task-name=task.name.clone()>
                <div class="task-type-main">
                    <h2><a href=url::task_type(&task.name)>{task.name.clone()}</a></h2>
                    <p>{task.description}</p>
                    <p class="task-type-facts">
                        {format!("queue {}, {tries}, at most {} each", task.queue, format::duration(task.time_limit_ms as f64))}
                        {schedule}
                    </p>
                </div>
                {may(Role::Operator).then(|| {
                    view! { <a class="button button-small" href=url::run(&task.name) data-noscroll="" aria-label=label>"Run…"</a> }
                })}
            </li>
        }
    };
    view! { <ul class="task-types panel">{types.into_iter().map(row).collect_view()}</ul> }
}
