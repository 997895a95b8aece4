//! Volumes in all their forms.

use super::tree::{Item, Value};

/// What is put into a service's file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub kind: Kind,
    /// Where the service finds it.
    pub target: String,
    pub read_only: bool,
}

/// What a mount is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A kept folder with a name.
    Named(String),
    /// A kept folder without one.
    Anonymous,
    /// A path of the repository or the machine.
    Bind(String),
    /// In memory.
    Memory,
    /// Another kind, by its name.
    Other(String),
}

/// Where an item is mounted, which makes it another one.
pub(super) fn target(item: &Item) -> Option<String> {
    mount(item).ok().map(|mount| mount.target)
}

/// A volume in its short form, or in its long one.
pub(super) fn mount(item: &Item) -> Result<Mount, String> {
    match &item.value {
        Value::Scalar(scalar) => short(&scalar.text),
        _ => long(item),
    }
}

fn short(text: &str) -> Result<Mount, String> {
    let wrong = || format!("`{text}` is no volume; expected for example \"data:/var/lib/data\"");
    // A Windows drive's colon divides nothing.
    let drive = |text: &str| {
        let bytes = text.as_bytes();
        bytes.len() > 2
            && bytes[0].is_ascii_alphabetic()
            && bytes[1] == b':'
            && matches!(bytes[2], b'\\' | b'/')
    };
    let mut parts: Vec<&str> = Vec::new();
    let mut rest = text;
    loop {
        let from = if drive(rest) { 2 } else { 0 };
        match rest[from..].find(':') {
            Some(at) => {
                parts.push(&rest[..from + at]);
                rest = &rest[from + at + 1..];
            }
            None => {
                parts.push(rest);
                break;
            }
        }
    }
    if parts.iter().any(|part| part.is_empty()) {
        return Err(wrong());
    }
    let (source, target, options) = match parts.as_slice() {
        [target] => ("", *target, ""),
        [source, target] => (*source, *target, ""),
        [source, target, options] => (*source, *target, *options),
        _ => return Err(wrong()),
    };
    let bind = source.starts_with(['.', '/', '~']) || source.starts_with("\\\\") || drive(source);
    let kind = match source {
        "" => Kind::Anonymous,
        source if bind => Kind::Bind(source.to_owned()),
        source => Kind::Named(source.to_owned()),
    };
    Ok(Mount {
        kind,
        target: target.to_owned(),
        read_only: options.split(',').any(|option| option == "ro"),
    })
}

fn long(item: &Item) -> Result<Mount, String> {
    let text = |key: &str| item.get(key).and_then(Item::text);
    let target = text("target")
        .ok_or("a volume without `target`")?
        .to_owned();
    let source = text("source").or_else(|| text("src")).unwrap_or_default();
    let kind = match (text("type").unwrap_or("volume"), source) {
        ("volume", "") => Kind::Anonymous,
        ("volume", source) => Kind::Named(source.to_owned()),
        ("bind", source) => Kind::Bind(source.to_owned()),
        ("tmpfs", _) => Kind::Memory,
        (other, _) => Kind::Other(other.to_owned()),
    };
    Ok(Mount {
        kind,
        target,
        read_only: item.get("read_only").and_then(Item::flag).unwrap_or(false),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_short_form_is_read() {
        let mount = |kind, target: &str, read_only| Mount {
            kind,
            target: target.to_owned(),
            read_only,
        };
        let bind = |path: &str| Kind::Bind(path.to_owned());
        for (text, expected) in [
            ("/data", mount(Kind::Anonymous, "/data", false)),
            (
                "data:/data:ro",
                mount(Kind::Named("data".to_owned()), "/data", true),
            ),
            ("./a:/a:ro,z", mount(bind("./a"), "/a", true)),
            ("/etc/a:/a", mount(bind("/etc/a"), "/a", false)),
            ("~/a:/a", mount(bind("~/a"), "/a", false)),
            ("C:\\a:/a:rw", mount(bind("C:\\a"), "/a", false)),
        ] {
            assert_eq!(short(text), Ok(expected), "{text}");
        }
        for text in ["", "a:", ":/a", "ab:/b:c:d"] {
            assert!(short(text).is_err(), "{text}");
        }
    }
}
