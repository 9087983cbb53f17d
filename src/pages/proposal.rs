use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::{LazyRoute, hooks::use_params_map, lazy_route};
use taskscope_wire::{Message, Proposal};

use super::{
    Problem, TITLE,
    analysis_run::id_of,
    load::{draw_once, follow},
};
use crate::{
    components::{DetailSkeleton, ProposalDetail, url},
    error::AppError,
    live::use_live,
    server_fns::{get_messages, get_proposal},
};

type Loaded = Result<(Proposal, Vec<Message>), AppError>;

/// One proposal under an address of its own: what links to a proposal of another run, or of another page, lead to.
pub struct ProposalPage;

/// What it loads.
struct Data {
    proposal: Resource<Loaded>,
}

#[lazy_route]
impl LazyRoute for ProposalPage {
    fn data() -> Self {
        Self
    }

    fn view(_page: Self) -> AnyView {
        view! { <ProposalView resource=Data::load().proposal/> }.into_any()
    }
}

impl Data {
    fn load() -> Self {
        let params = use_params_map();
        let name = Memo::new(move |_| params.with(|params| params.get("id")).unwrap_or_default());
        Self { proposal: Resource::new(move || name.get(), fetch) }
    }
}

async fn fetch(name: String) -> Loaded {
    let proposal = get_proposal(id_of(&name, "proposal")?).await?;
    let messages = get_messages(proposal.source_message_ids.clone()).await?;
    Ok((proposal, messages))
}

#[component]
fn ProposalView(resource: Resource<Loaded>) -> impl IntoView {
    use_live().connect();
    let shown = RwSignal::new(None::<Loaded>);
    let loaded = follow(resource, move |loaded| shown.set(Some(loaded)));
    let reload = Callback::new(move |()| resource.refetch());
    view! {
        <Title text=format!("Proposal · {TITLE}")/>
        <div class="page proposal-page">
            <Transition fallback=DetailSkeleton>
                {draw_once(async move {
                    loaded.await;
                    move || {
                        Some(match shown.get()? {
                            Ok((proposal, messages)) => view! { <Whole proposal messages retry=reload/> }.into_any(),
                            Err(error) => view! {
                                <h1>"Proposal"</h1>
                                <Problem error retry=reload clear=(url::ANALYSIS, "Show all runs")/>
                            }
                            .into_any(),
                        })
                    }
                })}
            </Transition>
        </div>
    }
}

#[component]
fn Whole(proposal: Proposal, messages: Vec<Message>, retry: Callback<()>) -> impl IntoView {
    view! {
        <nav class="crumbs" aria-label="Breadcrumb">
            <a href=url::ANALYSIS>"Analysis"</a>
            <a href=url::analysis_run(proposal.run_id)>"The run that proposes it"</a>
        </nav>
        <h1 class="detail-name">{proposal.proposed_title.clone()}</h1>
        <h2 class="visually-hidden">"Details"</h2>
        <div class="panel proposal-whole">
            <ProposalDetail proposal messages=Some(Ok(messages)) retry/>
        </div>
    }
}
