//! `landfall init`: an app file from what stands in the folder. Never overwrites anything.

use std::{
    fs::OpenOptions,
    io::Write as _,
    path::{Path, PathBuf},
};

use landfall_build::detect::{AppFileDraft, detect, write_app_file};
use serde_json::json;

use crate::{
    app_file,
    arguments::Init,
    context::Context,
    report::{Error, Result},
    view::plain,
};

pub fn run(context: &Context, arguments: &Init) -> Result {
    let here = std::env::current_dir()
        .map_err(|error| Error::file(Path::new("."), "can't find", &error))?;
    let path = match &context.global.file {
        Some(path) => here.join(path),
        None => here.join(app_file::NAME),
    };
    if path.exists() && !arguments.dry_run {
        return Err(Error::new(
            "file-exists",
            format!("{} is there already", path.display()),
        )
        .mend("change it by hand; landfall init --dry-run prints what it would hold"));
    }
    let folder = path
        .parent()
        .map_or_else(|| PathBuf::from("/"), Path::to_owned);
    let name = folder
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let detected = detect(&folder);
    let draft = write_app_file(&detected, &name);
    if arguments.dry_run {
        context.output.print(&draft.text);
        return Ok(());
    }
    // Also where another process was quicker, what it wrote stays.
    let created = OpenOptions::new().write(true).create_new(true).open(&path);
    let written = created.and_then(|mut file| file.write_all(draft.text.as_bytes()));
    written.map_err(|error| Error::file(&path, "can't write", &error))?;
    let mut wrote = vec![described(&path, &draft)];
    if !draft.ignore.is_empty() {
        let ignore = folder.join(".gitignore");
        append(&ignore, &draft.ignore)
            .map_err(|error| Error::file(&ignore, "can't write", &error))?;
        wrote.push(format!(".gitignore (+ {})", draft.ignore.join(", ")));
    }
    let next = match detected.dotenv {
        Some(_) => "landfall secrets import .env, then landfall up",
        None if draft.todo.is_empty() => "landfall up",
        None => "see to what is marked TODO, then landfall check, then landfall up",
    };
    if context.output.json() {
        let found: Vec<_> = draft
            .found
            .iter()
            .map(|(what, said)| json!({ "what": what, "said": said }))
            .collect();
        context.output.data(
            "init",
            &json!({ "file": path, "found": found, "todo": draft.todo, "ignored": draft.ignore }),
        );
        return Ok(());
    }
    context.output.say(report(&draft, &wrote, next));
    Ok(())
}

/// `landfall.toml (24 lines, 1 marked TODO)`
fn described(path: &Path, draft: &AppFileDraft) -> String {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let lines = plain::counted(draft.text.lines().count(), "line");
    match draft.todo.len() {
        0 => format!("{name} ({lines})"),
        todo => format!("{name} ({lines}, {todo} marked TODO)"),
    }
}

/// Appends lines, without joining the first one to a last line that has no end.
fn append(path: &Path, lines: &[String]) -> std::io::Result<()> {
    let before = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let mut text = String::new();
    if before.last().is_some_and(|last| *last != b'\n') {
        text.push('\n');
    }
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)?
        .write_all(text.as_bytes())
}

/// Found, Wrote, Open, Next: each beside its word.
fn report(draft: &AppFileDraft, wrote: &[String], next: &str) -> String {
    let mut rows: Vec<(&str, String)> = Vec::new();
    let width = draft
        .found
        .iter()
        .map(|(what, _)| what.chars().count())
        .max()
        .unwrap_or(0);
    for (index, (what, said)) in draft.found.iter().enumerate() {
        let word = if index == 0 { "Found" } else { "" };
        rows.push((
            word,
            format!("{what:<width$}  {said}").trim_end().to_owned(),
        ));
    }
    rows.push(("Wrote", wrote.join(", ")));
    for (index, todo) in draft.todo.iter().enumerate() {
        rows.push((if index == 0 { "Open" } else { "" }, todo.clone()));
    }
    rows.push(("Next", next.to_owned()));
    let lines: Vec<String> = rows
        .iter()
        .map(|(word, text)| format!("{word:<7}{text}"))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_says() {
        let draft = AppFileDraft {
            text: "app = \"a\"\n\n".to_owned(),
            found: vec![
                ("Dockerfile".to_owned(), "python:3.13-slim".to_owned()),
                ("app/main.py:12".to_owned(), "GET /health".to_owned()),
            ],
            todo: vec!["which port?".to_owned()],
            ignore: vec![".env".to_owned()],
        };
        let wrote = [
            described(Path::new("/x/landfall.toml"), &draft),
            ".gitignore (+ .env)".to_owned(),
        ];
        assert_eq!(
            report(&draft, &wrote, "landfall up"),
            "Found  Dockerfile      python:3.13-slim\n       app/main.py:12  GET /health\n\
             Wrote  landfall.toml (2 lines, 1 marked TODO), .gitignore (+ .env)\n\
             Open   which port?\nNext   landfall up"
        );
    }

    #[test]
    fn lines_are_appended_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".gitignore");
        append(&path, &["a".to_owned()]).unwrap();
        std::fs::write(&path, "x").unwrap();
        append(&path, &["b".to_owned()]).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "x\nb\n");
    }
}
