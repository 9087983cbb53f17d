use leptos::prelude::*;

use super::TextBlock;

/// Shown while nothing was ever reported: how a worker is connected, in lines to copy.
#[component]
pub fn ConnectWorker() -> impl IntoView {
    // The page's own address is known in the browser only, so it is put in after the first paint.
    let origin = RwSignal::new("http://127.0.0.1:3000".to_owned());
    Effect::new(move |_| {
        if let Ok(own) = location().origin() {
            origin.set(own);
        }
    });
    let block = move |label: &'static str, write: fn(&str) -> String| {
        view! { <TextBlock label text=Signal::derive(move || origin.with(|origin| write(origin)))/> }
    };
    view! {
        <section class="panel connect" data-testid="connect-worker" aria-labelledby="connect-title">
            <h2 id="connect-title">"Connect a worker"</h2>
            <p>"No task has reported yet. Add one of these to a worker, or send an event by hand; it appears here at once."</p>
            <div class="connect-ways">
                {block("TaskIQ: TaskscopeMiddleware", taskiq_own)}
                {block("TaskIQ: TaskiqAdminMiddleware", taskiq_admin)}
                {block("TaskIQ: DashboardMiddleware", taskiq_dashboard)}
                {block("Any language: one HTTP request", curl)}
            </div>
        </section>
    }
}

fn taskiq_own(origin: &str) -> String {
    format!(
        r#"from taskscope import TaskscopeMiddleware

broker = broker.with_middlewares(
    TaskscopeMiddleware(url="{origin}", token="any"),
)"#
    )
}

fn taskiq_admin(origin: &str) -> String {
    format!(
        r#"from taskiq.middlewares.taskiq_admin_middleware import TaskiqAdminMiddleware

broker = broker.with_middlewares(
    TaskiqAdminMiddleware(
        url="{origin}",
        api_token="any",
        taskiq_broker_name="my-broker",
    ),
)"#
    )
}

fn taskiq_dashboard(origin: &str) -> String {
    format!(
        r#"from taskiq_dashboard import DashboardMiddleware

broker = broker.with_middlewares(
    DashboardMiddleware(
        url="{origin}",
        api_token="any",
    ),
)"#
    )
}

fn curl(origin: &str) -> String {
    format!(
        r#"curl {origin}/api/v1/events \
  -H 'content-type: application/json' \
  -d '[{{"type":"task_completed","task_id":"1","task_name":"hello",
        "timestamp":"'$(date -u +%Y-%m-%dT%H:%M:%SZ)'","duration_ms":12}}]'"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_hold_the_pages_own_address() {
        for text in [taskiq_own("https://x"), taskiq_admin("https://x"), taskiq_dashboard("https://x"), curl("https://x")] {
            assert!(text.contains("https://x") && !text.contains("{{"), "{text}");
        }
    }
}
