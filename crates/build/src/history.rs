//! What lies between two commits, for those who read a plan.

use std::{collections::BTreeSet, path::Path};

use crate::git;

/// The commits from one to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// How many.
    pub commits: usize,
    /// By how many authors.
    pub people: usize,
}

impl History {
    /// From one commit to another of the repository around a folder. None where git can't say: no
    /// repository, a commit that isn't there (a shallow clone), or not one above the other.
    pub fn between(folder: &Path, from: &str, to: &str) -> Option<Self> {
        // Ids of commits come from a host: nothing else may become an argument.
        let is_id = |id: &str| id.len() >= 7 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_id(from) || !is_id(to) {
            return None;
        }
        let authors = git::authors(folder, from, to)?;
        let authors: Vec<&str> = authors.lines().collect();
        let people: BTreeSet<&&str> = authors.iter().collect();
        (!authors.is_empty()).then_some(Self {
            commits: authors.len(),
            people: people.len(),
        })
    }
}

impl std::fmt::Display for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.commits, self.people) {
            (1, _) => f.write_str("1 commit"),
            (commits, 1) => write!(f, "{commits} commits by one person"),
            (commits, 2) => write!(f, "{commits} commits by two people"),
            (commits, people) => write!(f, "{commits} commits by {people} people"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn git(folder: &Path, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .current_dir(folder)
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn commit(folder: &Path, author: &str) -> String {
        let (name, email) = (
            format!("user.name={author}"),
            format!("user.email={author}@localhost"),
        );
        git(
            folder,
            &[
                "-c",
                &name,
                "-c",
                &email,
                "commit",
                "-q",
                "--allow-empty",
                "-m",
                "one more",
            ],
        );
        git(folder, &["rev-parse", "HEAD"])
    }

    #[test]
    fn commits_and_people_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        git(folder, &["init", "-q"]);
        let first = commit(folder, "ann");
        let second = commit(folder, "ann");
        commit(folder, "ben");
        let last = commit(folder, "ann");
        let said = |from: &str, to: &str| {
            History::between(folder, from, to).map(|history| history.to_string())
        };
        assert_eq!(
            said(&first, &last).as_deref(),
            Some("3 commits by two people")
        );
        assert_eq!(said(&first, &second).as_deref(), Some("1 commit"));
        assert_eq!(said(&last, &last), None);
        assert_eq!(said(&"0".repeat(40), &last), None);
        assert_eq!(said("--output=x", &last), None);
    }
}
