//! Volumes, files, secrets and configs that are put into a service.

use super::{
    context::Context,
    load, paths,
    secret::variable_name,
    tree::{At, Item},
    volumes::{self, Kind},
};
use crate::{
    RemarkKind,
    draft::{Names, Table},
};

/// Names of folders that hold what a program keeps, not what it is made of.
const KEPT: [&str; 22] = [
    "data",
    "storage",
    "uploads",
    "upload",
    "media",
    "db",
    "database",
    "logs",
    "log",
    "cache",
    "backups",
    "backup",
    "volumes",
    "volume",
    "state",
    "models",
    "files",
    "persist",
    "persistent",
    "mysql",
    "pgdata",
    "var",
];

impl Context<'_> {
    /// `volumes` and `tmpfs`.
    pub(super) fn write_volumes(&mut self, at: usize, table: &mut Table) -> load::Result<()> {
        let item = std::rc::Rc::clone(&self.services[at].item);
        let mut names = Names::new();
        for entry in item.get("tmpfs").map(Item::texts).unwrap_or_default() {
            let Some(text) = entry.text() else { continue };
            let (path, options) = text.split_once(':').unwrap_or((text, ""));
            // These two come with a file system that can't be written.
            let comes = matches!(path, "/tmp" | "/run")
                && item.get("read_only").and_then(Item::flag) == Some(true);
            if !comes {
                table
                    .push("tmpfs", path)
                    .from(&entry.at.file, entry.at.line);
            }
            if !matches!(options, "" | "mode=1777") {
                self.remark(
                    at,
                    RemarkKind::Changed,
                    &entry.at,
                    "tmpfs",
                    format!(
                        "`{options}` isn't kept: a folder in memory counts as the service's memory"
                    ),
                );
            }
        }
        for entry in item.get("volumes").map(Item::texts).unwrap_or_default() {
            let mount = volumes::mount(entry)
                .map_err(|message| self.wrong(at, &entry.at, "volumes", &message))?;
            let place = entry.at.clone();
            if !mount.target.starts_with('/') {
                return Err(self.wrong(
                    at,
                    &place,
                    "volumes",
                    &format!("`{}` is no absolute path", mount.target),
                ));
            }
            if let Some(sub) = entry.get("volume").and_then(|volume| volume.get("subpath")) {
                self.remark(
                    at,
                    RemarkKind::Lost,
                    &sub.at,
                    "volumes.volume.subpath",
                    "would have put in a folder of the volume; the whole volume is",
                );
            }
            match &mount.kind {
                Kind::Named(name) => {
                    let shared = name.clone();
                    // What belongs to one service is often called after it.
                    let own = name
                        .strip_prefix(&*self.services[at].key)
                        .and_then(|rest| rest.strip_prefix('.'));
                    let name = own.filter(|own| !own.is_empty()).unwrap_or(name).to_owned();
                    self.keep(at, &mut names, &name, &mount.target, &place, table);
                    let others: Vec<String> = self
                        .shared
                        .get(&shared)
                        .into_iter()
                        .flatten()
                        .filter(|other| **other != at)
                        .take(4)
                        .map(|other| self.services[*other].key.to_string())
                        .collect();
                    if !others.is_empty() {
                        self.remark(at, RemarkKind::Changed, &place, "volumes", format!("`{name}` is shared with {}; each service of Landfall has volumes of its own", others.join(", ")));
                    }
                }
                Kind::Anonymous => {
                    // Put over a folder of the sources so that they don't hide what the image has.
                    if matches!(
                        mount.target.rsplit('/').next(),
                        Some("node_modules" | ".venv" | "venv" | "target" | ".next" | "vendor")
                    ) {
                        self.remark(at, RemarkKind::Note, &place, "volumes", "keeps a folder of the image from being hidden by mounted sources, which isn't needed here");
                    } else {
                        let name = mount.target.trim_matches('/').replace('/', "-");
                        self.keep(at, &mut names, &name, &mount.target, &place, table);
                    }
                }
                Kind::Memory => {
                    table
                        .push("tmpfs", mount.target.as_str())
                        .from(&place.file, place.line);
                }
                Kind::Bind(source) => self.bind(
                    at,
                    &mut names,
                    source,
                    &mount.target,
                    mount.read_only,
                    &place,
                    table,
                )?,
                Kind::Other(kind) => self.remark(
                    at,
                    RemarkKind::Lost,
                    &place,
                    "volumes",
                    format!("a mount of the kind `{kind}` has no equal"),
                ),
            }
        }
        Ok(())
    }

    fn keep(
        &mut self,
        at: usize,
        names: &mut Names,
        name: &str,
        target: &str,
        place: &At,
        table: &mut Table,
    ) {
        let given = names.give(name, "data");
        if given.changed && !name.contains('-') {
            self.remark(
                at,
                RemarkKind::Note,
                place,
                "volumes",
                format!("the volume is called `{}` here", given.name),
            );
        }
        table
            .table("volumes")
            .set(&given.name, target)
            .from(&place.file, place.line);
    }

    #[expect(clippy::too_many_arguments, reason = "they are the parts of one mount")]
    fn bind(
        &mut self,
        at: usize,
        names: &mut Names,
        source: &str,
        target: &str,
        read_only: bool,
        place: &At,
        table: &mut Table,
    ) -> load::Result<()> {
        if source.contains("docker.sock") {
            self.remark(at, RemarkKind::Lost, place, "volumes", "would have given it the Docker Engine, and with that the whole machine; Landfall gives it to no service");
            return Ok(());
        }
        if matches!(source, "/etc/localtime" | "/etc/timezone") {
            self.remark(
                at,
                RemarkKind::Note,
                place,
                "volumes",
                "gives it the machine's time zone; a variable TZ in `env` does that too",
            );
            return Ok(());
        }
        let path = paths::clean(source);
        let last = path
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .trim_start_matches('.')
            .to_lowercase();
        if paths::leads_out(source) || paths::leads_out(&path) {
            if read_only {
                self.remark(at, RemarkKind::Lost, place, "volumes", format!("would have shown it {source} of the machine; only files of the repository are put in, by `files`"));
            } else {
                self.keep(
                    at,
                    names,
                    if last.is_empty() { "data" } else { &last },
                    target,
                    place,
                    table,
                );
                self.remark(at, RemarkKind::Changed, place, "volumes", format!("is kept in a volume of Landfall in the place of {source} of the machine; what is there must be copied once"));
            }
            return Ok(());
        }
        // A folder can't be read as a file, and neither can what isn't there.
        let is_file =
            !path.is_empty() && matches!(self.loader.input.source.read(&path), Ok(Some(_)));
        let inside = target.rsplit('/').next().unwrap_or_default();
        let looks_like_file =
            last.contains('.') && !target.ends_with('/') && (read_only || inside.contains('.'));
        if is_file || looks_like_file {
            if !is_file {
                self.remark(
                    at,
                    RemarkKind::Changed,
                    place,
                    "volumes",
                    format!("{path} isn't in the repository; a deployment needs it there"),
                );
            }
            table
                .table("files")
                .set(target, path.as_str())
                .from(&place.file, place.line);
            return Ok(());
        }
        if KEPT.contains(&last.as_str()) || last.ends_with("-data") || last.ends_with("_data") {
            self.keep(at, names, &path.replace('/', "-"), target, place, table);
            self.remark(at, RemarkKind::Changed, place, "volumes", format!("is kept in a volume of Landfall in the place of the folder {path}; what is there must be copied once"));
            return Ok(());
        }
        let item = std::rc::Rc::clone(&self.services[at].item);
        let built = item.get("build").filter(|build| !build.is_null());
        if let Some(build) = built {
            let context = paths::clean(
                build
                    .text()
                    .or(build.get("context").and_then(Item::text))
                    .unwrap_or("."),
            );
            if context.is_empty() || path == context || path.starts_with(&format!("{context}/")) {
                self.remark(at, RemarkKind::Note, place, "volumes", "puts the sources over those in the image while one develops; a deployment has them in the image");
                return Ok(());
            }
        }
        self.remark(at, RemarkKind::Lost, place, "volumes", format!("would have put the folder {source} at {target}; `files` puts in single files: name them there, or copy the folder in a Dockerfile"));
        Ok(())
    }

    /// `secrets` and `configs` of a service.
    pub(super) fn write_secrets_and_configs(&mut self, at: usize, table: &mut Table) {
        let item = std::rc::Rc::clone(&self.services[at].item);
        let model = std::rc::Rc::clone(&self.model);
        for entry in item.get("secrets").map(Item::texts).unwrap_or_default() {
            let Some(source) = entry
                .text()
                .or_else(|| entry.get("source").and_then(Item::text))
            else {
                continue;
            };
            let known = model.get("secrets").and_then(|all| all.get(source));
            let path = match entry.get("target").and_then(Item::text) {
                Some(target) if target.starts_with('/') => target.to_owned(),
                Some(target) => format!("/run/secrets/{target}"),
                None => format!("/run/secrets/{source}"),
            };
            // `X_FILE` that names it says which variable it would be.
            let variable = self.services[at]
                .variables
                .iter()
                .find(|(_, (_, value))| value.as_ref().is_some_and(|value| value.text == path))
                .map(|(name, _)| name.clone());
            let name = match &variable {
                Some(variable) => variable
                    .strip_suffix("_FILE")
                    .map_or_else(|| variable_name(source), str::to_owned),
                None => known
                    .and_then(|known| known.get("environment"))
                    .and_then(Item::text)
                    .map_or_else(|| variable_name(source), str::to_owned),
            };
            match variable
                .as_ref()
                .filter(|variable| variable.ends_with("_FILE"))
            {
                Some(variable) => {
                    let variable = variable.clone();
                    self.services[at].variables.remove(&variable);
                    self.remark(at, RemarkKind::Note, &entry.at, "secrets", format!("comes as the variable {name} in the place of the file that {variable} names"));
                }
                None => self.remark(
                    at,
                    RemarkKind::Changed,
                    &entry.at,
                    "secrets",
                    format!("comes as the variable {name}, not as the file {path}"),
                ),
            }
            self.add_secret(at, &name, table, &entry.at);
            if let Some(file) = known
                .and_then(|known| known.get("file"))
                .and_then(Item::text)
            {
                self.remark(
                    at,
                    RemarkKind::Note,
                    &entry.at,
                    "secrets",
                    format!("its value lies in {file}: landfall secrets set {name} < {file}"),
                );
                self.secrets.note(&name);
            }
        }
        for entry in item.get("configs").map(Item::texts).unwrap_or_default() {
            let Some(source) = entry
                .text()
                .or_else(|| entry.get("source").and_then(Item::text))
            else {
                continue;
            };
            let known = model.get("configs").and_then(|all| all.get(source));
            let target = match entry.get("target").and_then(Item::text) {
                Some(target) if target.starts_with('/') => target.to_owned(),
                Some(target) => format!("/{target}"),
                None => format!("/{source}"),
            };
            match known.and_then(|known| known.get("file")).and_then(Item::text).map(paths::clean) {
                Some(file) if !paths::leads_out(&file) && !file.is_empty() => {
                    table.table("files").set(&target, file.as_str()).from(&entry.at.file, entry.at.line);
                }
                _ => self.remark(at, RemarkKind::Lost, &entry.at, "configs", format!("would have put the config `{source}` at {target}; write it into a file of the repository and name that in `files`")),
            }
        }
    }
}
