//! From files to one model: read, interpolated, extended, merged, included.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use landfall_yaml::read::{Limits, Node, Value as Read, read};

use super::{
    dotenv,
    interpolate::{Variables, Wrong, interpolate},
    merge::{Clash, merge, settled},
    paths,
    tree::{At, Item, Map, Scalar, Value, item},
};
use crate::{Input, LARGEST, Refusal, Remark, RemarkKind};

/// More files aren't read: includes that include each other are found by this too.
const FILES: usize = 200;
/// Longer chains of `extends` are refused.
const LONGEST_CHAIN: usize = 50;

pub(super) type Result<T> = std::result::Result<T, Box<Refusal>>;

/// What interpolation sees.
pub(super) type Environment = BTreeMap<String, String>;

/// Reads files, and keeps what is to be said of them.
pub(super) struct Loader<'a> {
    pub input: &'a Input<'a>,
    pub remarks: Vec<Remark>,
    /// Documents of files read so far: a file that is extended often is read once.
    files: BTreeMap<String, Rc<Vec<Node>>>,
    read: usize,
    /// Files in whose includes we are.
    including: Vec<String>,
    /// Services that were extended already, by file and name.
    extended: BTreeMap<(String, String), Item>,
}

/// A refusal at a place.
pub(super) fn refusal(at: &At, message: impl Into<String>, mend: Option<&str>) -> Box<Refusal> {
    Box::new(Refusal {
        name: "bad-import",
        file: at.file.to_string(),
        line: at.line,
        message: message.into(),
        mend: mend.map(str::to_owned),
    })
}

fn clash(clash: &Clash) -> Box<Refusal> {
    refusal(&clash.at, format!("{}: {}", clash.key, clash.message), None)
}

impl<'a> Loader<'a> {
    pub fn new(input: &'a Input<'a>) -> Self {
        Self {
            input,
            remarks: Vec::new(),
            files: BTreeMap::new(),
            read: 0,
            including: Vec::new(),
            extended: BTreeMap::new(),
        }
    }

    pub fn remark(&mut self, kind: RemarkKind, at: &At, key: &str, said: impl Into<String>) {
        self.remarks.push(Remark {
            kind,
            file: at.file.to_string(),
            line: at.line,
            key: key.to_owned(),
            said: said.into(),
        });
    }

    /// A file's bytes; none where it isn't there.
    pub fn bytes(&mut self, path: &str, at: &At) -> Result<Option<Vec<u8>>> {
        let bytes = self
            .input
            .source
            .read(path)
            .map_err(|error| refusal(at, format!("{path} can't be read: {error}"), None))?;
        if let Some(bytes) = &bytes
            && bytes.len() > LARGEST
        {
            let message = format!(
                "{path} has {} bytes, and at most {LARGEST} are read",
                bytes.len()
            );
            return Err(refusal(at, message, None));
        }
        Ok(bytes)
    }

    /// The variables of a file, over those known. Where a value may name others, `known` is asked first.
    pub fn variables(
        &mut self,
        path: &str,
        at: &At,
        known: &Environment,
        raw: bool,
    ) -> Result<Option<Vec<dotenv::Variable>>> {
        let Some(bytes) = self.bytes(path, at)? else {
            return Ok(None);
        };
        let place = |line| At {
            file: path.into(),
            line,
        };
        let text = String::from_utf8(bytes).map_err(|_| {
            refusal(
                &place(0),
                "the file is not UTF-8 text",
                Some("save the file as UTF-8"),
            )
        })?;
        if text.contains('\0') {
            return Err(refusal(
                &place(0),
                "the file is not a text file: it holds a NUL character",
                None,
            ));
        }
        let lookup = |name: &str| known.get(name).cloned();
        dotenv::read(&text, &lookup, raw)
            .map(Some)
            .map_err(|problem| {
                refusal(
                    &place(problem.line),
                    problem.message,
                    Some("expected NAME=value, one in a line"),
                )
            })
    }

