use chrono::{DateTime, Utc};
use leptos::{prelude::*, task::spawn_local};
use leptos_meta::Title;
use leptos_router::{
    LazyRoute, NavigateOptions,
    hooks::{use_navigate, use_url},
    lazy_route,
};
use taskscope_wire::{HistoryPage, HistoryQuery, InvalidQuery, REGISTERED_TASK_TYPES, search::Known};

use super::{
    DatabaseBanner, Problem, TITLE,
    history_list::{HistoryList, List},
    history_panel::HistoryPanel,
    load::{clear, draw_once, follow},
    loaded_execution::ExecutionResource,
    problem::passes,
};
use crate::{
    components::{HistoryFilters, RowSkeletons, url},
    error::AppError,
    live::use_live,
    server_fns::{get_execution, get_history, get_search_words, get_task_names},
};

/// The executions that match some filters, a page of them at a time, and the details of one beside them.
pub struct History;

/// What it loads.
struct Data {
    query: Memo<Result<HistoryQuery, InvalidQuery>>,
    /// What the address searches for, whether it is a search or not.
    search: Memo<String>,
    selected: Memo<Option<Result<i64, InvalidQuery>>>,
    /// The task types to choose from, and when they were asked for.
    names: Resource<(Vec<String>, DateTime<Utc>)>,
    page: Resource<Result<(HistoryQuery, HistoryPage), AppError>>,
    execution: ExecutionResource,
}

#[lazy_route]
impl LazyRoute for History {
    fn data() -> Self {
        Self
    }

    fn view(_page: Self) -> AnyView {
        view! { <HistoryView data=Data::load()/> }.into_any()
    }
}

impl Data {
    fn load() -> Self {
        let address = use_url();
        let search = Memo::new(move |_| address.with(|address| address.search().to_owned()));
        let query = Memo::new(move |_| search.with(|search| query_of(search)));
        let selected = Memo::new(move |_| search.with(|search| selected_of(search)));
        Self {
            query,
            search: Memo::new(move |_| search.with(|search| url::param(search, url::SEARCH)).unwrap_or_default()),
            selected,
            names: Resource::new(|| (), |()| names()),
            page: Resource::new(move || query.get(), fetch),
            execution: Resource::new(
                move || selected.get(),
                |id| async move {
                    match id? {
                        Ok(id) => Some(get_execution(id).await),
                        Err(invalid) => Some(Err(invalid.into())),
                    }
                },
            ),
        }
    }
}

#[component]
fn HistoryView(data: Data) -> impl IntoView {
    let Data { query, search, selected, names, page, execution } = data;
    let live = use_live();
    let navigate = use_navigate();
    let go = Callback::new(move |(to, replace): (String, bool)| {
        navigate(&to, NavigateOptions { scroll: false, replace, ..NavigateOptions::default() });
    });
    let filters = Signal::derive(move || query.get().unwrap_or_default());
    let open = Memo::new(move |_| selected.get().and_then(Result::ok));
    let list = List::new(live);
    let problem = RwSignal::new(None::<AppError>);
    let loaded = follow(page, move |loaded| match loaded {
        Ok((query, page)) => {
            clear(problem);
            live.start_at(&page.position);
            list.load(query, page);
        }
        // What is shown stays where newer rows of the same page can't be had.
        Err(error) if passes(&error) && query.get_untracked().is_ok_and(|query| list.shows(&query)) => {}
        Err(error) => problem.set(Some(error)),
    });
    let reload = Callback::new(move |()| page.refetch());
    let known = RwSignal::new(Known::default());
    let ask = Callback::new(move |()| ask_for_words(known));
    let change = Callback::new(move |(query, replace): (HistoryQuery, bool)| go.run((url::history(&query), replace)));
    view! {
        <Title text=format!("Task History · {TITLE}")/>
        <div class="page history" data-open=move || selected.with(Option::is_some).then_some("")>
            <div class="history-main">
                <div class="page-head">
                    <h1>"Task History"</h1>
                    <a
                        class="button"
                        href=move || filters.with(url::history_export)
                        rel="external"
                        download="executions.csv"
                        title="The newest 100,000 that match, as a table"
                    >
                        "Export CSV"
                    </a>
                </div>
                <Suspense fallback=|| view! { <div class="filters skeleton"></div> }>
                    {move || Suspend::new(async move {
                        let (names, now) = names.await;
                        view! { <HistoryFilters query=filters search names known ask now change/> }
                    })}
                </Suspense>
                <Transition fallback=RowSkeletons>
                    {draw_once(async move {
                        loaded.await;
                        live.connect();
                        move || match problem.get() {
                            Some(error) => {
                                view! { <Problem error retry=reload clear=(url::HISTORY, "Clear filters")/> }.into_any()
                            }
                            None => {
                                view! {
                                    <DatabaseBanner/>
                                    <HistoryList list selected=open go reload/>
                                }
                                .into_any()
                            }
                        }
                    })}
                </Transition>
            </div>
            <HistoryPanel selected query=filters execution go/>
        </div>
    }
}

/// Without an answer there are still the registered ones.
async fn names() -> (Vec<String>, DateTime<Utc>) {
    let names = get_task_names().await;
    (names.unwrap_or_else(|_| REGISTERED_TASK_TYPES.map(str::to_owned).into()), Utc::now())
}

/// Without an answer there is less to choose from.
fn ask_for_words(known: RwSignal<Known>) {
    spawn_local(async move {
        if let Ok(words) = get_search_words().await {
            known.try_set(words);
        }
    });
}

async fn fetch(query: Result<HistoryQuery, InvalidQuery>) -> Result<(HistoryQuery, HistoryPage), AppError> {
    let query = query?;
    let page = get_history(query.clone()).await?;
    Ok((query, page))
}

/// The filters that the address names.
fn query_of(search: &str) -> Result<HistoryQuery, InvalidQuery> {
    let params = url::params(search);
    HistoryQuery::from_params(params.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

/// The execution whose details the address opens.
fn selected_of(search: &str) -> Option<Result<i64, InvalidQuery>> {
    let value = url::param(search, url::EXECUTION)?;
    Some(value.trim().parse().map_err(|_| InvalidQuery {
        parameter: url::EXECUTION.to_owned(),
        allowed: "must be the number of an execution".to_owned(),
        value: value.chars().take(100).collect(),
        at: None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_names_filters_and_the_open_execution() {
        let search = "task_name=a&status=failed&execution=7";
        assert_eq!(query_of(search).unwrap().task_name, ["a"]);
        assert_eq!(selected_of(search), Some(Ok(7)));
        assert_eq!(selected_of("execution="), None);
        assert_eq!(selected_of("execution=x").unwrap().unwrap_err().value, "x");
        assert_eq!(query_of("page=0").unwrap_err().parameter, "page");
    }
}
