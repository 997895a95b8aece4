//! Not built yet.

use crate::{Imported, Input, Refusal};

/// Reads its file.
///
/// # Errors
/// Always, until it is built.
pub fn import(input: &Input<'_>) -> Result<Imported, Refusal> {
    Err(Refusal {
        name: "not-built-yet",
        file: input.files.first().cloned().unwrap_or_default(),
        line: 0,
        message: "is not read yet".to_owned(),
        mend: None,
    })
}
