//! `landfall render`: the app as other tools' files. Writes all of them or none.

use std::{
    fs,
    path::{Path, PathBuf},
};

use landfall_app::App;
use landfall_render::{Change, Extent, Format, Input, Placed, Project, Rendered, Written, place};
use serde_json::json;
use similar::TextDiff;

use crate::{
    app_file::{self, AppFile},
    arguments::Render,
    context::Context,
    report::{Error, Result},
    view::plain,
};

/// A larger file is none that a renderer looks into.
const LARGEST: u64 = 1 << 20;

pub fn run(context: &Context, arguments: &Render) -> Result {
    let app_file = app_file::read(context)?;
    let environment = app_file
        .named(context.global.environment.as_deref())?
        .unwrap_or_else(app_file::local);
    let app = app_file.resolve(context, &environment)?.app;
    let environments = environments(&app_file, context)?;
    let input = Input {
        app: &app,
        environments: &environments,
        project: &Folder(app_file.folder.clone()),
        version: env!("CARGO_PKG_VERSION"),
    };
    let into = arguments.out.clone().unwrap_or(app_file.folder.clone());
    let flag = match context.global.environment.as_deref() {
        Some(name) => format!(" -e {name}"),
        None => String::new(),
    };
    let mut files: Vec<Laid> = Vec::new();
    let mut notes = Vec::new();
    for format in formats(arguments) {
        let command = format!("landfall render {}{flag}", format.name());
        let rendered = match landfall_render::render(format, &input) {
            Ok(rendered) => rendered,
            // What isn't asked for by name, and can't be, isn't there either.
            Err(_) if arguments.formats.is_empty() => continue,
            Err(refusal) => return Err(refused(refusal)),
        };
        if arguments.formats.is_empty() && !ours(&into, &rendered) {
            continue;
        }
        for written in &rendered.files {
            files.push(lay(&into, written, &command, arguments)?);
        }
        notes.extend(rendered.notes);
    }
    files.dedup_by(|later, first| later.path == first.path && later.placed == first.placed);
    let changes = || {
        files
            .iter()
            .filter(|file| file.placed.change != Change::Unchanged)
    };
    if arguments.diff {
        for file in changes() {
            context.output.print(&file.diff());
        }
    } else if !arguments.check {
        for file in changes() {
            file.write()?;
        }
    }
    if context.output.json() {
        let files: Vec<_> = files.iter().map(Laid::json).collect();
        let notes: Vec<_> = notes
            .iter()
            .map(|note| json!({ "setting": note.setting, "said": note.said }))
            .collect();
        context
            .output
            .data("render", &json!({ "files": files, "notes": notes }));
    } else {
        for file in &files {
            context
                .output
                .say(file.said(arguments.check || arguments.diff));
        }
        if files.is_empty() {
            context
                .output
                .say("Nothing that landfall writes stands there.");
        }
        for note in &notes {
            context
                .output
                .say(format!("note: {}: {}", note.setting, note.said));
        }
    }
    let stale: Vec<&Laid> = changes().collect();
    if arguments.check && !stale.is_empty() {
        let command = stale[0].command.clone();
        let names: Vec<String> = stale.iter().map(|file| file.name.clone()).collect();
        return Err(Error::new(
            "stale-files",
            format!(
                "{} of {} no longer what landfall.toml says",
                stale.len(),
                match files.len() {
                    1 => "1 file is".to_owned(),
                    count => format!("{count} files are"),
                }
            ),
        )
        .with("stale", names.join(", "))
        .mend(format!(
            "{command}; landfall render --diff shows what changes"
        )));
    }
    Ok(())
}

/// The formats asked for; without one, all of them.
fn formats(arguments: &Render) -> Vec<Format> {
    match arguments.formats.as_slice() {
        [] => Format::ALL.to_vec(),
        asked => asked.iter().map(|format| (*format).into()).collect(),
    }
}

/// The app in every environment.
fn environments(app_file: &AppFile, context: &Context) -> Result<Vec<App>> {
    let names = app_file.environments();
    names
        .iter()
        .map(|name| Ok(app_file.resolve(context, name)?.app))
        .collect()
}

fn refused(refusal: landfall_render::Refusal) -> Error {
    let error = Error::new(refusal.name, refusal.message);
    match refusal.mend {
        Some(mend) => error.mend(mend),
        None => error,
    }
}

