//! Not written yet.

use crate::{Input, Refusal, Rendered};

/// Renders it.
///
/// # Errors
/// Always.
pub fn render(_input: &Input<'_>) -> Result<Rendered, Refusal> {
    Err(Refusal {
        name: "not-built-yet",
        message: "dokku files can't be written yet".to_owned(),
        mend: None,
    })
}
