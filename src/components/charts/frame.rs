use chrono::{DateTime, Utc};
use leptos::{ev, prelude::*, wasm_bindgen::JsCast, web_sys::Element};

use super::{scale::Mark, shape::HEIGHT};

/// The values of a chart as a table.
#[derive(Clone, Copy)]
pub(super) struct Table {
    /// What the columns are.
    pub(super) head: &'static [&'static str],
    /// When the values were worked out: the table is drawn again when newer ones were, not with each event.
    pub(super) version: Memo<DateTime<Utc>>,
    /// The rows.
    pub(super) rows: Callback<(), Vec<Vec<String>>>,
}

/// What is around every chart: its title and legend, axes, the reading of a step, and its values as a table.
#[component]
pub(super) fn Frame(
    /// Its name for style sheets and tests.
    name: &'static str,
    title: &'static str,
    /// What it shows, in a sentence.
    #[prop(into)]
    summary: Signal<String>,
    /// Why there is nothing to draw.
    #[prop(into)]
    empty: Signal<Option<&'static str>>,
    /// The marks of the vertical axis.
    #[prop(into)]
    marks: Signal<Vec<Mark>>,
    /// The marks of the horizontal axis.
    #[prop(into)]
    times: Signal<Vec<Mark>>,
    /// How many steps, or columns of cells, there are.
    #[prop(into)]
    columns: Signal<usize>,
    /// Rows of cells above each other.
    #[prop(default = 1)]
    rows: usize,
    /// What a step or cell says.
    read: Callback<usize, String>,
    table: Table,
    legend: AnyView,
    /// Whether the last step still fills.
    #[prop(default = true)]
    filling: bool,
    #[prop(default = false)] small: bool,
    /// What is drawn.
    children: Children,
) -> impl IntoView {
    let reading = RwSignal::new(None::<usize>);
    let last = Memo::new(move |_| (columns.get() * rows).saturating_sub(1));
    let read_at = Memo::new(move |_| reading.get().unwrap_or(usize::MAX).min(last.get()));
    let text = Memo::new(move |_| if empty.get().is_some() { String::new() } else { read.run(read_at.get()) });
    view! {
        <figure class="chart" data-chart=name data-small=small.then_some("")>
            <figcaption class="chart-head">
                <h2>{title}</h2>
                {legend}
            </figcaption>
            <p class="chart-empty" hidden=move || empty.get().is_none()>{move || empty.get()}</p>
            <div class="chart-frame" hidden=move || empty.get().is_some()>
                <svg class="chart-marks" aria-hidden="true">{move || labels(&marks.read(), true)}</svg>
                <div class="chart-plot">
                    <svg
                        viewBox=move || format!("0 0 {} {HEIGHT}", columns.get().max(1))
                        preserveAspectRatio="none"
                        role="img"
                        aria-label=move || summary.get()
                    >
                        <path class="chart-grid" d=move || grid(&marks.read(), columns.get())></path>
                        {filling.then(|| view! { <path class="chart-filling" d=move || cell(last.get(), columns.get(), rows)></path> })}
                        {children()}
                        <path
                            class="chart-read"
                            d=move || reading.get().map(|_| mark(read_at.get(), columns.get(), rows)).unwrap_or_default()
                        ></path>
                    </svg>
                    <Reader title reading read_at last columns rows text/>
                </div>
                <svg class="chart-times" aria-hidden="true">{move || labels(&times.read(), false)}</svg>
            </div>
            <p class="chart-reading" data-reading=move || reading.get().map(|_| "") hidden=move || empty.get().is_some()>
                {move || text.get()}
            </p>
            <Values title table hidden=Signal::derive(move || empty.get().is_some())/>
        </figure>
    }
}

/// The labels of an axis, outside the drawing that is stretched.
fn labels(marks: &[Mark], is_vertical: bool) -> Vec<AnyView> {
    let label = |(at, words): &Mark| {
        let at = format!("{:.2}%", at * 100.0);
        let words = words.clone();
        match is_vertical {
            true => view! { <text x="100%" y=at dx="-8" dy="4" text-anchor="end">{words}</text> }.into_any(),
            false => view! { <text x=at y="14" text-anchor="middle">{words}</text> }.into_any(),
        }
    };
    marks.iter().map(label).collect()
}

