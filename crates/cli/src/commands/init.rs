//! `landfall init`: an app file from what stands in the folder: another tool's file where there is one,
//! else what the folder itself shows. Never overwrites anything.

use std::{
    fs::OpenOptions,
    io::Write as _,
    path::{Path, PathBuf},
};

use landfall_build::detect::{AppFileDraft, detect, missing_ignores, write_app_file};
use landfall_import::{Format, Imported};
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
    refuse_to_overwrite(&path, arguments.dry_run)?;
    let folder = path
        .parent()
        .map_or_else(|| PathBuf::from("/"), Path::to_owned);
    let name = folder
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let detected = detect(&folder);
    let mut skipped = Vec::new();
    if let Some(used) = imported(&folder, &mut skipped) {
        return import(context, arguments.dry_run, &path, &folder, &used, &skipped);
    }
    let mut draft = write_app_file(&detected, &name);
    draft.found.extend(skipped);
    if arguments.dry_run {
        context.output.print(&draft.text);
        return Ok(());
    }
    write(&path, &draft.text)?;
    let mut wrote = vec![described(&path, &draft)];
    let ignored = ignore_dotenv(&folder)?;
    if !ignored.is_empty() {
        wrote.push(format!(".gitignore (+ {})", ignored.join(", ")));
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

/// Formats that say more about an app than what stands in its folder; programs of supervisord and
/// processes of a Procfile are read together with what else is found out about the folder.
const STRONGER: [Format; 4] = [Format::Compose, Format::Kamal, Format::Fly, Format::Heroku];

/// What another tool's file says, and which.
struct Used {
    file: String,
    imported: Imported,
}

/// The strongest of other tools' files that is there and names a service; those that were passed over,
/// with the reason.
fn imported(folder: &Path, skipped: &mut Vec<(String, String)>) -> Option<Used> {
    for format in STRONGER {
        let there = |name: &&&str| folder.join(name).is_file();
        let Some(file) = format.files().iter().find(there) else {
            continue;
        };
        let files = [(*file).to_owned()];
        let source = super::import::Folder::new(folder, &files);
        match super::import::read(&source, format, &files, &[]) {
            Ok(imported) if imported.text.contains("\n[service.") => {
                return Some(Used {
                    file: (*file).to_owned(),
                    imported,
                });
            }
            Ok(_) => skipped.push((
                (*file).to_owned(),
                format!(
                    "names no service of its own; landfall import {} shows what it says",
                    format.name()
                ),
            )),
            Err(error) => {
                let said = error
                    .failure
                    .map_or_else(String::new, |failure| failure.message);
                skipped.push(((*file).to_owned(), format!("not used: {said}")));
            }
        }
    }
    None
}

/// Writes what was imported, and says it as `landfall import` does.
fn import(
    context: &Context,
    dry_run: bool,
    path: &Path,
    folder: &Path,
    used: &Used,
    skipped: &[(String, String)],
) -> Result {
    let imported = &used.imported;
    if dry_run {
        context.output.print(&imported.text);
        return Ok(());
    }
    write(path, &imported.text)?;
    let ignored = ignore_dotenv(folder)?;
    if context.output.json() {
        let mut data = super::import::data(path, false, imported, &ignored);
        data["found"] = json!([{ "what": used.file, "said": "imported" }]);
        context.output.data("init", &data);
        return Ok(());
    }
    context.output.say(super::import::report(imported));
    context
        .output
        .say(format!("Found  {}: imported", used.file));
    for (file, said) in skipped {
        context.output.say(format!("       {file}: {said}"));
    }
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let mut wrote = format!(
        "{name} ({})",
        plain::counted(imported.text.lines().count(), "line")
    );
    if !ignored.is_empty() {
        wrote.push_str(&format!(", .gitignore (+ {})", ignored.join(", ")));
    }
    context.output.say(format!("Wrote  {wrote}"));
    for (index, next) in super::import::next(folder, imported).iter().enumerate() {
        let word = if index == 0 { "Next" } else { "" };
        context.output.say(format!("{word:<7}{next}"));
    }
    Ok(())
}

/// An app file that is there already stays as it is.
pub(super) fn refuse_to_overwrite(path: &Path, dry_run: bool) -> Result {
    match path.symlink_metadata().is_ok() && !dry_run {
        true => Err(Error::new(
            "file-exists",
            format!("{} is there already", path.display()),
        )
        .mend("change it by hand; with --dry-run it is printed what it would hold")),
        false => Ok(()),
    }
}

/// Writes an app file. Also where another process was quicker, what it wrote stays.
pub(super) fn write(path: &Path, text: &str) -> Result {
    let created = OpenOptions::new().write(true).create_new(true).open(path);
    let written = created.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| Error::file(path, "can't write", &error))
}

/// Brings `.env` into `.gitignore`, where the folder is a repository's and nothing there says it; what
/// was appended.
pub(super) fn ignore_dotenv(folder: &Path) -> Result<Vec<String>> {
    let lines = missing_ignores(folder);
    if !lines.is_empty() {
        let ignore = folder.join(".gitignore");
        append(&ignore, &lines).map_err(|error| Error::file(&ignore, "can't write", &error))?;
    }
    Ok(lines)
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
