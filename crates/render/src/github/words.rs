//! Texts of the app file in places where GitHub, a shell or a pattern would read more into them.

use landfall_app::model::Run;

use crate::shell;

/// A text in a place where GitHub evaluates expressions: one that stands in it stays text.
pub fn literal(text: &str) -> String {
    text.replace("${{", "${{ '${{' }}")
}

/// A text in a list of branches or paths, whose patterns have characters of their own.
pub fn pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for (at, letter) in text.char_indices() {
        if matches!(letter, '*' | '?' | '+' | '[' | ']' | '\\') || (letter == '!' && at == 0) {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}

/// What `sh` runs. GitHub's `sh` ends at the first failure; that unset variables are failures is said here
/// where it can matter, so that a test fares as it does at the desk.
pub fn script(run: &Run) -> String {
    match run {
        Run::Shell(text) if text.contains('$') => format!("set -u\n{}", text.trim_end()),
        Run::Shell(text) => text.trim_end().to_owned(),
        Run::Exact(words) => shell::line(words),
    }
}

/// The first line of what is run, as the name of a step.
pub fn title(run: &Run) -> String {
    let text = match run {
        Run::Shell(text) => text.clone(),
        Run::Exact(words) => words.join(" "),
    };
    let line = text.trim().lines().next().unwrap_or_default();
    let mut title: String = line.chars().filter(|c| !c.is_control()).take(60).collect();
    if title.len() < line.len() {
        title.push('…');
    }
    literal(&title)
}

/// A service's variable: `IMAGE_SPEC_EDITOR`. Names have no underscores, so that no two become one.
pub fn variable(prefix: &str, service: &str) -> String {
    format!(
        "{prefix}_{}",
        service.to_ascii_uppercase().replace('-', "_")
    )
}

/// A folder or file below another, relative to the app file; `.` for its own folder.
pub fn below(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    match parts.is_empty() {
        true => ".".to_owned(),
        false => parts.join("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_in_a_text_of_the_user_stays_text() {
        assert_eq!(literal("a ${{ b }}"), "a ${{ '${{' }} b }}");
    }

    #[test]
    fn a_command_becomes_what_the_shell_takes_for_it() {
        let exact = Run::Exact(vec!["a".into(), "it's $HOME".into(), String::new()]);
        assert_eq!(script(&exact), r"a 'it'\''s $HOME' ''");
        assert_eq!(script(&Run::Shell("npm test\n".into())), "npm test");
        assert_eq!(script(&Run::Shell("echo $X".into())), "set -u\necho $X");
    }

    #[test]
    fn a_pattern_means_only_what_it_says() {
        assert_eq!(pattern("a/b+c"), r"a/b\+c");
        assert_eq!(pattern("!x!"), r"\!x!");
    }

    #[test]
    fn paths_are_joined() {
        assert_eq!(below(".", "."), ".");
        assert_eq!(below("./backend/", "Dockerfile"), "backend/Dockerfile");
        assert_eq!(below("backend", "../shared"), "shared");
    }
}
