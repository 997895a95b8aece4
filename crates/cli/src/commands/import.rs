//! `landfall import`: other tools' files, read into an app file. Never overwrites anything.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

use landfall_import::{Files, Format, Imported, Input, LARGEST, Refusal, Remark, RemarkKind};
use serde_json::json;

use super::init;
use crate::{
    app_file,
    arguments::{Import, ImportFormat},
    context::Context,
    report::{Error, Result},
    view::plain,
};

pub fn run(context: &Context, arguments: &Import) -> Result {
    let here = std::env::current_dir()
        .map_err(|error| Error::file(Path::new("."), "can't find", &error))?;
    let path = match &context.global.file {
        Some(path) => here.join(path),
        None => here.join(app_file::NAME),
    };
    init::refuse_to_overwrite(&path, arguments.dry_run)?;
    let folder = path
        .parent()
        .map_or_else(|| PathBuf::from("/"), Path::to_owned);
    let format = Format::from(arguments.format);
    let files = match arguments.files.as_slice() {
        [] => {
            let found = format
                .files()
                .iter()
                .find(|name| folder.join(name).is_file());
            let found = found.ok_or_else(|| {
                Error::new(
                    "no-such-file",
                    format!("no {} in {}", format.files().join(", "), folder.display()),
                )
                .mend(format!("landfall import {} FILE", format.name()))
            })?;
            vec![(*found).to_owned()]
        }
        named => named
            .iter()
            .map(|file| relative(&folder, &here.join(file)))
            .collect(),
    };
    let source = Folder::new(&folder, &files);
    let imported = read(&source, format, &files, &arguments.profiles)?;
    if !arguments.dry_run {
        init::write(&path, &imported.text)?;
    }
    let ignored = match arguments.dry_run {
        true => Vec::new(),
        false => init::ignore_dotenv(&folder)?,
    };
    if context.output.json() {
        context.output.data(
            "import",
            &data(&path, arguments.dry_run, &imported, &ignored),
        );
        return Ok(());
    }
    if arguments.dry_run {
        context.output.print(&imported.text);
        context.output.remark(&report(&imported));
        return Ok(());
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
    context.output.say(report(&imported));
    context.output.say(format!("Wrote  {wrote}"));
    for (index, next) in next(&folder, &imported).iter().enumerate() {
        let word = if index == 0 { "Next" } else { "" };
        context.output.say(format!("{word:<7}{next}"));
    }
    Ok(())
}

impl From<ImportFormat> for Format {
    fn from(format: ImportFormat) -> Self {
        match format {
            ImportFormat::Compose => Self::Compose,
            ImportFormat::Procfile => Self::Procfile,
            ImportFormat::Supervisord => Self::Supervisord,
            ImportFormat::Kamal => Self::Kamal,
            ImportFormat::Fly => Self::Fly,
            ImportFormat::Heroku => Self::Heroku,
        }
    }
}

/// Reads files of a format, as the app file of a folder.
pub(super) fn read(
    source: &Folder,
    format: Format,
    files: &[String],
    profiles: &[String],
) -> Result<Imported> {
    let variables: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let name = source
        .folder
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let input = Input {
        files,
        source,
        variables: &variables,
        profiles,
        name: &name,
    };
    landfall_import::import(format, &input).map_err(refused)
}

/// A refusal as an error: the name, the place, the message, what to do.
pub(super) fn refused(refusal: Refusal) -> Error {
    let place = match refusal.line {
        0 => refusal.file.clone(),
        line => format!("{}:{line}", refusal.file),
    };
    let error = Error::new(refusal.name, format!("{place}: {}", refusal.message));
    match refusal.mend {
        Some(mend) => error.mend(mend),
        None => error,
    }
}

/// The remarks by their kind, each with its place, and how many there are.
pub(super) fn report(imported: &Imported) -> String {
    let mut text = String::new();
    let width = imported
        .remarks
        .iter()
        .map(|remark| place(remark).chars().count())
        .max()
        .unwrap_or(0)
        .min(40);
    for (kind, head) in [
        (RemarkKind::PlainSecret, "Secrets in plain text"),
        (RemarkKind::Lost, "Without an equal, left out"),
        (RemarkKind::Changed, "Not quite the same"),
        (RemarkKind::Note, "Taken care of in another way"),
    ] {
        let remarks: Vec<&Remark> = imported
            .remarks
            .iter()
            .filter(|remark| remark.kind == kind)
            .collect();
        if remarks.is_empty() {
            continue;
        }
        text.push_str(&format!("{head}:\n"));
        for remark in remarks {
            text.push_str(&format!(
                "  {:<width$}  {}: {}\n",
                place(remark),
                remark.key,
                remark.said
            ));
        }
        text.push('\n');
    }
    let count = |kind| {
        imported
            .remarks
            .iter()
            .filter(|remark| remark.kind == kind)
            .count()
    };
    let mut counts = vec![format!(
        "{} taken over",
        plain::counted(settings(&imported.text), "line")
    )];
    for (kind, said) in [
        (RemarkKind::Lost, ["has no equal", "have no equal"]),
        (
            RemarkKind::Changed,
            ["does not quite the same", "do not quite the same"],
        ),
        (
            RemarkKind::PlainSecret,
            ["is a secret in plain text", "are secrets in plain text"],
        ),
    ] {
        match count(kind) {
            0 => {}
            1 => counts.push(format!("1 {}", said[0])),
            several => counts.push(format!("{several} {}", said[1])),
        }
    }
    text + &counts.join(", ")
}

fn place(remark: &Remark) -> String {
    match remark.line {
        0 => remark.file.clone(),
        line => format!("{}:{line}", remark.file),
    }
}

/// How many lines of an app file say something.
pub(super) fn settings(text: &str) -> usize {
    let says = |line: &&str| !line.is_empty() && !line.starts_with(['#', '[', ']']);
    text.lines().map(str::trim).filter(says).count()
}

/// What is to be done next.
pub(super) fn next(folder: &Path, imported: &Imported) -> Vec<String> {
    let mut next = Vec::new();
    if folder.join(".env").is_file() {
        next.push("landfall secrets import .env".to_owned());
    }
    let mut left: Vec<&str> = imported
        .remarks
        .iter()
        .filter(|remark| remark.kind == RemarkKind::PlainSecret)
        .flat_map(|remark| {
            imported
                .secrets
                .iter()
                .find(|name| remark.said.contains(name.as_str()))
        })
        .map(String::as_str)
        .collect();
    left.sort_unstable();
    left.dedup();
    next.extend(
        left.iter()
            .take(8)
            .map(|name| format!("landfall secrets set {name}")),
    );
    if let Some(more) = left.len().checked_sub(8).filter(|more| *more > 0) {
        next.push(format!("… and {more} more secrets"));
    }
    next.push(match imported.text.contains("# TODO: ") {
        true => "see to what is marked TODO, then landfall check, then landfall up".to_owned(),
        false => "landfall check, then landfall up".to_owned(),
    });
    next
}

/// What `--json` shows.
pub(super) fn data(
    path: &Path,
    dry_run: bool,
    imported: &Imported,
    ignored: &[String],
) -> serde_json::Value {
    let kind = |kind| match kind {
        RemarkKind::Lost => "lost",
        RemarkKind::Changed => "changed",
        RemarkKind::PlainSecret => "plain-secret",
        RemarkKind::Note => "note",
    };
    let remarks: Vec<_> = imported
        .remarks
        .iter()
        .map(|remark| {
            json!({ "kind": kind(remark.kind), "file": remark.file, "line": remark.line, "key": remark.key, "said": remark.said })
        })
        .collect();
    json!({
        "file": path,
        "written": !dry_run,
        "text": imported.text,
        "taken-over": settings(&imported.text),
        "clean": imported.clean(),
        "remarks": remarks,
        "secrets": imported.secrets,
        "ignored": ignored,
    })
}

/// Where files are read: in the folder of the app file to be, below the repository that it is in, and
/// those that the user named, wherever they stand. Nothing else: a file must not make us read
/// `/etc/shadow` into an app file.
#[derive(Debug)]
pub(super) struct Folder {
    folder: PathBuf,
    /// The folder of the repository, else the folder itself.
    repository: PathBuf,
    named: Vec<PathBuf>,
}

impl Folder {
    pub fn new(folder: &Path, named: &[String]) -> Self {
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let repository = folder
            .ancestors()
            .find(|above| above.join(".git").exists())
            .unwrap_or(&folder)
            .to_owned();
        let named = named
            .iter()
            .filter_map(|file| folder.join(file).canonicalize().ok())
            .collect();
        Self {
            folder,
            repository,
            named,
        }
    }
}

impl Files for Folder {
    fn read(&self, path: &str) -> std::result::Result<Option<Vec<u8>>, String> {
        let path = self.folder.join(path);
        let real = match path.canonicalize() {
            Ok(real) => real,
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(format!("can't be read: {error}")),
        };
        if !real.starts_with(&self.repository) && !self.named.contains(&real) {
            return Err(format!(
                "lies outside of {}, and only files that are named on the command line are read there",
                self.repository.display()
            ));
        }
        let found = std::fs::metadata(&real).map_err(|error| format!("can't be read: {error}"))?;
        if !found.is_file() {
            return Err("is no file".to_owned());
        }
        // Looked at before it is read: a file of many gigabytes isn't taken into memory to be refused.
        if found.len() > LARGEST as u64 {
            return Err(format!(
                "has {} MiB, and no file that people write has more than {}",
                found.len() >> 20,
                LARGEST >> 20
            ));
        }
        std::fs::read(&real)
            .map(Some)
            .map_err(|error| format!("can't be read: {error}"))
    }
}

/// A path as it is seen from a folder, with `..` where it leads out of it.
fn relative(folder: &Path, path: &Path) -> String {
    let parts = |path: &Path| -> Vec<String> {
        let mut parts: Vec<String> = Vec::new();
        for part in path.components() {
            match part {
                Component::ParentDir => {
                    parts.pop();
                }
                Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
                _ => {}
            }
        }
        parts
    };
    let (folder, path) = (parts(folder), parts(path));
    let common = folder.iter().zip(&path).take_while(|(a, b)| a == b).count();
    let up = folder[common..].iter().map(|_| "..".to_owned());
    let steps: Vec<String> = up.chain(path[common..].iter().cloned()).collect();
    steps.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_seen_from_the_folder() {
        for (path, expected) in [
            ("/a/b/compose.yaml", "compose.yaml"),
            ("/a/b/c/../d.yaml", "d.yaml"),
            ("/a/x/y", "../x/y"),
            ("/", "../.."),
        ] {
            assert_eq!(relative(Path::new("/a/b"), Path::new(path)), expected);
        }
    }

    #[test]
    fn only_what_is_named_is_read_outside_of_the_repository() {
        let folder = tempfile::tempdir().unwrap();
        let outside = folder.path().join("secret.env");
        std::fs::write(&outside, "A=b").unwrap();
        let repository = folder.path().join("repository");
        std::fs::create_dir_all(repository.join(".git")).unwrap();
        std::fs::create_dir_all(repository.join("app")).unwrap();
        std::fs::write(repository.join("shared.yaml"), "x").unwrap();
        std::os::unix::fs::symlink(&outside, repository.join("app/link")).unwrap();
        let app = repository.join("app");
        let none = Folder::new(&app, &[]);
        assert_eq!(none.read("../shared.yaml").unwrap().unwrap(), b"x");
        assert!(none.read("../../secret.env").is_err());
        assert!(none.read("link").is_err());
        assert!(none.read(&outside.display().to_string()).is_err());
        assert_eq!(none.read("nothing").unwrap(), None);
        assert!(none.read(".").is_err());
        let named = Folder::new(&app, &["../../secret.env".to_owned()]);
        assert_eq!(named.read("../../secret.env").unwrap().unwrap(), b"A=b");
    }
}
