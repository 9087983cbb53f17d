use std::time::Duration;

use leptos::{
    ev, html,
    leptos_dom::helpers::debounce,
    prelude::*,
    web_sys::{Element, HtmlInputElement},
};
use taskscope_wire::search::{Completion, Completions, KEYS, Known, Search, SearchError, complete};

/// How long a reader must stop typing before the search runs.
const TYPING: Duration = Duration::from_millis(300);

const LIST: &str = "filter-q-list";
const ERROR: &str = "filter-q-error";

/// The search: a field that completes keys and values, and points at what is wrong. Without scripts it is a plain field of its form.
///
/// The caret is counted in characters, as the language does; browsers count in UTF-16.
#[component]
pub fn SearchBox(
    /// What the address searches for, whether that is a search or not.
    #[prop(into)]
    text: Signal<String>,
    /// What there is to choose from.
    #[prop(into)]
    known: Signal<Known>,
    /// Asks for what is known: the field has focus.
    #[prop(into)]
    ask: Callback<()>,
    /// Takes another search, or an empty text for none.
    #[prop(into)]
    search: Callback<String>,
) -> impl IntoView {
    let typing = Typing::new(text, known, search);
    let Typing { input, open, active, error, .. } = typing;
    let items = typing.items;
    let is_open = move || open.get() && items.with(|found| !found.items.is_empty());
    view! {
        <div class="field field-search">
            <label for="filter-q">"Search"</label>
            <div class="search-field">
                <input
                    id="filter-q"
                    type="search"
                    name="q"
                    placeholder="Words, or status:failed duration:>2s"
                    autocomplete="off"
                    autocapitalize="none"
                    spellcheck="false"
                    role="combobox"
                    aria-autocomplete="list"
                    aria-controls=LIST
                    aria-expanded=move || is_open().to_string()
                    aria-activedescendant=move || active.get().filter(|_| is_open()).map(option_id)
                    aria-invalid=move || error.with(Option::is_some).then_some("true")
                    aria-describedby=ERROR
                    node_ref=input
                    value=text.get_untracked()
                    on:focus=move |_| ask.run(())
                    on:input=move |_| typing.note(true)
                    on:click=move |_| typing.note(open.get_untracked())
                    on:keyup=move |event| typing.moved(&event)
                    on:keydown=move |event| typing.key(&event)
                    on:blur=move |_| open.set(false)
                />
                <ul id=LIST class="search-list" role="listbox" aria-label="Suggestions" hidden=move || !is_open()>
                    {move || items.get().items.into_iter().enumerate().map(|(at, item)| option(typing, at, item)).collect_view()}
                </ul>
            </div>
            <div id=ERROR class="search-error" aria-live="polite">
                {move || error.get().map(|error| view! { <Wrong text=typing.text.get_untracked() error/> })}
            </div>
            <Help/>
        </div>
    }
}

fn option_id(at: usize) -> String {
    format!("filter-q-option-{at}")
}

fn option(typing: Typing, at: usize, item: Completion) -> impl IntoView {
    view! {
        <li
            id=option_id(at)
            role="option"
            aria-selected=move || (typing.active.get() == Some(at)).to_string()
            // Focus stays in the field.
            on:mousedown=|event| event.prevent_default()
            on:click=move |_| typing.accept(at)
        >
            <code>{item.text}</code>
            <span>{item.hint}</span>
        </li>
    }
}

/// The text with the wrong part marked, and what is allowed there.
#[component]
fn Wrong(text: String, error: SearchError) -> impl IntoView {
    let chars: Vec<char> = text.chars().collect();
    let at = error.at.min(chars.len());
    let end = (at + error.length).min(chars.len());
    let part = |chars: &[char]| chars.iter().collect::<String>();
    // Where something is missing there is nothing to mark but the place.
    let wrong = if at == end { "…".to_owned() } else { part(&chars[at..end]) };
    view! {
        <p>
            <code>{part(&chars[..at])}<mark>{wrong}</mark>{part(&chars[end..])}</code>
        </p>
        <p>{format!("Character {}: {}.", at + 1, error.message)}</p>
    }
}

