//! Paths of files in other folders, brought to the app file's.

use super::tree::{Item, Map, Value};

/// The folder of a file; empty for the one of the app file.
pub(super) fn folder(file: &str) -> String {
    match file.rsplit_once('/') {
        Some((folder, _)) => clean(folder),
        None => String::new(),
    }
}

/// A path relative to a folder; absolute ones, those of home and addresses stay.
pub(super) fn join(folder: &str, path: &str) -> String {
    if path.starts_with(['/', '~', '\\']) || path.contains("://") || path.starts_with("git@") {
        return path.to_owned();
    }
    match folder {
        "" => clean(path),
        folder => clean(&format!("{folder}/{path}")),
    }
}

/// Without `.` and without `..` where something stands before it. The folder itself is empty.
pub(super) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    match path.starts_with('/') {
        true => format!("/{}", parts.join("/")),
        false => parts.join("/"),
    }
}

/// A folder as it is seen from another one.
pub(super) fn relative(folder: &str, from: &str) -> String {
    let up = from.split('/').filter(|part| !part.is_empty()).count();
    clean_up(&format!("{}{folder}", "../".repeat(up)))
}

fn clean_up(path: &str) -> String {
    match clean(path) {
        path if path.is_empty() => ".".to_owned(),
        path => path,
    }
}

/// Whether a path leads out of the folder that it is relative to.
pub(super) fn leads_out(path: &str) -> bool {
    path.starts_with(['/', '~', '\\']) || path == ".." || path.starts_with("../")
}

/// Brings the paths in a model to the app file's folder, as far as they are relative ones.
pub(super) fn rebase(model: &mut Map, folder: &str) {
    if folder.is_empty() {
        return;
    }
    if let Some(services) = model.get_mut("services").and_then(Item::map_mut) {
        for name in services.keys() {
            if let Some(service) = services.get_mut(&name).and_then(Item::map_mut) {
                rebase_service(service, folder);
            }
        }
    }
    for section in ["secrets", "configs"] {
        if let Some(all) = model.get_mut(section).and_then(Item::map_mut) {
            for name in all.keys() {
                if let Some(one) = all.get_mut(&name).and_then(Item::map_mut) {
                    text(one.get_mut("file"), folder);
                }
            }
        }
    }
}

/// The same of one service.
pub(super) fn rebase_service(service: &mut Map, folder: &str) {
    if folder.is_empty() {
        return;
    }
    match service.get_mut("build") {
        Some(build) if build.map().is_some() => {
            let build = build.map_mut().expect("it was looked at just now");
            if build.get("context").is_none() {
                let at = build.iter().next().map(|(_, at, _)| at.clone());
                if let Some(at) = at {
                    build.set("context", at.clone(), Item::text_at(at, folder));
                }
            } else {
                text(build.get_mut("context"), folder);
            }
        }
        other => text(other, folder),
    }
    for key in ["env_file", "label_file"] {
        match service.get_mut(key).map(|item| &mut item.value) {
            Some(Value::List(items)) => {
                for item in items {
                    match item.map_mut() {
                        Some(map) => text(map.get_mut("path"), folder),
                        None => text(Some(item), folder),
                    }
                }
            }
            Some(Value::Map(map)) => text(map.get_mut("path"), folder),
            _ => text(service.get_mut(key), folder),
        }
    }
    if let Some(extends) = service.get_mut("extends").and_then(Item::map_mut) {
        text(extends.get_mut("file"), folder);
    }
    if let Some(Value::List(items)) = service.get_mut("volumes").map(|item| &mut item.value) {
        for item in items {
            if let Some(map) = item.map_mut() {
                if map.get("type").and_then(Item::text) == Some("bind") {
                    text(map.get_mut("source"), folder);
                }
            } else if let Value::Scalar(scalar) = &mut item.value
                && scalar.text.starts_with('.')
            {
                let (path, rest) = match scalar.text.split_once(':') {
                    Some((path, rest)) => (path, format!(":{rest}")),
                    None => continue,
                };
                scalar.text = format!("./{}{rest}", join(folder, path));
                scalar.pieces = None;
            }
        }
    }
}

fn text(item: Option<&mut Item>, folder: &str) {
    if let Some(Value::Scalar(scalar)) = item.map(|item| &mut item.value) {
        let path = join(folder, &scalar.text);
        scalar.text = if path.is_empty() {
            ".".to_owned()
        } else {
            path
        };
        scalar.pieces = None;
    }
}
