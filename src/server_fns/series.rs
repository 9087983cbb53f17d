//! How task types did over time.
#![expect(missing_docs, reason = "the macro makes public fields of the arguments, which the function documents")]

use leptos::{prelude::*, server_fn::codec::Json};
use taskscope_wire::{HourCounts, Series};

use super::Caller;
use crate::error::AppError;

/// How a task type, or all together, did in the last `time_window` hours (1 to 720), in as many steps as a screen shows.
///
/// # Errors
/// The window is out of bounds, the name can't be one, or the database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "series", input = Json, client = Caller)]
pub async fn get_series(task_name: Option<String>, time_window: u32) -> Result<Series, AppError> {
    use taskscope_wire::{check_text, series_step, time_window as window};

    use crate::server::store::Store;
    let time_window = window::check(i64::from(time_window)).map_err(|refused| AppError::Refused(refused).with_status())?;
    let task_name = task_name.map(|name| check_text("task_name", &name)).transpose();
    let task_name = task_name.map_err(|invalid| AppError::from(invalid).with_status())?;
    let step = series_step::choose(time_window);
    Ok(expect_context::<Store>().series(task_name.as_deref(), time_window, step).await?)
}

/// How many executions of a task type were created in each of the last so many whole hours (1 to 720).
///
/// # Errors
/// There are too many hours, the name can't be one, or the database doesn't answer.
#[server(prefix = "/api/fn", endpoint = "hour_counts", input = Json, client = Caller)]
pub async fn get_hour_counts(task_name: String, hours: u32) -> Result<HourCounts, AppError> {
    use taskscope_wire::{check_text, time_window as window};

    use crate::server::store::Store;
    let refused = |sentence: String| AppError::Refused(sentence.replace("time_window", "hours")).with_status();
    let hours = window::check(i64::from(hours)).map_err(refused)?;
    let task_name = check_text("task_name", &task_name).map_err(|invalid| AppError::from(invalid).with_status())?;
    Ok(expect_context::<Store>().hour_counts(&task_name, hours).await?)
}