/// Whether some file of a format was written by us before.
fn ours(into: &Path, rendered: &Rendered) -> bool {
    rendered.files.iter().any(|written| {
        written.extent == Extent::Whole
            && fs::read_to_string(into.join(&written.path))
                .is_ok_and(|text| text.contains("landfall:digest ") || text == written.text)
    })
}

/// A file and what becomes of it.
#[derive(Debug)]
struct Laid {
    name: String,
    path: PathBuf,
    executable: bool,
    before: String,
    placed: Placed,
    /// What writes it.
    command: String,
}

/// Looks at what stands there, and says what would.
fn lay(into: &Path, written: &Written, command: &str, arguments: &Render) -> Result<Laid> {
    let path = into.join(&written.path);
    let before = match fs::read(&path) {
        Ok(text) => Some(String::from_utf8(text).map_err(|_| {
            Error::new("foreign-file", format!("{} is no text", path.display()))
                .mend("move it away, or write elsewhere by --out")
        })?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(Error::file(&path, "can't read", &error)),
    };
    let reports = arguments.diff;
    let placed = place(
        before.as_deref(),
        written,
        command,
        arguments.force || reports,
    )
    .map_err(|problem| {
        Error::new("foreign-file", format!("{} stays: {problem}", app_file::shown(&path)))
            .mend(format!("{command} --diff shows the difference, --force writes all the same, --out DIR elsewhere"))
    })?;
    Ok(Laid {
        name: written.path.clone(),
        path,
        executable: written.executable,
        before: before.unwrap_or_default(),
        placed,
        command: command.to_owned(),
    })
}

impl Laid {
    fn write(&self) -> Result {
        let failed = |error| Error::file(&self.path, "can't write", &error);
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        fs::write(&self.path, &self.placed.text).map_err(failed)?;
        if self.executable {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(&self.path, mode).map_err(failed)?;
        }
        Ok(())
    }

    fn diff(&self) -> String {
        let diff = TextDiff::from_lines(&self.before, &self.placed.text);
        let before = match self.placed.change {
            Change::New => "/dev/null".to_owned(),
            _ => format!("a/{}", self.name),
        };
        diff.unified_diff()
            .header(&before, &format!("b/{}", self.name))
            .to_string()
    }

    fn said(&self, only: bool) -> String {
        let lines = plain::counted(self.placed.text.lines().count(), "line");
        let what = match (self.placed.change, only) {
            (Change::Unchanged, _) => "as it is".to_owned(),
            (Change::New, true) => "is missing".to_owned(),
            (Change::Changed, true) => "is stale".to_owned(),
            (Change::New, false) => format!("written ({lines})"),
            (Change::Changed, false) => format!("written anew ({lines})"),
        };
        format!("{}: {what}", self.name)
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "path": self.name,
            "change": match self.placed.change {
                Change::New => "new",
                Change::Changed => "changed",
                Change::Unchanged => "unchanged",
            },
        })
    }
}

/// The folder of the app file, as renderers see it. Nothing outside of it is read.
struct Folder(PathBuf);

impl Folder {
    fn inside(&self, path: &str) -> Option<PathBuf> {
        let relative = Path::new(path);
        let plain = relative.components().all(|part| {
            matches!(
                part,
                std::path::Component::Normal(_) | std::path::Component::CurDir
            )
        });
        plain.then(|| self.0.join(relative))
    }
}

impl Project for Folder {
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        let path = self.inside(path)?;
        let facts = fs::metadata(&path).ok()?;
        if !facts.is_file() || facts.len() > LARGEST {
            return None;
        }
        fs::read(path).ok()
    }

    fn list(&self, path: &str) -> Vec<String> {
        let Some(entries) = self.inside(path).and_then(|path| fs::read_dir(path).ok()) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let folder = entry.file_type().ok()?.is_dir();
                Some(if folder { format!("{name}/") } else { name })
            })
            .collect();
        names.sort();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_of_the_folder_is_read() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("app")).unwrap();
        fs::write(folder.path().join("secret"), "x").unwrap();
        fs::write(folder.path().join("app/a"), "y").unwrap();
        let project = Folder(folder.path().join("app"));
        assert_eq!(project.read("../secret"), None);
        assert_eq!(project.read("/etc/hostname"), None);
        assert_eq!(project.text("./a").as_deref(), Some("y"));
        assert_eq!(project.list("."), ["a"]);
        assert!(project.list("..").is_empty());
    }
}
