//! `landfall render`: the app as other tools' files. Writes all of them or none.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use landfall_app::{App, Name};
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
    let asked = app_file.named(context.global.environment.as_deref())?;
    let environment = asked.clone().unwrap_or_else(app_file::local);
    app_file.resolve(context, &environment)?;
    let apps = environments(&app_file, context)?;
    let folder = Folder(app_file.folder.clone());
    let into = arguments.out.clone().unwrap_or(app_file.folder.clone());
    let mut files: Vec<Laid> = Vec::new();
    let mut places: BTreeMap<PathBuf, usize> = BTreeMap::new();
    let (mut notes, mut noted) = (Vec::new(), BTreeSet::new());
    for format in formats(arguments) {
        let project = Seen {
            folder: &folder,
            written: match arguments.out {
                Some(_) => BTreeMap::new(),
                None => files
                    .iter()
                    .map(|file| (file.name.clone(), file.placed.text.clone()))
                    .collect(),
            },
        };
        let render = |app: &App| {
            landfall_render::render(
                format,
                &Input {
                    app,
                    environments: &apps,
                    project: &project,
                    version: env!("CARGO_PKG_VERSION"),
                },
            )
        };
        // What is only looked at, and of no environment that was named, is looked at in that in which it was
        // written.
        let written_in = (asked.is_none() && (arguments.check || arguments.diff))
            .then(|| {
                apps.iter().find(|app| {
                    let command = command(format, &app.environment);
                    render(app).is_ok_and(|rendered| ours(&into, &rendered, Some(&command)))
                })
            })
            .flatten();
        let app = match written_in {
            Some(app) => app,
            None => apps
                .iter()
                .find(|app| app.environment == environment)
                .expect("it was resolved with the others"),
        };
        let rendered = match render(app) {
            Ok(rendered) => rendered,
            // What isn't asked for by name, and can't be, isn't there either.
            Err(_) if arguments.formats.is_empty() => continue,
            Err(refusal) => return Err(refused(refusal)),
        };
        if arguments.formats.is_empty() && !ours(&into, &rendered, None) {
            continue;
        }
        let command = command(format, &app.environment);
        for written in &rendered.files {
            let path = into.join(&written.path);
            let earlier = places.get(&path).map(|at| &mut files[*at]);
            if let Some(laid) = lay(path.clone(), written, &command, arguments, earlier)? {
                places.insert(path, files.len());
                files.push(laid);
            }
        }
        for note in rendered.notes {
            if noted.insert((note.setting.clone(), note.said.clone())) {
                notes.push(note);
            }
        }
    }
    let changes = || {
        files
            .iter()
            .filter(|file| file.placed.change != Change::Unchanged)
    };
    if arguments.diff {
        for file in changes().filter(|_| !context.output.json()) {
            context.output.print(&file.diff());
        }
    } else if !arguments.check {
        for file in changes() {
            file.write()?;
        }
    }
    if context.output.json() {
        let files: Vec<_> = files.iter().map(|file| file.json(arguments.diff)).collect();
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
                "{} of {} {} no longer what landfall.toml says",
                stale.len(),
                plain::counted(files.len(), "file"),
                if stale.len() == 1 { "is" } else { "are" }
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

/// What writes a format for an environment, as it is typed.
fn command(format: Format, environment: &Name) -> String {
    let flag = match *environment == app_file::local() {
        true => String::new(),
        false => format!(" -e {environment}"),
    };
    format!("landfall render {}{flag}", format.name())
}

/// Whether some file of a format was written by us before; by this command, where one is named.
fn ours(into: &Path, rendered: &Rendered, command: Option<&str>) -> bool {
    let said = command.map(|command| format!("Written by `{command}` from"));
    rendered.files.iter().any(|written| {
        written.extent == Extent::Whole
            && fs::read_to_string(into.join(&written.path)).is_ok_and(|text| match &said {
                Some(said) => text.contains(said),
                None => text.contains("landfall:digest ") || text == written.text,
            })
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

/// Looks at what stands there, and says what would. Two formats may each have lines for one list: then the
/// second adds to what the `earlier` leaves, and nothing is given back.
fn lay(
    path: PathBuf,
    written: &Written,
    command: &str,
    arguments: &Render,
    earlier: Option<&mut Laid>,
) -> Result<Option<Laid>> {
    let before = match &earlier {
        Some(earlier) => Some(earlier.placed.text.clone()),
        None => read(&path)?,
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
    let Some(earlier) = earlier else {
        return Ok(Some(Laid {
            name: written.path.clone(),
            path,
            executable: written.executable,
            before: before.unwrap_or_default(),
            placed,
            command: command.to_owned(),
        }));
    };
    if placed.change != Change::Unchanged {
        earlier.placed.text = placed.text;
        if earlier.placed.change == Change::Unchanged {
            earlier.placed.change = Change::Changed;
        }
    }
    Ok(None)
}

/// The text of a file, where there is one.
fn read(path: &Path) -> Result<Option<String>> {
    match fs::read(path) {
        Ok(text) => String::from_utf8(text).map(Some).map_err(|_| {
            Error::new(
                "foreign-file",
                format!("{} is no text", app_file::shown(path)),
            )
            .mend("move it away, or write elsewhere by --out")
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file(path, "can't read", &error)),
    }
}

impl Laid {
    /// Whole or not at all: what stands there stays until the new text is complete.
    fn write(&self) -> Result {
        use std::{io::Write as _, os::unix::fs::PermissionsExt as _};
        let failed = |error: std::io::Error| Error::file(&self.path, "can't write", &error);
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(failed)?;
        // A link stays one, and what it leads to is written.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let mode = match fs::metadata(&path) {
            Ok(facts) => facts.permissions().mode() | if self.executable { 0o111 } else { 0 },
            Err(_) if self.executable => 0o755,
            Err(_) => 0o644,
        };
        let mut file = tempfile::Builder::new()
            .prefix(".landfall-")
            .permissions(fs::Permissions::from_mode(mode))
            .tempfile_in(path.parent().unwrap_or(folder))
            .map_err(failed)?;
        file.write_all(self.placed.text.as_bytes())
            .map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
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

    fn json(&self, diff: bool) -> serde_json::Value {
        let mut said = json!({
            "path": self.name,
            "change": match self.placed.change {
                Change::New => "new",
                Change::Changed => "changed",
                Change::Unchanged => "unchanged",
            },
        });
        if diff {
            said["diff"] = match self.placed.change {
                Change::Unchanged => serde_json::Value::Null,
                _ => self.diff().into(),
            };
        }
        said
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

/// The folder as it will be once what is rendered before stands there: a Dockerfile counts for the compose
/// file that is written by the same command.
struct Seen<'a> {
    folder: &'a Folder,
    written: BTreeMap<String, String>,
}

impl Project for Seen<'_> {
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        match self.written.get(path.trim_start_matches("./")) {
            Some(text) => Some(text.clone().into_bytes()),
            None => self.folder.read(path),
        }
    }

    fn list(&self, path: &str) -> Vec<String> {
        let written: BTreeMap<String, Vec<u8>> = self
            .written
            .keys()
            .map(|path| (path.clone(), Vec::new()))
            .collect();
        let mut names = self.folder.list(path);
        names.extend(written.list(path));
        names.sort();
        names.dedup();
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
