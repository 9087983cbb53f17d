//! Calls of browser interfaces that `web-sys` has behind features. Found by name, so that they compile on the server too,
//! where nothing calls them; where a browser lacks one, nothing happens.

use chrono::{DateTime, Utc};
use leptos::{
    prelude::*,
    wasm_bindgen::{JsCast, JsValue},
    web_sys::js_sys::{Array, Date, Function, Reflect},
};

/// Reads a setting that outlives the page.
pub(super) fn stored(key: &str) -> Option<String> {
    call(&["localStorage"], "getItem", &[key])?.as_string()
}

/// Keeps a setting.
pub(super) fn store(key: &str, value: &str) {
    call(&["localStorage"], "setItem", &[key, value]);
}

/// Forgets a setting.
pub(super) fn forget(key: &str) {
    call(&["localStorage"], "removeItem", &[key]);
}

/// Copies a text. Says whether the browser can.
pub(super) fn copy(text: &str) -> bool {
    call(&["navigator", "clipboard"], "writeText", &[text]).is_some()
}

/// How many minutes the reader's clocks are ahead of UTC at a time.
pub(super) fn minutes_ahead_of_utc(at: DateTime<Utc>) -> i64 {
    -(Date::new(&JsValue::from_f64(at.timestamp_millis() as f64)).get_timezone_offset() as i64)
}

fn call(path: &[&str], method: &str, arguments: &[&str]) -> Option<JsValue> {
    let object = path.iter().try_fold(JsValue::from(window()), |object, name| {
        Reflect::get(&object, &JsValue::from_str(name)).ok().filter(JsValue::is_object)
    })?;
    let method: Function = Reflect::get(&object, &JsValue::from_str(method)).ok()?.dyn_into().ok()?;
    let arguments: Array = arguments.iter().map(|argument| JsValue::from_str(argument)).collect();
    method.apply(&object, &arguments).ok()
}