    /// The project's variables: those told, over those of its `.env`.
    pub fn environment(&mut self, path: &str, at: &At, over: &Environment) -> Result<Environment> {
        let mut all = Environment::new();
        for variable in self.variables(path, at, over, false)?.unwrap_or_default() {
            if let Some(value) = variable.value {
                all.insert(variable.name, value);
            }
        }
        all.extend(
            over.iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        Ok(all)
    }

    /// Several files as one model. `folder`: what their relative paths are relative to, where it isn't
    /// each file's own.
    pub fn model(
        &mut self,
        files: &[String],
        folder: &str,
        environment: &Environment,
        at: &At,
    ) -> Result<Item> {
        let mut model: Option<Item> = None;
        for file in files {
            let nodes = self.documents(file, at)?;
            for node in nodes.iter() {
                let mut document = self.interpolated(node, file, environment)?;
                self.extend_all(&mut document, file, environment)?;
                if let Some(map) = document.map_mut() {
                    paths::rebase(map, folder);
                }
                model = Some(match model {
                    None => settled(document).unwrap_or_else(|| Item::map_at(at.clone())),
                    Some(model) => {
                        let at = model.at.clone();
                        merge(model, document, &mut Vec::new())
                            .map_err(|found| clash(&found))?
                            .unwrap_or_else(|| Item::map_at(at))
                    }
                });
            }
        }
        let mut model = model.unwrap_or_else(|| Item::map_at(at.clone()));
        self.include(&mut model, folder, environment)?;
        Ok(model)
    }

    fn documents(&mut self, file: &str, at: &At) -> Result<Rc<Vec<Node>>> {
        if let Some(nodes) = self.files.get(file) {
            return Ok(Rc::clone(nodes));
        }
        self.read += 1;
        if self.read > FILES {
            return Err(refusal(at, format!("more than {FILES} files"), None));
        }
        let Some(bytes) = self.bytes(file, at)? else {
            let missing = refusal(
                at,
                format!("there is no file {file}"),
                Some("name it relative to the folder of the app file"),
            );
            return Err(Box::new(Refusal {
                name: "no-such-file",
                ..*missing
            }));
        };
        let limits = Limits {
            bytes: LARGEST,
            ..Limits::default()
        };
        let name: Rc<str> = file.into();
        let nodes = read(&bytes, &limits).map_err(|problems| {
            let first = &problems.0[0];
            let mut message = first.message.clone();
            for other in problems.0.iter().skip(1).take(4) {
                message.push_str(&format!("\n  line {}: {}", other.span.line, other.message));
            }
            if problems.0.len() > 5 {
                message.push_str(&format!("\n  and {} more", problems.0.len() - 5));
            }
            refusal(
                &At {
                    file: Rc::clone(&name),
                    line: first.span.line,
                },
                message,
                first.mend.as_deref(),
            )
        })?;
        for node in &nodes {
            if !matches!(node.value, Read::Map(_)) {
                let at = At {
                    file: name,
                    line: node.span.line,
                };
                let message = format!("a compose file is a mapping, and this is {}", node.kind());
                return Err(refusal(
                    &at,
                    message,
                    Some("expected `services:` and below it each service by its name"),
                ));
            }
        }
        let nodes = Rc::new(nodes);
        self.files.insert(file.to_owned(), Rc::clone(&nodes));
        Ok(nodes)
    }

    fn interpolated(&mut self, node: &Node, file: &str, environment: &Environment) -> Result<Item> {
        let file: Rc<str> = file.into();
        let unset: RefCell<Vec<(At, String, String)>> = RefCell::new(Vec::new());
        let demanded = RefCell::new(Vec::new());
        let value = |name: &str| environment.get(name).cloned();
        let mut text = |text: &str, at: &At, path: &str| -> Result<Scalar> {
            let mut variables = Variables {
                value: &value,
                unset: Vec::new(),
                demanded: is_variable_of_service(path).then(Vec::new),
            };
            let scalar = interpolate(text, &mut variables).map_err(|wrong| match wrong {
                Wrong::Form(form) => refusal(
                    at,
                    format!("{path}: `{form}` is no variable"),
                    Some("expected ${NAME}, ${NAME:-default}, ${NAME:?message}, ${NAME:+other}; a dollar itself is `$$`"),
                ),
                Wrong::Missing(name, said) => {
                    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
                    refusal(
                        at,
                        format!("{path}: the variable `{name}` has no value, and the file demands one{said}"),
                        Some("put it into .env beside the compose file, or give it in the environment of the command"),
                    )
                }
            })?;
            for name in variables.demanded.unwrap_or_default() {
                demanded
                    .borrow_mut()
                    .push((at.clone(), path.to_owned(), name));
            }
            for name in variables.unset {
                unset.borrow_mut().push((at.clone(), path.to_owned(), name));
            }
            Ok(scalar)
        };
        let read = item(node, &file, &mut String::new(), &mut text)?;
        for (at, path, name) in demanded.into_inner() {
            let said = format!(
                "`{name}` is demanded and has no value here, so it is a secret, which a deployment demands too"
            );
            self.remark(RemarkKind::Note, &at, &path, said);
        }
        let mut told = std::collections::HashSet::new();
        for (at, path, name) in unset.into_inner() {
            let known = !told.insert((at.line, path.clone()));
            if !known {
                self.remark(
                    RemarkKind::Note,
                    &at,
                    &path,
                    format!("`${name}` has no value and no default, so it is empty, as Compose has it; give it one in .env or here"),
                );
            }
        }
        Ok(read)
    }

    /// `extends` of every service of a document.
    fn extend_all(
        &mut self,
        document: &mut Item,
        file: &str,
        environment: &Environment,
    ) -> Result<()> {
        let Some(services) = document.get("services").and_then(Item::map) else {
            return Ok(());
        };
        let wanting: Vec<Rc<str>> = services
            .iter()
            .filter(|(_, _, service)| {
                service
                    .get("extends")
                    .is_some_and(|extends| !extends.is_null())
            })
            .map(|(name, _, _)| name.into())
            .collect();
        if wanting.is_empty() {
            return Ok(());
        }
        let all = services.clone();
        let mut done = Vec::new();
        for name in wanting {
            let mut chain = Vec::new();
            done.push((
                name.clone(),
                self.extended(&name, &all, file, environment, &mut chain)?,
            ));
        }
        if let Some(services) = document
            .map_mut()
            .and_then(|map| map.get_mut("services"))
            .and_then(Item::map_mut)
        {
            for (name, item) in done {
                let at = services
                    .at(&name)
                    .cloned()
                    .unwrap_or_else(|| item.at.clone());
                services.set(&name, at, item);
            }
        }
        Ok(())
    }

    /// A service with what it extends below it.
    fn extended(
        &mut self,
        name: &str,
        services: &Map,
        file: &str,
        environment: &Environment,
        chain: &mut Vec<(String, String)>,
    ) -> Result<Item> {
        let Some(service) = services.get(name) else {
            return Err(refusal(
                &At {
                    file: file.into(),
                    line: 0,
                },
                format!("there is no service `{name}` to extend"),
                None,
            ));
        };
        let Some(extends) = service.get("extends").filter(|extends| !extends.is_null()) else {
            return Ok(service.clone());
        };
        let step = (file.to_owned(), name.to_owned());
        if let Some(known) = self.extended.get(&step) {
            return Ok(known.clone());
        }
        let at = extends.at.clone();
        if chain.contains(&step) || chain.len() >= LONGEST_CHAIN {
            let names: Vec<&str> = chain
                .iter()
                .map(|(_, name)| name.as_str())
                .chain([name])
                .collect();
            return Err(refusal(
                &at,
                format!(
                    "services extend each other in a circle: {}",
                    names.join(" → ")
                ),
                None,
            ));
        }
        chain.push(step.clone());
        let (base, other) = match &extends.value {
            Value::Scalar(scalar) => (scalar.text.clone(), None),
            _ => {
                let base = extends.get("service").and_then(Item::text).ok_or_else(|| {
                    refusal(&at, format!("services.{name}.extends: expected `service`, the name of the one that it extends"), None)
                })?;
                (
                    base.to_owned(),
                    extends.get("file").and_then(Item::text).map(str::to_owned),
                )
            }
        };
        let missing = |file: &str| {
            refusal(
                &at,
                format!("services.{name}.extends: there is no service `{base}` in {file}"),
                None,
            )
        };
        let mut below = match other {
            None => {
                if services.get(&base).is_none() {
                    return Err(missing(file));
                }
                self.extended(&base, services, file, environment, chain)?
            }
            Some(other) => {
                let folder = paths::folder(file);
                let path = paths::join(&folder, &other);
                if path.contains("://") {
                    return Err(refusal(
                        &at,
                        format!("services.{name}.extends: {path} isn't on this machine"),
                        Some("put the file into the repository"),
                    ));
                }
                let nodes = self.documents(&path, &at)?;
                let Some(node) = nodes.first() else {
                    return Err(missing(&path));
                };
                let document = self.interpolated(node, &path, environment)?;
                let Some(others) = document.get("services").and_then(Item::map) else {
                    return Err(missing(&path));
                };
                if others.get(&base).is_none() {
                    return Err(missing(&path));
                }
                let others = others.clone();
                let mut below = self.extended(&base, &others, &path, environment, chain)?;
                // What is relative in it is relative to its own folder.
                let own = paths::folder(&path);
                if own != folder
                    && let Some(map) = below.map_mut()
                {
                    paths::rebase_service(map, &paths::relative(&own, &folder));
                }
                below
            }
        };
        chain.pop();
        let mut over = service.clone();
        if let Some(map) = over.map_mut() {
            map.remove("extends");
        }
        if let Some(map) = below.map_mut() {
            map.remove("extends");
        }
        let mut path = vec!["services".to_owned(), name.to_owned()];
        let merged = merge(below, over, &mut path)
            .map_err(|found| clash(&found))?
            .unwrap_or_else(|| Item::map_at(at.clone()));
        self.extended.insert(step, merged.clone());
        Ok(merged)
    }

    /// Puts in what `include` names.
    fn include(&mut self, model: &mut Item, folder: &str, environment: &Environment) -> Result<()> {
        let Some(include) = model.map_mut().and_then(|map| map.remove("include")) else {
            return Ok(());
        };
        for entry in include.texts() {
            let at = entry.at.clone();
            let (files, own, variables) = match entry.map() {
                None => (vec![entry], None, None),
                Some(map) => (
                    map.get("path").map(Item::texts).unwrap_or_default(),
                    map.get("project_directory").and_then(Item::text),
                    map.get("env_file"),
                ),
            };
            let files: Vec<String> = files
                .iter()
                .filter_map(|file| file.text())
                .map(|file| paths::join(folder, file))
                .collect();
            let Some(first) = files.first() else {
                return Err(refusal(
                    &at,
                    "include: expected `path`, the file to put in",
                    None,
                ));
            };
            if let Some(far) = files
                .iter()
                .find(|file| file.contains("://") || file.starts_with("git@"))
            {
                let mend = "put the file into the repository";
                return Err(refusal(
                    &at,
                    format!("include: {far} isn't on this machine"),
                    Some(mend),
                ));
            }
            if self.including.contains(first) {
                return Err(refusal(
                    &at,
                    format!(
                        "files include each other in a circle: {} → {first}",
                        self.including.join(" → ")
                    ),
                    None,
                ));
            }
            let inside = own.map_or_else(|| paths::folder(first), |own| paths::join(folder, own));
            let mut known = environment.clone();
            let named = variables.map(Item::texts).unwrap_or_default();
            let named: Vec<String> = match variables {
                None => vec![paths::join(&inside, ".env")],
                Some(_) => named
                    .iter()
                    .filter_map(|item| item.text())
                    .filter(|path| *path != "/dev/null")
                    .map(|path| paths::join(folder, path))
                    .collect(),
            };
            for path in named.iter().rev() {
                known = self.environment(path, &at, &known)?;
            }
            self.including.push(first.clone());
            let included = self.model(&files, &inside, &known, &at)?;
            self.including.pop();
            self.put_in(model, included)?;
        }
        Ok(())
    }

    fn put_in(&mut self, model: &mut Item, included: Item) -> Result<()> {
        let Value::Map(included) = included.value else {
            return Ok(());
        };
        let Some(model) = model.map_mut() else {
            return Ok(());
        };
        for (section, at, item) in included {
            if !matches!(
                &*section,
                "services" | "volumes" | "networks" | "secrets" | "configs" | "models"
            ) {
                continue;
            }
            if model.get(&section).is_none_or(Item::is_null) {
                model.set(&section, at.clone(), Item::map_at(at));
            }
            let (Value::Map(others), Some(own)) =
                (item.value, model.get_mut(&section).and_then(Item::map_mut))
            else {
                continue;
            };
            for (name, at, theirs) in others {
                match own.get(&name).cloned() {
                    None => own.set(&name, at, theirs),
                    Some(ours) => {
                        let mut path = vec![section.to_string(), name.to_string()];
                        if let Some(merged) =
                            merge(theirs, ours, &mut path).map_err(|found| clash(&found))?
                        {
                            own.set(&name, at, merged);
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether a path is that of a service's variable.
fn is_variable_of_service(path: &str) -> bool {
    path.strip_prefix("services.")
        .is_some_and(|rest| rest.ends_with(".environment") || rest.contains(".environment."))
}
