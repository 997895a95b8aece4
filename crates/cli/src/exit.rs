//! Exit codes: the one table, and which failure gives which.

use landfall_release::{Failure, Outcome};

/// How the command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Failed, and undone.
    Failed = 1,
    /// A mistake in the command line or in a file.
    Usage = 2,
    /// Somebody else is at it.
    Locked = 3,
    /// Some of it was done, or it goes on after the command.
    Partial = 4,
    /// The host or a target can't be reached.
    Unreachable = 5,
    /// Refused before anything changed.
    Refused = 6,
    /// Failed, and **not** undone.
    NotUndone = 7,
    /// `run` and `exec` pass on the command's own code; this one is ours.
    Ours = 125,
}

/// The table as `docs/exit-codes.md` shows it.
pub const TABLE: [(Exit, &str); 9] = [
    (Exit::Done, "done"),
    (Exit::Failed, "failed, and everything is as before"),
    (
        Exit::Usage,
        "a mistake in the command line or in a file; nothing was changed",
    ),
    (
        Exit::Locked,
        "locked: another deployment of this environment goes on",
    ),
    (
        Exit::Partial,
        "partly done, or still under way: Ctrl-C left a deployment that goes on",
    ),
    (Exit::Unreachable, "the host or a target can't be reached"),
    (
        Exit::Refused,
        "refused before anything changed: a gate, a missing secret, a dirty tree, not built yet",
    ),
    (
        Exit::NotUndone,
        "failed and **not** undone: somebody must look",
    ),
    (
        Exit::Ours,
        "`run` and `exec` pass on the command's own code; 125 is landfall's own failure",
    ),
];

/// Failures that don't end with 1, by name.
pub const BY_NAME: &[(&str, Exit)] = &[
    ("advice-unheeded", Exit::Refused),
    ("already-live", Exit::Refused),
    ("ambiguous-environment", Exit::Usage),
    ("backing-unreachable", Exit::Refused),
    ("backup-denied", Exit::Refused),
    ("backup-unreachable", Exit::Unreachable),
    ("bad-app-file", Exit::Usage),
    ("bad-arguments", Exit::Usage),
    ("bad-backing", Exit::Refused),
    ("bad-backup", Exit::Usage),
    ("bad-context", Exit::Usage),
    ("bad-dockerfile", Exit::Usage),
    ("bad-dotenv", Exit::Usage),
    ("bad-import", Exit::Usage),
    ("bad-key", Exit::Usage),
    ("bad-name", Exit::Usage),
    ("bad-recipient", Exit::Usage),
    ("bad-scale", Exit::Usage),
    ("bad-schedule", Exit::Usage),
    ("bad-secret-name", Exit::Usage),
    ("bad-secrets-file", Exit::Usage),
    ("bad-time", Exit::Usage),
    ("bad-time-zone", Exit::Usage),
    ("bad-variable", Exit::Usage),
    ("binary-secret", Exit::Usage),
    ("container-exists", Exit::Refused),
    ("dirty-tree", Exit::Refused),
    ("disk-full", Exit::Refused),
    ("edge-failed", Exit::Unreachable),
    ("empty-secret", Exit::Usage),
    ("engine-denied", Exit::Refused),
    ("engine-elsewhere", Exit::Refused),
    ("engine-lost", Exit::Unreachable),
    ("engine-too-old", Exit::Refused),
    ("file-exists", Exit::Refused),
    ("foreign-file", Exit::Refused),
    ("host-failed", Exit::Unreachable),
    ("image-missing", Exit::Refused),
    ("job-running", Exit::Locked),
    ("key-exists", Exit::Refused),
    ("last-recipient", Exit::Refused),
    ("lfs-pointers", Exit::Refused),
    ("locked", Exit::Locked),
    ("major-version", Exit::Refused),
    ("missing-secret", Exit::Refused),
    ("network-exists", Exit::Refused),
    ("no-address", Exit::Refused),
    ("no-app-file", Exit::Usage),
    ("no-bucket", Exit::Refused),
    ("no-buildkit", Exit::Refused),
    ("no-dockerfile", Exit::Usage),
    ("no-engine", Exit::Refused),
    ("no-gpu", Exit::Refused),
    ("no-host", Exit::Unreachable),
    ("no-key", Exit::Refused),
    ("no-recipients", Exit::Refused),
    ("no-release-before", Exit::Refused),
    ("no-such-file", Exit::Usage),
    ("no-such-root", Exit::Usage),
    ("not-a-recipient", Exit::Refused),
    ("not-built-yet", Exit::Refused),
    ("not-confirmed", Exit::Refused),
    ("not-deployed", Exit::Refused),
    ("not-running", Exit::Refused),
    ("not-scanned", Exit::Refused),
    ("not-undone", Exit::NotUndone),
    ("nothing-to-render", Exit::Refused),
    ("nothing-to-scale", Exit::Usage),
    ("outside-of-app", Exit::Usage),
    ("readable-key", Exit::Refused),
    ("recipient-exists", Exit::Refused),
    ("registry-denied", Exit::Refused),
    ("registry-unreachable", Exit::Unreachable),
    ("release-pruned", Exit::Refused),
    ("secret-in-build-argument", Exit::Refused),
    ("secrets-on-a-terminal", Exit::Usage),
    ("submodule-missing", Exit::Refused),
    ("supervisor-not-static", Exit::Refused),
    ("tool-missing", Exit::Refused),
    ("unknown-backing", Exit::Usage),
    ("unknown-backup", Exit::Usage),
    ("unknown-deployment", Exit::Usage),
    ("unknown-environment", Exit::Usage),
    ("unknown-image", Exit::Refused),
    ("unknown-job", Exit::Usage),
    ("unknown-name", Exit::Usage),
    ("unknown-process", Exit::Usage),
    ("unknown-recipient", Exit::Usage),
    ("unknown-release", Exit::Usage),
    ("unknown-run", Exit::Usage),
    ("unknown-secret", Exit::Usage),
    ("unknown-service", Exit::Usage),
    ("unknown-subject", Exit::Usage),
    ("unknown-volume", Exit::Usage),
    ("version-missing", Exit::Refused),
    ("volume-exists", Exit::Refused),
    ("volume-used", Exit::Refused),
    ("vulnerable", Exit::Refused),
    ("wrong-architecture", Exit::Refused),
];

impl Exit {
    /// The code that a failure gives.
    pub fn of(failure: &Failure) -> Self {
        let named = BY_NAME.iter().find(|(name, _)| *name == failure.name);
        named.map_or(Self::Failed, |(_, exit)| *exit)
    }

    /// The code that a deployment's end gives.
    pub fn of_outcome(outcome: Outcome, failure: Option<&Failure>) -> Self {
        match (outcome, failure) {
            (Outcome::Done, _) => Self::Done,
            (Outcome::Undone, _) => Self::Failed,
            (Outcome::NotUndone, _) => Self::NotUndone,
            (Outcome::Refused, Some(failure)) if failure.name == "locked" => Self::Locked,
            (Outcome::Refused, _) => Self::Refused,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
