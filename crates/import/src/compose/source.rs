//! What a service is made of, and what it executes.

use super::{
    context::Context,
    images,
    load::{self, Loader},
    merge::pairs,
    paths,
    tree::{At, Item, Map, Value},
    units,
};
use crate::{
    RemarkKind,
    draft::{self, Table},
};

/// Whether two services are of the same build or image.
pub(super) fn same(one: &Item, other: &Item) -> bool {
    let build = |item: &Item| {
        let build = item.get("build").filter(|build| !build.is_null())?;
        let text = |key: &str| build.get(key).and_then(Item::text).map(str::to_owned);
        let context = build
            .text()
            .map(str::to_owned)
            .or(text("context"))
            .unwrap_or_default();
        let dockerfile = text("dockerfile").unwrap_or_else(|| "Dockerfile".to_owned());
        Some((paths::clean(&context), dockerfile, text("target")))
    };
    let image = |item: &Item| item.get("image").and_then(Item::text).map(str::to_owned);
    match (build(one), build(other)) {
        (Some(one), Some(other)) => one == other,
        (None, None) => image(one).is_some() && image(one) == image(other),
        // An image that the other one builds.
        _ => image(one).is_some() && image(one) == image(other),
    }
}

/// A Dockerfile's last stage, as far as it matters here.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Dockerfile {
    /// Whether it is there.
    pub found: bool,
    pub entrypoint: bool,
    /// The user it runs as, where it says one.
    pub user: Option<String>,
}

/// Looks at a Dockerfile. What its base image says stays unknown.
pub(super) fn dockerfile(
    loader: &mut Loader<'_>,
    path: &str,
    stage: Option<&str>,
    at: &At,
) -> load::Result<Dockerfile> {
    let Some(bytes) = loader.bytes(path, at)? else {
        return Ok(Dockerfile::default());
    };
    let text = String::from_utf8_lossy(&bytes)
        .replace("\\\r\n", " ")
        .replace("\\\n", " ");
    let mut found = Dockerfile {
        found: true,
        ..Dockerfile::default()
    };
    let mut wanted = false;
    let mut done = false;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else { continue };
        match first.to_ascii_uppercase().as_str() {
            "FROM" if done => break,
            "FROM" => {
                if wanted {
                    break;
                }
                let name = words
                    .clone()
                    .skip_while(|word| !word.eq_ignore_ascii_case("as"))
                    .nth(1);
                let base = words.next().unwrap_or_default().to_ascii_lowercase();
                wanted = stage.is_some() && stage == name;
                let kept = found.clone();
                // What a language's own base brings is known to be nothing.
                found = Dockerfile {
                    found: true,
                    entrypoint: kept.entrypoint && !base.contains([':', '/']),
                    user: None,
                };
                done = false;
            }
            "ENTRYPOINT" => found.entrypoint = line.trim().len() > 10 && !line.contains("[]"),
            "USER" => found.user = words.next().map(str::to_owned),
            _ => {}
        }
    }
    Ok(found)
}

