use std::time::Duration;

use leptos::{html, prelude::*, task::spawn_local};
use leptos_meta::Title;
use leptos_router::{
    LazyRoute, NavigateOptions,
    hooks::{use_navigate, use_url},
    lazy_route,
};
use taskscope_wire::{Import, Json, Role, TaskType, Triggered};

use super::{
    Problem, TITLE,
    load::{draw_once, follow},
};
use crate::{
    components::{ImportList, RoleNote, RowSkeletons, TaskForm, TaskTypes, may, url},
    error::AppError,
    live::use_live,
    server_fns::{get_execution, get_imports, get_task_types, trigger_task},
};

/// How often it is asked how far imports have come.
const AGAIN: Duration = Duration::from_secs(1);

type Loaded<T> = Resource<Result<T, AppError>>;

/// The task types of Taskscope's own worker, and the dialog that runs one: opened and closed by the address.
pub struct TasksPage;

/// What it loads.
struct Data {
    types: Loaded<Vec<TaskType>>,
    /// The task type to run.
    run: Memo<Option<String>>,
    /// The execution whose params to begin with.
    from: Memo<Option<String>>,
    /// Those params, with the execution that they are of.
    params: Loaded<(Option<String>, Option<Json>)>,
    imports: Loaded<Vec<Import>>,
}

#[lazy_route]
impl LazyRoute for TasksPage {
    fn data() -> Self {
        Self
    }

    fn view(_page: Self) -> AnyView {
        view! { <TasksView data=Data::load()/> }.into_any()
    }
}

impl Data {
    fn load() -> Self {
        let address = use_url();
        let param = move |name: &'static str| Memo::new(move |_| address.with(|address| url::param(address.search(), name)));
        let from = param(url::FROM);
        Self {
            types: Resource::new(|| (), |()| get_task_types()),
            run: param(url::RUN),
            from,
            params: Resource::new(move || from.get(), params_of),
            imports: Resource::new(|| (), |()| get_imports()),
        }
    }
}

async fn params_of(execution: Option<String>) -> Result<(Option<String>, Option<Json>), AppError> {
    let params = match &execution {
        Some(name) => {
            let id = name.parse().map_err(|_| AppError::NotFound(format!("execution {name}")))?;
            get_execution(id).await?.params
        }
        None => None,
    };
    Ok((execution, params))
}

/// A task type to run, and the params to begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Chosen {
    task: TaskType,
    params: Option<Json>,
}

#[component]
fn TasksView(data: Data) -> impl IntoView {
    let Data { types, run, from, params, imports } = data;
    use_live().connect();
    let shown = RwSignal::new(None::<Result<Vec<TaskType>, AppError>>);
    let loaded = follow(types, move |loaded| shown.set(Some(loaded)));
    let begin = RwSignal::new(None::<Result<(Option<String>, Option<Json>), AppError>>);
    let prepared = follow(params, move |loaded| begin.set(Some(loaded)));
    let shown_imports = RwSignal::new(Vec::<Import>::new());
    // What is shown stays where newer can't be had.
    let imported = follow(imports, move |loaded| drop(loaded.map(|loaded| shown_imports.set(loaded))));
    Effect::new(move |_| {
        let timer = set_interval_with_handle(move || imports.refetch(), AGAIN);
        on_cleanup(move || drop(timer.map(|timer| timer.clear())));
    });
    let problem = Memo::new(move |_| {
        let failed = shown.with(|shown| shown.as_ref().and_then(|shown| shown.as_ref().err().cloned()));
        failed.or_else(|| begin.with(|begin| begin.as_ref().and_then(|begin| begin.as_ref().err().cloned())))
    });
    // None while the params of another execution are there: a form that filled itself anew would take away what was typed into it.
    let chosen = Memo::new(move |_| {
        let name = run.get()?;
        let params = begin.with(|begin| match begin {
            Some(Ok((of, params))) if *of == from.get() => Some(params.clone()),
            _ => None,
        })?;
        let task = shown.with(|shown| shown.as_ref()?.as_ref().ok()?.iter().find(|task| task.name == name).cloned())?;
        Some(Chosen { task, params })
    });
    let reload = Callback::new(move |()| {
        types.refetch();
        params.refetch();
    });
    view! {
        <Title text=format!("Tasks · {TITLE}")/>
        <div class="page tasks-page">
            <div class="page-head">
                <h1>"Tasks"</h1>
            </div>
            <p class="tasks-intro">"What Taskscope's own worker runs."</p>
            <RoleNote needs=Role::Operator what="Running a task"/>
            <Transition fallback=RowSkeletons>
                {draw_once(async move {
                    loaded.await;
                    prepared.await;
                    imported.await;
                    move || match problem.get() {
                        Some(error) => {
                            view! { <Problem error retry=reload clear=(url::TASKS, "Show all tasks")/> }.into_any()
                        }
                        None => view! {
                            <Imports imports=shown_imports/>
                            {move || shown.get().and_then(Result::ok).map(|types| view! { <TaskTypes types/> })}
                            {may(Role::Operator).then(|| view! { <RunDialog chosen/> })}
                        }
                        .into_any(),
                    }
                })}
            </Transition>
        </div>
    }
}