/// What the language has.
#[component]
fn Help() -> impl IntoView {
    let keys = KEYS.map(|key| view! { <div><dt><code>{key.example}</code></dt><dd>{key.finds}</dd></div> });
    view! {
        <details class="search-help">
            <summary>"What can be searched for"</summary>
            <dl>
                <div>
                    <dt><code>"connection refused"</code></dt>
                    <dd>"both words, in error, traceback, task id or params"</dd>
                </div>
                <div>
                    <dt><code>"\"connection refused\""</code></dt>
                    <dd>"the words as they stand"</dd>
                </div>
                <div>
                    <dt><code>"(timeout OR refused) -dns"</code></dt>
                    <dd>"one of two, and not the third"</dd>
                </div>
                {keys}
            </dl>
        </details>
    }
}

/// A field that is typed in.
#[derive(Clone, Copy)]
struct Typing {
    input: NodeRef<html::Input>,
    /// What the address searches for.
    shown: Signal<String>,
    text: RwSignal<String>,
    caret: RwSignal<usize>,
    open: RwSignal<bool>,
    /// The suggestion that Enter takes.
    active: RwSignal<Option<usize>>,
    items: Memo<Completions>,
    error: RwSignal<Option<SearchError>>,
    search: Callback<String>,
}

impl Typing {
    fn new(shown: Signal<String>, known: Signal<Known>, search: Callback<String>) -> Self {
        let first = shown.get_untracked();
        let error = RwSignal::new(wrong_in(&first));
        let (text, caret, open) = (RwSignal::new(first), RwSignal::new(0), RwSignal::new(false));
        let items =
            Memo::new(
                move |_| if open.get() { suggestions(&text.read(), caret.get(), &known.read()) } else { Completions::default() },
            );
        let typing = Self { input: NodeRef::new(), shown, text, caret, open, active: RwSignal::new(None), items, error, search };
        typing.follow_address();
        typing.follow_typing();
        typing
    }

    /// What is typed is never overwritten while the field has focus.
    fn follow_address(self) {
        Effect::new(move |_| {
            let shown = self.shown.get();
            if let Some(input) = self.input.get().filter(|input| document().active_element().as_ref() != Some(input as &Element))
            {
                input.set_value(&shown);
                self.error.set(wrong_in(&shown));
                self.text.set(shown);
            }
        });
    }

    fn follow_typing(self) {
        let mut try_later = debounce(TYPING, move |_: ()| self.try_search());
        Effect::new(move |again: Option<()>| {
            self.text.track();
            if again.is_some() {
                try_later(());
            }
        });
    }

    /// Searches for what is typed, if it is a search and another one. While suggestions are open it may not be finished.
    fn try_search(self) {
        let Some(text) = self.text.try_get_untracked() else { return };
        let text = text.trim();
        match wrong_in(text) {
            Some(_) if self.is_open() => {}
            Some(error) => self.error.set(Some(SearchError { at: error.at + self.spaces_before(), ..error })),
            None => {
                self.error.set(None);
                if self.shown.with_untracked(|shown| shown.trim() != text) {
                    self.search.run(text.to_owned());
                }
            }
        }
    }

    fn spaces_before(self) -> usize {
        self.text.with_untracked(|text| text.chars().take_while(|char| char.is_whitespace()).count())
    }

    fn is_open(self) -> bool {
        self.open.get_untracked() && self.items.with_untracked(|found| !found.items.is_empty())
    }

    /// Takes over what the field holds and where its caret stands.
    fn note(self, open: bool) {
        let Some(input) = self.input.get_untracked() else { return };
        let text = input.value();
        self.caret.set(caret_of(&input, &text));
        self.active.set(None);
        self.open.set(open);
        if self.text.with_untracked(|known| *known != text) {
            self.error.set(None);
            self.text.set(text);
        }
    }

    /// The caret was moved.
    fn moved(self, event: &ev::KeyboardEvent) {
        if matches!(event.key().as_str(), "ArrowLeft" | "ArrowRight" | "Home" | "End") {
            self.note(self.open.get_untracked());
        }
    }

    fn key(self, event: &ev::KeyboardEvent) {
        // An input method's keys are its own.
        if event.is_composing() {
            return;
        }
        let is_open = self.is_open();
        match (event.key().as_str(), self.active.get_untracked()) {
            ("ArrowDown", _) if !is_open => self.note(true),
            ("ArrowDown", _) => self.step(1),
            ("ArrowUp", _) if is_open => self.step(-1),
            ("Enter", Some(at)) if is_open => self.accept(at),
            ("Enter", _) => {
                self.open.set(false);
                self.try_search();
            }
            ("Escape", _) if is_open => self.open.set(false),
            _ => return,
        }
        event.prevent_default();
    }