impl Context<'_> {
    /// `build` and `image`. Says what the Dockerfile tells, where there is one.
    pub(super) fn write_source(
        &mut self,
        at: usize,
        table: &mut Table,
    ) -> load::Result<Dockerfile> {
        let item = std::rc::Rc::clone(&self.services[at].item);
        let image = item.get("image").filter(|image| !image.is_null());
        let build = item.get("build").filter(|build| !build.is_null());
        let Some(build) = build else {
            if let Some(image) = image {
                self.write_image(at, image, table);
            } else {
                let place = self.services[at].at.clone();
                return Err(self.wrong(
                    at,
                    &place,
                    "image",
                    "has neither `image` nor `build`, so there is nothing to run",
                ));
            }
            return Ok(Dockerfile::default());
        };
        let place = build.at.clone();
        let text = |key: &str| build.get(key).and_then(Item::text);
        let context = build.text().or(text("context")).unwrap_or(".");
        if context.contains("://") || context.starts_with("git@") || context.ends_with(".git") {
            let said = format!("is built from {context}, which isn't in this repository");
            match image {
                Some(image) => {
                    self.remark(
                        at,
                        RemarkKind::Changed,
                        &place,
                        "build.context",
                        format!("{said}; the published image is taken in its place"),
                    );
                    self.write_image(at, image, table);
                    return Ok(Dockerfile::default());
                }
                None => {
                    self.remark(
                        at,
                        RemarkKind::Lost,
                        &place,
                        "build.context",
                        format!("{said}, so the service is left out; name an image of it"),
                    );
                    return Ok(Dockerfile::default());
                }
            }
        }
        let folder = paths::clean(context);
        if paths::leads_out(&folder) {
            self.remark(at, RemarkKind::Lost, &place, "build.context", format!("{context} lies outside of the app file's folder; put landfall.toml into a folder that holds it"));
            return Ok(Dockerfile::default());
        }
        let file = text("dockerfile").unwrap_or("Dockerfile");
        let whole = paths::join(&folder, file);
        if build.get("dockerfile_inline").is_some() {
            let place = build
                .map()
                .and_then(|map| map.at("dockerfile_inline"))
                .unwrap_or(&place)
                .clone();
            self.remark(
                at,
                RemarkKind::Changed,
                &place,
                "build.dockerfile_inline",
                format!("is a Dockerfile in the compose file; write it to {whole}"),
            );
        }
        let inside = match folder.as_str() {
            "" => Some(whole.as_str()),
            folder => whole.strip_prefix(&format!("{folder}/")),
        };
        let (root, dockerfile_path, context) = match inside {
            Some(inside) => (folder.clone(), inside.to_owned(), None),
            // Its Dockerfile lies elsewhere: both from the top.
            None => (String::new(), whole.clone(), Some(folder.clone())),
        };
        if !root.is_empty() {
            table
                .set("root", root.as_str())
                .from(&place.file, place.line);
        }
        let mut long = Table::new();
        if let Some(context) = &context {
            long.set("context", context.as_str());
        }
        if let Some(stage) = text("target") {
            long.set("stage", stage);
        }
        self.build_args(at, build, &mut long);
        let secrets = build.get("secrets").map(Item::texts).unwrap_or_default();
        for secret in secrets {
            let name = secret
                .text()
                .or_else(|| secret.get("source").and_then(Item::text))
                .unwrap_or_default();
            let name = super::secret::variable_name(name);
            long.push("secrets", name.as_str())
                .from(&secret.at.file, secret.at.line);
        }
        let named = is_dockerfile(&dockerfile_path);
        if long.is_empty() && named {
            table
                .set("build", dockerfile_path.as_str())
                .from(&place.file, place.line);
        } else {
            long.set("dockerfile", dockerfile_path.as_str());
            table.set("build", long).from(&place.file, place.line);
        }
        if let Some(image) = image {
            self.write_push(at, image, table);
        }
        dockerfile(&mut self.loader, &whole, text("target"), &place)
    }

    /// An image of somebody else's, or one that another service builds.
    fn write_image(&mut self, at: usize, image: &Item, table: &mut Table) {
        let Some(text) = image.text() else { return };
        let other = self.builders.get(text).copied();
        if let Some(other) = other {
            let mut build = Table::new();
            build.set("same-as", self.services[other].name.as_str());
            table
                .set("build", build)
                .from(&image.at.file, image.at.line);
            return;
        }
        table.set("image", text).from(&image.at.file, image.at.line);
        let (_, tag) = images::parts(text);
        if matches!(tag, None | Some("latest")) && !text.contains('@') {
            self.remark(at, RemarkKind::Note, &image.at, "image", "names no version; a release pins the digest that it finds, and `landfall deploy --pull` looks for a newer one");
        }
    }

    /// The name of an image that is built: where it is published, where it names a registry.
    fn write_push(&mut self, at: usize, image: &Item, table: &mut Table) {
        let Some(text) = image.text() else { return };
        let (name, tag) = images::parts(text);
        let host = name.split('/').next().unwrap_or_default();
        if name.contains('/') && (host.contains(['.', ':']) || host == "localhost") {
            table.set("push", name).from(&image.at.file, image.at.line);
            if let Some(tag) = tag.filter(|tag| *tag != "latest") {
                let said =
                    format!("is published as `latest` and `<branch>-<commit>`, not as `{tag}`");
                self.remark(at, RemarkKind::Changed, &image.at, "image", said);
            }
        } else {
            self.remark(at, RemarkKind::Note, &image.at, "image", "names what is built; images are named by Landfall, and `push` says where one is published");
        }
    }

    fn build_args(&mut self, at: usize, build: &Item, long: &mut Table) {
        let Some(args) = build.get("args") else {
            return;
        };
        let args = pairs(args.clone());
        for (name, place, item) in args.map().into_iter().flat_map(Map::iter) {
            let path = format!("build.args.{name}");
            match &item.value {
                Value::Scalar(scalar)
                    if scalar.pieces.is_some() || super::secret::looks_secret(&scalar.text) =>
                {
                    self.remark(at, RemarkKind::PlainSecret, place, &path, format!("a secret as a build argument stays in the image's history; mend: build.secrets = [\"{name}\"], and `RUN --mount=type=secret,id={name}` in the Dockerfile"));
                    long.push("secrets", super::secret::variable_name(name).as_str());
                    self.secrets.note(name);
                }
                Value::Scalar(scalar) if scalar.text.contains("${") => {
                    self.remark(
                        at,
                        RemarkKind::Lost,
                        place,
                        &path,
                        "holds `${`, which is Landfall's own in values",
                    );
                }
                Value::Scalar(scalar) => {
                    long.table("args")
                        .set(name, scalar.text.as_str())
                        .from(&place.file, place.line);
                }
                _ => self.remark(
                    at,
                    RemarkKind::Lost,
                    place,
                    &path,
                    "takes its value from outside, where it has none now",
                ),
            }
        }
    }

    /// `command` and `entrypoint`.
    pub(super) fn write_command(
        &mut self,
        at: usize,
        found: &Dockerfile,
        table: &mut Table,
    ) -> load::Result<()> {
        let item = std::rc::Rc::clone(&self.services[at].item);
        let words = |key: &str| -> load::Result<Option<(At, Vec<String>)>> {
            let Some(item) = item.get(key).filter(|item| !item.is_null()) else {
                return Ok(None);
            };
            self.command_words(at, item, key)
                .map(|words| Some((item.at.clone(), words)))
        };
        let (command, entrypoint) = (words("command")?, words("entrypoint")?);
        let built = item.get("build").is_some_and(|build| !build.is_null());
        let mut all = Vec::new();
        let mut place = None;
        if let Some((entry, words)) = entrypoint {
            if built && found.found && !found.entrypoint {
                all.extend(words);
                place = Some(entry);
            } else if words.is_empty() {
                self.remark(at, RemarkKind::Changed, &entry, "entrypoint", "would have taken the image's ENTRYPOINT away; a `command` here stands behind it");
            } else {
                let said = "would have taken the place of the image's ENTRYPOINT; a `command` here takes the place of its CMD, and the ENTRYPOINT stays in front: put it into the Dockerfile";
                self.remark(at, RemarkKind::Lost, &entry, "entrypoint", said);
            }
        }
        if let Some((entry, words)) = command {
            all.extend(words);
            place = place.or(Some(entry));
        }
        if let (Some(place), false) = (place, all.is_empty()) {
            let told: Vec<&str> = all
                .iter()
                .map(String::as_str)
                .filter(|word| super::secret::looks_secret(word))
                .collect();
            if !told.is_empty() {
                self.remark(at, RemarkKind::PlainSecret, &place, "command", "holds a secret among its arguments, which everybody on the machine may read; the command isn't taken over: let the program read it from a variable, and name that in `secrets`");
                return Ok(());
            }
            table
                .set("command", draft::words(&all))
                .from(&place.file, place.line);
        }
        Ok(())
    }

    /// The words of a command, as Compose splits it.
    pub(super) fn command_words(
        &self,
        at: usize,
        item: &Item,
        key: &str,
    ) -> load::Result<Vec<String>> {
        match &item.value {
            Value::Scalar(scalar) => units::words(&scalar.text)
                .ok_or_else(|| self.wrong(at, &item.at, key, "a quote is opened and not closed")),
            Value::List(items) => Ok(items
                .iter()
                .filter_map(|item| item.text().map(str::to_owned))
                .collect()),
            Value::Null => Ok(Vec::new()),
            Value::Map(_) => {
                Err(self.wrong(at, &item.at, key, "expected a text or a list of texts"))
            }
        }
    }
}

/// Whether `build = "…"` is taken for a Dockerfile.
fn is_dockerfile(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_lowercase();
    ["dockerfile", "containerfile"].iter().any(|word| {
        name == *word
            || name.starts_with(&format!("{word}."))
            || name.starts_with(&format!("{word}-"))
            || name.ends_with(&format!(".{word}"))
    })
}
