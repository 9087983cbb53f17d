//! What is known, as JSON.

use axum::{
    Json,
    extract::{Path, RawQuery, State},
};
use taskscope_wire::{
    ErrorBody, Execution, HistoryPage, HistoryQuery, Metrics, MissedEvents, Series, check_text, series_step, time_window,
};

use super::error::ApiError;
use crate::server::store::Store;

/// Events in one answer of [`events`].
const MOST_EVENTS: i64 = 1000;

/// How every task type did in a window that ends now.
#[utoipa::path(
    get, path = "/api/v1/monitoring/metrics", tag = "monitoring",
    params(("time_window" = Option<u32>, Query, description = "Hours, 1 to 720; 24 where it is left out", minimum = 1, maximum = 720)),
    responses(
        (status = 200, body = Metrics),
        (status = 400, description = "A parameter is wrong", body = ErrorBody),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn metrics(State(store): State<Store>, RawQuery(query): RawQuery) -> Result<Json<Metrics>, ApiError> {
    let window = Query::new(query).time_window()?;
    Ok(Json(store.metrics(window).await?))
}

/// How a task type did in a window that ends now, in equal steps: counts, run and waiting times, and what waited.
#[utoipa::path(
    get, path = "/api/v1/monitoring/series", tag = "monitoring",
    params(
        ("task_name" = Option<String>, Query, description = "The task type; all together where it is left out"),
        ("time_window" = Option<u32>, Query, description = "Hours, 1 to 720; 24 where it is left out", minimum = 1, maximum = 720),
        ("step" = Option<u32>, Query, description = "Seconds of a step: 60, 300, 900, 3600, 10800, 21600 or 86400, at most 1,000 of them; \
            where it is left out, the shortest of which there are at most 120"),
    ),
    responses(
        (status = 200, body = Series),
        (status = 400, description = "A parameter is wrong", body = ErrorBody),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn series(State(store): State<Store>, RawQuery(query): RawQuery) -> Result<Json<Series>, ApiError> {
    let query = Query::new(query);
    let window = query.time_window()?;
    let step = match query.get("step") {
        Some(_) => series_step::check(query.number("step", 0)?, window)?,
        None => series_step::choose(window),
    };
    let task_name = query.get("task_name").map(|name| check_text("task_name", name)).transpose()?;
    Ok(Json(store.series(task_name.as_deref(), window, step).await?))
}

/// Executions, newest first, with the exact number of those that match. What would take longer than a second says by `searched_back_to`
/// how far back it looked; the number counts what was found until there.
#[utoipa::path(
    get, path = "/api/v1/monitoring/history", tag = "monitoring",
    params(
        ("task_name" = Option<Vec<String>>, Query, description = "A task type; may repeat"),
        ("status" = Option<Vec<String>>, Query, description = "pending, running, success or failed; may repeat"),
        ("stalled" = Option<bool>, Query, description = "true: only active executions that count as stalled"),
        ("start_date" = Option<String>, Query, description = "Created at this ISO 8601 time or later; UTC without an offset"),
        ("end_date" = Option<String>, Query, description = "Created at this time or earlier; a bare date means its whole day"),
        ("q" = Option<String>, Query, description = "A search, such as status:failed duration:>2s \"connection refused\": words in error, traceback, task id or params, and keys; a wrong one is refused with the place that is wrong"),
        ("worker" = Option<String>, Query, description = "The worker"),
        ("queue" = Option<String>, Query, description = "The queue"),
        ("min_duration_ms" = Option<i64>, Query, description = "Ran this long or longer", minimum = 0),
        ("max_duration_ms" = Option<i64>, Query, description = "Ran this long or shorter", minimum = 0),
        ("page" = Option<u32>, Query, description = "From 1", minimum = 1, maximum = 1000000000),
        ("page_size" = Option<u32>, Query, description = "1 to 50", minimum = 1, maximum = 50),
    ),
    responses(
        (status = 200, body = HistoryPage),
        (status = 400, description = "A parameter is wrong", body = ErrorBody),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn history(State(store): State<Store>, RawQuery(query): RawQuery) -> Result<Json<HistoryPage>, ApiError> {
    Ok(Json(store.history(&history_query(query)?).await?))
}

/// What is asked of the history.
pub(super) fn history_query(query: Option<String>) -> Result<HistoryQuery, ApiError> {
    let query = Query::new(query);
    for parameter in ["page", "page_size", "status", "start_date", "end_date"] {
        if query.get(parameter).is_some_and(|value| value.trim().is_empty()) {
            return Err(ApiError::Invalid(format!("{parameter} must not be empty")));
        }
    }
    Ok(HistoryQuery::from_params(query.pairs())?)
}

/// One execution, whole, with all attempts of its task.
#[utoipa::path(
    get, path = "/api/v1/monitoring/executions/{id}", tag = "monitoring",
    params(("id" = i64, Path, description = "The id of the row")),
    responses(
        (status = 200, body = Execution),
        (status = 400, description = "The id is no whole number", body = ErrorBody),
        (status = 404, description = "There is no such execution", body = ErrorBody),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn execution(State(store): State<Store>, Path(id): Path<String>) -> Result<Json<Execution>, ApiError> {
    let id: i64 = id.parse().map_err(|_| ApiError::Invalid(format!("id must be a whole number, not {id:?}")))?;
    let execution = store.execution(id).await?;
    execution.map(Json).ok_or_else(|| ApiError::NotFound(format!("execution {id}")))
}

/// Events after a place in the live stream, oldest first; without `after` the newest 50.
#[utoipa::path(
    get, path = "/api/v1/monitoring/events", tag = "monitoring",
    params(
        ("after" = Option<i64>, Query, description = "The seq of the last event that is known", minimum = 0),
        ("limit" = Option<i64>, Query, description = "1 to 1000; 1000 where it is left out", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, body = MissedEvents),
        (status = 400, description = "A parameter is wrong", body = ErrorBody),
        (status = 503, description = "The database is not reachable", body = ErrorBody),
    ),
)]
pub(super) async fn events(State(store): State<Store>, RawQuery(query): RawQuery) -> Result<Json<MissedEvents>, ApiError> {
    let query = Query::new(query);
    let limit = query.number("limit", MOST_EVENTS)?;
    if !(1..=MOST_EVENTS).contains(&limit) {
        return Err(ApiError::Invalid(format!("limit must be 1 to {MOST_EVENTS}, not {limit}")));
    }
    if query.get("after").is_none() {
        return Ok(Json(store.latest_events().await?));
    }
    let after = query.number("after", 0)?;
    if after < 0 {
        return Err(ApiError::Invalid(format!("after must be 0 or more, not {after}")));
    }
    Ok(Json(store.missed_events(after, limit).await?))
}

/// The parameters of a URL, in their order.
struct Query(Vec<(String, String)>);

impl Query {
    fn new(query: Option<String>) -> Self {
        Self(form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.pairs().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    fn time_window(&self) -> Result<u32, ApiError> {
        let hours = self.number("time_window", i64::from(time_window::DEFAULT))?;
        time_window::check(hours).map_err(ApiError::Invalid)
    }

    fn number(&self, name: &str, default: i64) -> Result<i64, ApiError> {
        let Some(text) = self.get(name) else { return Ok(default) };
        text.trim().parse().map_err(|_| ApiError::Invalid(format!("{name} must be a whole number, not {text:?}")))
    }
}
