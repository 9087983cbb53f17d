//! Providers of language models, as the API keeps them.
