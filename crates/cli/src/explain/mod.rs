//! Pages about errors, by their names: `landfall explain NAME` and `docs/errors.md`.

/// A page of each error that isn't about the app file's text; those are landfall-app's own.
macro_rules! pages {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!($name, ".md")))),*]
    };
}

/// The pages by name, sorted.
pub const PAGES: &[(&str, &str)] = pages![
    "advice-unheeded",
    "already-live",
    "ambiguous-environment",
    "backing-failed",
    "backing-unreachable",
    "backup-damaged",
    "backup-denied",
    "backup-differs",
    "backup-failed",
    "backup-store-failed",
    "backup-unreachable",
    "bad-app-file",
    "bad-arguments",
    "bad-backing",
    "bad-backup",
    "bad-command",
    "bad-context",
    "bad-dockerfile",
    "bad-dotenv",
    "bad-import",
    "bad-key",
    "bad-name",
    "bad-recipient",
    "bad-reference",
    "bad-request",
    "bad-scale",
    "bad-secret-name",
    "bad-secrets-file",
    "bad-time",
    "bad-variable",
    "binary-secret",
    "build-failed",
    "cancelled",
    "container-exists",
    "container-missing",
    "container-unreachable",
    "crashed",
    "dirty-tree",
    "disk-full",
    "dump-failed",
    "edge-failed",
    "empty-secret",
    "engine-denied",
    "engine-elsewhere",
    "engine-lost",
    "engine-refused",
    "engine-too-old",
    "extension-missing",
    "fault-injected",
    "file-exists",
    "file-unusable",
    "foreign-file",
    "git-failed",
    "hook-failed",
    "host-died",
    "host-failed",
    "image-failed",
    "image-missing",
    "init-failed",
    "interrupted",
    "job-failed",
    "job-running",
    "key-exists",
    "last-recipient",
    "ledger-chain",
    "ledger-newer",
    "ledger-unreadable",
    "ledger-unusable",
    "lfs-pointers",
    "lock-lost",
    "locked",
    "major-version",
    "migration-failed",
    "missing-secret",
    "network-exists",
    "never-ready",
    "no-address",
    "no-app-file",
    "no-bucket",
    "no-build-output",
    "no-buildkit",
    "no-dockerfile",
    "no-engine",
    "no-gpu",
    "no-host",
    "no-key",
    "no-port",
    "no-recipients",
    "no-release-before",
    "no-such-file",
    "no-such-root",
    "not-a-recipient",
    "not-built-yet",
    "not-confirmed",
    "not-deployed",
    "not-executed",
    "not-running",
    "not-scanned",
    "not-undone",
    "nothing-to-change",
    "nothing-to-render",
    "nothing-to-scale",
    "outside-of-app",
    "port-taken",
    "readable-key",
    "recipient-exists",
    "registry-denied",
    "registry-unreachable",
    "release-pruned",
    "sealed-secret",
    "secret-in-build-argument",
    "secrets-command-failed",
    "secrets-on-a-terminal",
    "smoke-failed",
    "source-changing",
    "stale-files",
    "stream-failed",
    "submodule-missing",
    "supervisor-failed",
    "supervisor-lost",
    "supervisor-not-static",
    "tool-missing",
    "unknown-backup",
    "unknown-deployment",
    "unknown-environment",
    "unknown-image",
    "unknown-job",
    "unknown-name",
    "unknown-path",
    "unknown-process",
    "unknown-recipient",
    "unknown-release",
    "unknown-run",
    "unknown-secret",
    "unknown-service",
    "unknown-subject",
    "unknown-volume",
    "version-missing",
    "volume-exists",
    "volume-failed",
    "volume-used",
    "vulnerable",
    "wrong-address",
    "wrong-architecture",
    "wrong-port",
];

/// A page.
#[derive(Debug, Clone)]
pub struct Page {
    pub name: &'static str,
    /// What the error is, in one line.
    pub title: String,
    /// More about it.
    pub text: String,
}

