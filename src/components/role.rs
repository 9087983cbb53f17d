use leptos::prelude::*;
use taskscope_wire::Role;

/// What the reader may do.
#[derive(Debug, Clone, Copy)]
struct Reader(Role);

/// Keeps what the reader may do, for all that is drawn below. The server knows it from the request, the browser from the document.
pub fn provide_role(role: Role) {
    provide_context(Reader(role));
}

/// What the document says that the reader may do: the shell writes it there, so that the browser draws what the server drew.
#[must_use]
pub fn role_of_document() -> Role {
    let root = document().document_element();
    root.and_then(|root| root.get_attribute("data-role")).and_then(|role| role.parse().ok()).unwrap_or(Role::Viewer)
}

/// What the reader may do. Hides what would be refused; the server decides.
#[must_use]
pub fn reader_role() -> Role {
    use_context::<Reader>().map_or(Role::Viewer, |Reader(role)| role)
}

/// Whether the reader may do what needs a role.
#[must_use]
pub fn may(needed: Role) -> bool {
    reader_role() >= needed
}

/// Says to who may not do something what it needs.
#[component]
pub fn RoleNote(
    /// The role that is needed.
    needs: Role,
    /// What for, as the subject of a sentence.
    what: &'static str,
) -> impl IntoView {
    let role = reader_role();
    (role < needs)
        .then(|| view! { <p class="role-note" data-testid="role-note">{format!("{what} needs the role {needs}; yours is {role}.")}</p> })
}