#[component]
fn Imports(imports: RwSignal<Vec<Import>>) -> impl IntoView {
    view! {
        <Show when=move || imports.with(|imports| !imports.is_empty())>
            <section class="section" aria-labelledby="imports-title">
                <h2 id="imports-title">"Newest imports"</h2>
                <ImportList imports/>
            </section>
        </Show>
    }
}

#[component]
fn RunDialog(chosen: Memo<Option<Chosen>>) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    let navigate = use_navigate();
    let close = Callback::new(move |()| {
        navigate(url::TASKS, NavigateOptions { scroll: false, ..NavigateOptions::default() });
    });
    let error = RwSignal::new(None::<String>);
    let busy = RwSignal::new(false);
    let done = RwSignal::new(None::<Triggered>);
    // A dialog is modal only where the browser's own method opened it.
    Effect::new(move |_| {
        let open = chosen.with(Option::is_some);
        if let Some(dialog) = dialog.get() {
            error.set(None);
            // Set to nothing again, it would draw the form again, without what was typed meanwhile.
            if done.with_untracked(Option::is_some) {
                done.set(None);
            }
            match open {
                true if !dialog.open() => drop(dialog.show_modal()),
                false if dialog.open() => dialog.close(),
                _ => {}
            }
        }
    });
    let submit = Callback::new(move |params: Result<Json, String>| {
        let Some(Chosen { task, .. }) = chosen.get_untracked().filter(|_| !busy.get_untracked()) else { return };
        match params {
            Err(wrong) => error.set(Some(wrong)),
            Ok(params) => {
                busy.set(true);
                error.set(None);
                spawn_local(async move {
                    match trigger_task(task.name, params).await {
                        Ok(triggered) => done.set(Some(triggered)),
                        Err(refused) => error.set(Some(refused.to_string())),
                    }
                    busy.set(false);
                });
            }
        }
    });
    view! {
        <dialog
            class="dialog"
            data-testid="run-dialog"
            aria-labelledby="run-title"
            node_ref=dialog
            on:close=move |_| {
                if chosen.with_untracked(Option::is_some) {
                    close.run(());
                }
            }
        >
            {move || {
                chosen.get().map(|Chosen { task, params }| {
                    let (name, description) = (task.name.clone(), task.description.clone());
                    view! {
                        <h2 id="run-title">{format!("Run {name}")}</h2>
                        <p class="dialog-text">{description}</p>
                        {move || match done.get() {
                            Some(triggered) => view! { <Sent triggered close/> }.into_any(),
                            None => view! { <TaskForm task=task.clone() params=params.clone() error busy submit close/> }.into_any(),
                        }}
                    }
                })
            }}
        </dialog>
    }
}

/// Says that the task waits in its queue, and where to see what becomes of it.
#[component]
fn Sent(triggered: Triggered, close: Callback<()>) -> impl IntoView {
    view! {
        <p role="status" data-testid="task-sent">{format!("It waits in the queue {}.", triggered.queue)}</p>
        <div class="task-form-buttons">
            <button type="button" class="button" on:click=move |_| close.run(())>"Close"</button>
            <a class="button button-primary" href=url::history_of_id(&triggered.task_id)>"See its execution"</a>
        </div>
    }
}
