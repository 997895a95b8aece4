//! Plain processes: ended by signals, found by the token in their environment.

use std::path::Path;

use crate::instance;

/// Ends a supervisor that wasn't ended otherwise, and everything of its instance.
pub async fn end(id: &str, folder: &Path, supervisor: Option<u32>) {
    let (id, folder) = (id.to_owned(), folder.to_owned());
    // It looks at every process of the machine: not where others wait.
    let swept = tokio::task::spawn_blocking(move || {
        instance::kill_unanswering(&id, &folder, supervisor);
    });
    // There is nothing to tell of it.
    let _ = swept.await;
}
