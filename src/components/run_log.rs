use leptos::{html, prelude::*};
use taskscope_wire::RunLogLine;

use super::format;

/// How far from its end (in pixels) a reader may stand who still wants to see the newest line.
const NEAR: i32 = 24;

/// The log of a run. It follows its end, unless the reader has scrolled up.
#[component]
pub fn RunLog(
    /// The lines, oldest first.
    #[prop(into)]
    lines: Signal<Vec<RunLogLine>>,
) -> impl IntoView {
    let scroller = NodeRef::<html::Div>::new();
    let follows = StoredValue::new(true);
    Effect::new(move |_| {
        lines.track();
        if follows.get_value() {
            // The new lines are there after this change was drawn.
            request_animation_frame(move || {
                if let Some(scroller) = scroller.try_get_untracked().flatten() {
                    scroller.set_scroll_top(scroller.scroll_height());
                }
            });
        }
    });
    let note = move |_| {
        if let Some(scroller) = scroller.get_untracked() {
            follows.set_value(scroller.scroll_top() + scroller.client_height() + NEAR >= scroller.scroll_height());
        }
    };
    view! {
        // A region that scrolls can be reached by keyboard.
        <div class="run-log panel" data-testid="run-log" role="region" aria-label="Log of the run" tabindex="0" node_ref=scroller on:scroll=note>
            <Show
                when=move || lines.with(|lines| !lines.is_empty())
                fallback=|| view! { <p class="run-log-empty">"No lines yet."</p> }
            >
                <ol>
                    <For each=move || lines.get() key=|line| line.id let:line>
                        <li>
                            <time datetime=format::iso(line.at)>{format::clock(line.at)}</time>
                            <span>{without_run(&line.line).to_owned()}</span>
                        </li>
                    </For>
                </ol>
            </Show>
        </div>
    }
}

/// A line without the run that it names at its beginning: the page says which run it is.
fn without_run(line: &str) -> &str {
    match line.split_once(": ") {
        Some((head, rest)) if head.strip_prefix("Run ").is_some_and(|id| !id.contains(' ')) => rest,
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_of_the_run_is_left_out() {
        assert_eq!(without_run("Run 550e8400: Processing batch 1/3 (15 messages)"), "Processing batch 1/3 (15 messages)");
        assert_eq!(without_run("Starting analysis run execution: 550e8400"), "Starting analysis run execution: 550e8400");
        assert_eq!(without_run("Run it again: now"), "Run it again: now");
    }
}