    /// Goes to another suggestion; beyond the ends there is the field itself.
    fn step(self, by: isize) {
        let count = self.items.with_untracked(|found| found.items.len());
        let places = count as isize + 1;
        let place = self.active.get_untracked().map_or(0, |at| at as isize + 1);
        let active = usize::try_from((place + by).rem_euclid(places) - 1).ok();
        self.active.set(active);
        if let Some(element) = active.and_then(|at| document().get_element_by_id(&option_id(at))) {
            element.scroll_into_view_with_bool(false);
        }
    }

    /// Writes a suggestion into the field. Behind a key its values are suggested at once.
    fn accept(self, at: usize) {
        let found = self.items.get_untracked();
        let (Some(item), Some(input)) = (found.items.get(at), self.input.get_untracked()) else { return };
        let (text, caret) = self.text.with_untracked(|text| with_completion(text, found.start, found.end, item));
        input.set_value(&text);
        let units = text.chars().take(caret).map(char::len_utf16).sum::<usize>();
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        // Only a field of another type has no selection.
        let _ = input.set_selection_range(units, units);
        self.note(!item.is_whole);
    }
}

/// What is wrong with a text, if it is anything and no search.
fn wrong_in(text: &str) -> Option<SearchError> {
    (!text.trim().is_empty()).then(|| Search::parse(text).err()).flatten()
}

/// Completions that change something.
fn suggestions(text: &str, caret: usize, known: &Known) -> Completions {
    let mut found = complete(text, caret, known);
    let replaced: String = text.chars().skip(found.start).take(found.end - found.start).collect();
    found.items.retain(|item| item.text != replaced);
    found
}

/// The text with a completion in it, and where the caret stands then.
fn with_completion(text: &str, start: usize, end: usize, item: &Completion) -> (String, usize) {
    let before: String = text.chars().take(start).collect();
    let after: String = text.chars().skip(end).collect();
    let space = if item.is_whole && after.is_empty() { " " } else { "" };
    let caret = start + item.text.chars().count() + space.len();
    (format!("{before}{}{space}{after}", item.text), caret)
}

fn caret_of(input: &HtmlInputElement, text: &str) -> usize {
    let units = input.selection_end().ok().flatten().map_or(usize::MAX, |units| units as usize);
    let mut passed = 0;
    text.chars()
        .take_while(|char| {
            passed += char.len_utf16();
            passed <= units
        })
        .count()
}

#[cfg(test)]
#[cfg(feature = "ssr")]
mod tests {
    use super::*;

    fn html(text: &str) -> String {
        let owner = Owner::new();
        owner.set();
        let nothing = Callback::new(|()| ());
        let search = Callback::new(|_: String| ());
        let (text, known) = (Signal::stored(text.to_owned()), Signal::stored(Known::default()));
        view! { <SearchBox text known ask=nothing search/> }.to_html()
    }

    #[test]
    fn the_field_is_a_closed_combobox_before_scripts_run() {
        let html = html("status:failed");
        for part in [r#"role="combobox""#, r#"aria-expanded="false""#, r#"value="status:failed""#, r#"role="listbox""#] {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert!(!html.contains("aria-invalid") && !html.contains("<mark>") && !html.contains(r#"role="option""#), "{html}");
    }

    #[test]
    fn what_is_wrong_is_marked_and_said() {
        let html = html("refused status:<b>");
        assert!(html.contains("refused status:<mark>&lt;b&gt;<"), "{html}");
        assert!(
            html.contains("Character 16: status must be pending, running, success or failed")
                && html.contains(r#"aria-invalid="true""#),
            "{html}"
        );
    }

    #[test]
    fn a_completion_takes_the_place_of_what_was_typed() {
        let of = |text: &str, is_whole| Completion { text: text.to_owned(), hint: "", is_whole };
        assert_eq!(with_completion("é st", 2, 4, &of("status:", false)), ("é status:".to_owned(), 9));
        assert_eq!(with_completion("status:f", 7, 8, &of("failed", true)), ("status:failed ".to_owned(), 14));
        assert_eq!(with_completion("status:f task:a", 7, 8, &of("failed", true)), ("status:failed task:a".to_owned(), 13));
        assert!(suggestions("status:failed", 13, &Known::default()).items.is_empty(), "there is nothing to change");
    }
}
