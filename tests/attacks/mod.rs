//! The sixteen classes of attacks that every release withstands. `scripts/attacks` lists for each the tests that cover it, here and elsewhere, and shows
//! that they fail once the defence is taken out (`mutations/`).

mod connections;
mod requests;
