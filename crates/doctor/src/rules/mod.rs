//! The rules. Each has a page in [`RULES`].

mod base;
mod context;
mod order;
mod packages;
mod pages;
mod runtime;
mod secret;

pub use pages::RULES;
pub use secret::secret_values;

use crate::advise::Look;

/// Everything that a recipe shows.
pub(crate) fn all(look: &mut Look<'_>) {
    secret::look_at(look);
    if !look.history {
        context::look_at(look);
        order::look_at(look);
    }
    base::look_at(look);
    packages::look_at(look);
    runtime::look_at(look);
}
