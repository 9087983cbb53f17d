use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::{LazyRoute, hooks::use_params_map, lazy_route};
use taskscope_wire::Execution;

use super::{LoadedExecution, TITLE, loaded_execution::ExecutionResource};
use crate::{components::url, error::AppError, live::use_live, server_fns::get_execution};

/// One execution under an address of its own.
pub struct ExecutionPage;

/// What it loads.
struct Data {
    id: Memo<Option<i64>>,
    execution: ExecutionResource,
}

#[lazy_route]
impl LazyRoute for ExecutionPage {
    fn data() -> Self {
        Self
    }

    fn view(_page: Self) -> AnyView {
        let this = Data::load();
        view! { <ExecutionView id=this.id execution=this.execution/> }.into_any()
    }
}

impl Data {
    fn load() -> Self {
        let params = use_params_map();
        let name = Memo::new(move |_| params.with(|params| params.get("id")).unwrap_or_default());
        let execution = Resource::new(
            move || name.get(),
            |name| async move {
                match name.parse() {
                    Ok(id) => Some(get_execution(id).await),
                    Err(_) => Some(Err(AppError::NotFound(format!("execution {name}")))),
                }
            },
        );
        Self { id: Memo::new(move |_| name.with(|name| name.parse().ok())), execution }
    }
}

#[component]
fn ExecutionView(id: Memo<Option<i64>>, execution: ExecutionResource) -> impl IntoView {
    use_live().connect();
    view! {
        <Title text=format!("Execution · {TITLE}")/>
        <div class="page execution-page" data-testid="execution-detail">
            <nav class="crumbs" aria-label="Breadcrumb">
                <a href=url::HISTORY>"Task History"</a>
            </nav>
            <LoadedExecution id execution head clear=(url::HISTORY, "Go to the Task History")/>
        </div>
    }
}

fn head(execution: Option<&Execution>) -> AnyView {
    let title = execution.map_or_else(
        || "Execution".into_any(),
        |execution| {
            let name = execution.task_name.clone();
            view! { <a href=url::task_type(&execution.task_name)>{name}</a> }.into_any()
        },
    );
    view! {
        <h1 class="detail-name">{title}</h1>
        <h2 class="visually-hidden">"Execution details"</h2>
    }
    .into_any()
}
