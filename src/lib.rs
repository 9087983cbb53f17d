//! Taskscope: a real-time monitor for background tasks.
//!
//! The browser's side in reading order: [`app`] has the page's shell and the routes, [`pages`] own what they load,
//! [`components`] draw it, [`live`] keeps it current from one WebSocket. [`server_fns`] is what pages ask the server, and
//! what other Rust programs may ask it too.

#![recursion_limit = "256"]

pub mod app;

pub mod pages;

pub mod components;

pub mod live;

pub mod server_fns;

pub mod error;

#[cfg(feature = "ssr")]
pub mod server;

/// Takes over the page that the server rendered.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_lazy(|| {
        components::provide_role(components::role_of_document());
        app::App()
    });
}
