use leptos::prelude::*;

use super::{Icon, browser};

const KEY: &str = "taskscope-theme";

/// Runs before the first paint: sets the theme that the reader chose, and tells the style sheet that scripts run.
pub const THEME_SCRIPT: &str = "(function(){var h=document.documentElement;h.classList.add('js');\
    try{var t=localStorage.getItem('taskscope-theme');if(t==='light'||t==='dark')h.dataset.theme=t}catch(e){}})()";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Theme {
    System,
    Light,
    Dark,
}

impl Theme {
    const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    const fn word(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    const fn outline(self) -> &'static str {
        match self {
            Self::System => "M2 3h12v8H2zM6 14h4M8 11v3",
            Self::Light => {
                "M8 5a3 3 0 1 0 0 6a3 3 0 1 0 0-6M8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M3 13l1-1M12 4l1-1"
            }
            Self::Dark => "M13.5 9.5A6 6 0 0 1 6.5 2.5a6 6 0 1 0 7 7z",
        }
    }

    fn stored() -> Self {
        let word = browser::stored(KEY);
        Self::ALL.into_iter().find(|theme| Some(theme.word()) == word.as_deref()).unwrap_or(Self::System)
    }

    fn apply(self) {
        let Some(html) = document().document_element() else { return };
        if self == Self::System {
            browser::forget(KEY);
            drop(html.remove_attribute("data-theme"));
        } else {
            browser::store(KEY, self.word());
            drop(html.set_attribute("data-theme", self.word()));
        }
    }
}

/// The choice between the system's theme, light and dark.
#[component]
pub fn ThemeSwitch() -> impl IntoView {
    // What is stored is known in the browser only, so it is read after the first paint.
    let chosen = RwSignal::new(Theme::System);
    Effect::new(move |_| chosen.set(Theme::stored()));
    let choose = move |theme: Theme| {
        theme.apply();
        chosen.set(theme);
    };
    let buttons = Theme::ALL.map(|theme| {
        let label = format!("Theme: {}", theme.word());
        view! {
            <button
                type="button"
                title=label.clone()
                aria-label=label
                aria-pressed=move || (chosen.get() == theme).to_string()
                on:click=move |_| choose(theme)
            >
                <Icon d=theme.outline()/>
            </button>
        }
    });
    view! {
        <div class="segments theme-switch js-only" role="group" aria-label="Theme">
            {buttons}
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_reads_what_the_switch_stores() {
        assert!(THEME_SCRIPT.contains(KEY) && !THEME_SCRIPT.contains('<'));
    }
}