fn grid(marks: &[Mark], columns: usize) -> String {
    marks.iter().map(|(at, _)| format!("M0 {:.2}H{columns}", at * HEIGHT)).collect()
}

/// The box of a step or cell.
fn cell(at: usize, columns: usize, rows: usize) -> String {
    let columns = columns.max(1);
    let high = HEIGHT / rows as f64;
    format!("M{} {:.2}h1v{high:.2}h-1z", at % columns, (at / columns) as f64 * high)
}

/// What marks the step or cell that is read.
fn mark(at: usize, columns: usize, rows: usize) -> String {
    if rows > 1 { cell(at, columns, rows) } else { format!("M{at}.5 0V{HEIGHT}") }
}

/// Moves the reading. A control of the browser's own, so that keys, touch and screen readers work as everywhere.
#[component]
fn Reader(
    title: &'static str,
    reading: RwSignal<Option<usize>>,
    read_at: Memo<usize>,
    last: Memo<usize>,
    columns: Signal<usize>,
    rows: usize,
    text: Memo<String>,
) -> impl IntoView {
    let point = move |event: ev::MouseEvent| {
        let Some(plot) = event.target().and_then(|target| target.dyn_into::<Element>().ok()) else { return };
        let share = |at: i32, of: i32, cells: usize| {
            let cell = (f64::from(at) / f64::from(of.max(1)) * cells as f64).max(0.0) as usize;
            cell.min(cells.saturating_sub(1))
        };
        let columns = columns.get_untracked();
        let row = share(event.offset_y(), plot.client_height(), rows);
        reading.set(Some(row * columns + share(event.offset_x(), plot.client_width(), columns)));
    };
    let press = move |event: ev::KeyboardEvent| {
        let columns = columns.get_untracked();
        let at = read_at.get_untracked();
        let to = match event.key().as_str() {
            "ArrowUp" => at.checked_sub(columns),
            "ArrowDown" => Some(at + columns).filter(|to| *to <= last.get_untracked()),
            "Escape" => {
                reading.set(None);
                return;
            }
            _ => return,
        };
        if rows > 1 {
            event.prevent_default();
            reading.update(|reading| *reading = to.or(*reading));
        }
    };
    view! {
        <input
            class="chart-reader js-only"
            type="range"
            min="0"
            max=move || last.get().to_string()
            step="1"
            autocomplete="off"
            aria-label=format!("{title}: read a step")
            aria-valuetext=move || text.get()
            prop:value=move || read_at.get().to_string()
            on:input=move |event| reading.set(event_target_value(&event).parse().ok())
            on:focus=move |_| reading.set(Some(read_at.get_untracked()))
            on:blur=move |_| reading.set(None)
            on:mousemove=point
            on:mouseleave=move |_| reading.set(None)
            on:keydown=press
        />
    }
}

/// The values as a table, made when it is opened.
#[component]
fn Values(title: &'static str, table: Table, hidden: Signal<bool>) -> impl IntoView {
    let open = RwSignal::new(false);
    let head = table.head.iter().map(|word| view! { <th scope="col">{*word}</th> }).collect_view();
    let rows = move || {
        open.get().then(|| {
            table.version.track();
            untrack(|| table.rows.run(())).into_iter().map(row).collect_view()
        })
    };
    let toggle = move |event: ev::Event| {
        let details = event.target().and_then(|target| target.dyn_into::<Element>().ok());
        open.set(details.is_some_and(|details| details.has_attribute("open")));
    };
    view! {
        <details class="chart-values js-only" hidden=move || hidden.get() on:toggle=toggle>
            <summary>"Values as a table" <span class="visually-hidden">{format!(": {title}")}</span></summary>
            <div class="chart-table" tabindex="0" role="region" aria-label=format!("Values of {title}")>
                <table>
                    <thead>
                        <tr>{head}</tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </details>
    }
}

fn row(cells: Vec<String>) -> impl IntoView {
    let mut cells = cells.into_iter();
    let head = cells.next();
    view! {
        <tr>
            <th scope="row">{head}</th>
            {cells.map(|cell| view! { <td>{cell}</td> }).collect_view()}
        </tr>
    }
}
