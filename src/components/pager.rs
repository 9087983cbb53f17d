use leptos::prelude::*;
use taskscope_wire::HistoryQuery;

use super::{format, url};

/// Pages beside the current one that are linked.
const BESIDE: i64 = 2;

/// Links to the pages of a history: previous, next, and numbers around the current one.
#[component]
pub fn Pager(
    /// What the pages are of.
    query: HistoryQuery,
    /// How many there are.
    total_pages: i64,
) -> impl IntoView {
    let page = i64::from(query.page);
    let href = move |page: i64| url::history(&HistoryQuery { page: u32::try_from(page).unwrap_or(1), ..query.clone() });
    view! { <PageLinks page total_pages href/> }
}

/// Links to the pages of a list: previous, next, and numbers around the current one; nothing where there is one page.
#[component]
pub fn PageLinks<F: Fn(i64) -> String + 'static>(
    /// The page that is shown, from 1.
    page: i64,
    /// How many there are.
    total_pages: i64,
    /// The address of a page.
    href: F,
) -> impl IntoView {
    let previous = (page > 1).then(|| href((page - 1).min(total_pages.max(1))));
    let next = (page < total_pages).then(|| href(page + 1));
    let numbers = numbers(page, total_pages).into_iter().map(|number| {
        number.map(|number| {
            let current = (number == page).then_some("page");
            view! {
                <a href=href(number) aria-current=current aria-label=format!("Page {number}")>{format::grouped(number)}</a>
            }
        })
    });
    let numbers = numbers
        .map(|link| match link {
            Some(link) => view! { <li>{link}</li> }.into_any(),
            None => view! { <li class="pager-gap" aria-hidden="true">"…"</li> }.into_any(),
        })
        .collect_view();
    (total_pages > 1).then(|| {
        view! {
            <nav class="pager" aria-label="Pages">
                <ul>
                    <li><Step href=previous rel="prev" label="Previous"/></li>
                    {numbers}
                    <li><Step href=next rel="next" label="Next"/></li>
                </ul>
            </nav>
        }
    })
}

#[component]
fn Step(href: Option<String>, rel: &'static str, label: &'static str) -> impl IntoView {
    match href {
        Some(href) => view! { <a href=href rel=rel>{label}</a> }.into_any(),
        None => view! { <span class="pager-off" aria-disabled="true">{label}</span> }.into_any(),
    }
}

/// The numbers to show: first, last, and those around the current one; none stands for a gap.
fn numbers(page: i64, total: i64) -> Vec<Option<i64>> {
    let around = (page - BESIDE).max(2)..=(page + BESIDE).min(total - 1);
    let shown = std::iter::once(1).chain(around).chain((total > 1).then_some(total));
    let mut numbers = Vec::new();
    let mut last = 0;
    for number in shown {
        match number - last {
            1 => {}
            2 => numbers.push(Some(number - 1)),
            _ => numbers.push(None),
        }
        numbers.push(Some(number));
        last = number;
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(page: i64, total: i64) -> String {
        let words = numbers(page, total).into_iter().map(|number| number.map_or_else(|| "…".to_owned(), |n| n.to_string()));
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn pages_far_from_the_current_one_are_left_out() {
        assert_eq!(text(1, 1), "1");
        assert_eq!(text(1, 5), "1 2 3 4 5");
        assert_eq!(text(5, 99), "1 2 3 4 5 6 7 … 99");
        assert_eq!(text(50, 99), "1 … 48 49 50 51 52 … 99");
        assert_eq!(text(1, 200_000), "1 2 3 … 200000");
        assert_eq!(text(200_000, 200_000), "1 … 199998 199999 200000");
    }
}