/// All pages, sorted by name: ours, and landfall-app's about the file's text.
pub fn all() -> Vec<Page> {
    let ours = PAGES.iter().map(|(name, text)| {
        let (head, text) = text.split_once("\n\n").unwrap_or((text, ""));
        let title = head.split_once(": ").map_or(head, |(_, title)| title);
        Page {
            name,
            title: title.to_owned(),
            text: text.to_owned(),
        }
    });
    let mut pages: Vec<Page> = ours.collect();
    for (name, text) in landfall_app::codes() {
        let (title, text) = titled(name, text);
        let page = Page {
            name,
            title,
            // The example of a byte that no text has: its sign is shown, since a page is a text.
            text: fenced(text).replace('\0', "\u{2400}"),
        };
        match pages.iter_mut().find(|known| known.name == *name) {
            // One word, two places: both are said.
            Some(known) => {
                known.text = format!(
                    "{}\n\nIn the app file: {}",
                    known.text.trim_end(),
                    page.text
                )
            }
            None => pages.push(page),
        }
    }
    // What `landfall image advise` finds is no error, and explained in the same way.
    let rules = landfall_doctor::RULES.iter().map(|rule| Page {
        name: rule.name,
        title: rule.title.to_owned(),
        text: rule.text.to_owned(),
    });
    pages.extend(rules);
    pages.sort_by_key(|page| page.name);
    pages
}

/// The first sentence as the title, where it is short, and the rest; else the name itself as words.
fn titled<'t>(name: &str, text: &'t str) -> (String, &'t str) {
    let end = text.find(". ").into_iter().chain(text.find(".\n")).min();
    let first = end.map(|end| (&text[..end], text[end + 1..].trim_start()));
    match first {
        Some((sentence, rest)) if sentence.chars().count() <= 80 && !sentence.contains('\n') => {
            let mut characters = sentence.chars();
            (
                characters
                    .next()
                    .into_iter()
                    .flat_map(char::to_lowercase)
                    .chain(characters)
                    .collect(),
                rest,
            )
        }
        _ => (name.replace('-', " "), text),
    }
}

/// Landfall-app's examples, as markdown has them.
fn fenced(text: &str) -> String {
    let Some((meaning, examples)) = text.split_once("Wrong:\n\n") else {
        return text.to_owned();
    };
    let Some((wrong, right)) = examples.split_once("\n\nRight:\n\n") else {
        return text.to_owned();
    };
    let meaning = meaning.trim_end();
    format!(
        "{meaning}\n\nWrong:\n\n```toml\n{}\n```\n\nRight:\n\n```toml\n{}\n```\n",
        wrong.trim_end(),
        right.trim_end()
    )
}

/// The page of an error.
pub fn page(name: &str) -> Option<Page> {
    all().into_iter().find(|page| page.name == name)
}

/// Names that share a word with this one; the one that differs in its spelling only stands alone.
pub fn near(name: &str) -> Vec<&'static str> {
    let name = name.to_lowercase().replace(['_', ' '], "-");
    if let Some(page) = page(&name) {
        return vec![page.name];
    }
    let words: Vec<&str> = name.split('-').filter(|word| word.len() > 2).collect();
    let shares = |page: &Page| page.name.split('-').any(|word| words.contains(&word));
    all()
        .iter()
        .filter(|page| shares(page))
        .map(|page| page.name)
        .take(6)
        .collect()
}

/// Text for a terminal: in lines of at most so many characters, without markdown's bold and fences.
pub fn filled(text: &str, width: usize) -> String {
    let text = text.replace("**", "");
    let mut out = String::new();
    // Between two fences stands an example, which keeps its lines.
    for (index, part) in text.split("```").enumerate() {
        if index % 2 == 1 {
            let lines = part.lines().skip(1);
            out.push('\n');
            for line in lines {
                out.push_str(format!("    {line}").trim_end());
                out.push('\n');
            }
            continue;
        }
        for paragraph in part
            .split("\n\n")
            .filter(|paragraph| !paragraph.trim().is_empty())
        {
            if !out.is_empty() {
                out.push('\n');
            }
            wrap(paragraph, width, &mut out);
        }
    }
    out
}

fn wrap(paragraph: &str, width: usize, out: &mut String) {
    let mut length = 0;
    for word in paragraph.split_whitespace() {
        let size = word.chars().count();
        if length > 0 && length + 1 + size > width {
            out.push('\n');
            length = 0;
        } else if length > 0 {
            out.push(' ');
            length += 1;
        }
        out.push_str(word);
        length += size;
    }
    out.push('\n');
}

#[cfg(test)]
mod tests;
