//! The reference page of the app file, written from the grammar.

use std::fmt::Write;

use crate::{
    grammar::{Kind, Later, SIGNALS, Scalar, Shape, Table, article},
    suggest::tables,
};

/// The reference page, as Markdown: every table with its keys.
pub fn reference() -> String {
    let mut page = String::from(INTRODUCTION);
    for table in tables() {
        section(&mut page, table);
    }
    page
}

const INTRODUCTION: &str = "\
# The app file

One `landfall.toml` at the root of a repository describes the application once; every environment reads the same file. This page is written from the grammar that reads it; `landfall config --schema` prints the same as a JSON Schema for editors, `landfall config` a file with every default and where each value comes from.

## Rules

- **`run` happens once and ends**: a string goes verbatim to `sh -eu -c`. **`command` stays**: a string is split into words, `$NAME` and `${NAME}` are expanded from the process's own environment (`$$` is a dollar), and it is executed without a shell; `&&`, `|`, `>` in it are errors. A list is exact in both.
- **`${…}` is Landfall's**, resolved and checked when the file is read: `${secret.X}`, `${service.X.url}`, `${process.X.url}`, `${backing.X.url}` (and `.host`, `.port`; of a backing service `.user`, `.password`, `.name`). A secret that a service's values name stands in its `secrets`.
- **Environment variables**, weakest first: `[env]`, the service's, the process's, then the same three of the environment, and where it `extends` another one, that one's between them. `PORT`, names that begin with `LANDFALL_`, and the variables of `uses` are set by Landfall and by nobody else. `[env]` never reaches an `image`.
- **An environment sets any value again.** Tables are merged key by key, everything else is replaced; of keys that exclude each other (`image` and `build`, the steps of a `strategy`) the environment's takes the place of the others. A new service, process or backing service can be added there too. `extends` takes over everything of another environment but `target`, `domains`, `branch`, `publish`, the destinations of backups, and secrets.
- **The process that listens on `$PORT`** is the one whose `command` names `$PORT`; else the one whose `env` does; else the one with an HTTP or TCP `health` of its own; else the first that stays. It gets the service's `health`.
- **Ready**, where nothing says how to see it: a service with a `port` once it accepts connections; one without once it has been up for 5s; a further process beside a probed one once it has been up for 1s.
- **The runtime** is the service's own of the environment, else the environment's, else the service's own at the top, else `container` where a Dockerfile or an image is named, else `process`. As plain processes a service ignores its Dockerfile and is built by what stands in its folder.
- Nothing is open to the outside but what `domains`, `routes`, `publish` or `public` says.
- Paths are relative to the service's `root`, that to the file.
- Times `\"30s\"`, `\"2m\"`, `\"7d\"`; sizes `\"512MiB\"` (or `\"512Mi\"`, `\"512M\"`, all the same); processor time in cores, `0.5` or `\"500m\"`; shares `\"70%\"`.
- Names are made of lower-case letters, digits and hyphens, begin with a letter, and have at most 63 characters.

What is marked *not built yet* is read and checked; `landfall check` warns, and where a deployment would be another one without it, `landfall deploy` refuses.
";

fn section(page: &mut String, table: &Table) {
    let heading = match table.name {
        "app-file" => "The top of the file",
        name => name,
    };
    // Writing to a string can't fail.
    let _ = write!(page, "\n## {heading}\n\n{}\n\n", table.doc);
    page.push_str("| key | type | default | meaning |\n|---|---|---|---|\n");
    for key in table.keys {
        let default = match key.default {
            "" if key.required => "required".to_owned(),
            "" => String::new(),
            default => format!("`{}`", escaped(default)),
        };
        let later = match key.later {
            Some(Later { matters: true }) => " *Not built yet.*",
            Some(Later { matters: false }) => " *Not built yet; has no effect.*",
            None => "",
        };
        let example = escaped(key.example);
        let _ = writeln!(
            page,
            "| `{}` | {} | {default} | {}{later} For example `{} = {example}` |",
            key.name,
            kind(&key.shape),
            escaped(key.doc),
            key.name,
        );
    }
    for group in table.exclusive {
        let names: Vec<_> = group.iter().map(|name| format!("`{name}`")).collect();
        let _ = write!(page, "\nOnly one of {} can be set.\n", names.join(", "));
    }
}

fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}

/// The type of a value in words.
fn kind(shape: &Shape) -> String {
    match shape {
        Shape::Scalar(scalar) => scalar_kind(scalar),
        Shape::List(inner) => format!("list of {}", kind(inner)),
        Shape::Table(table) => format!("[{}](#{})", table.name, table.name),
        Shape::Map(naming, inner) => format!("table of {}: {}", naming.plural(), kind(inner)),
        Shape::Either(shapes) => shapes.iter().map(kind).collect::<Vec<_>>().join(" or "),
    }
}

fn scalar_kind(scalar: &Scalar) -> String {
    let kind = match scalar.kind {
        Kind::Text => "text",
        Kind::Filled => "word",
        Kind::Destination => "SSH destination",
        Kind::Template => "text with `${…}`",
        Kind::Boolean => "boolean",
        Kind::True => "`true`",
        Kind::Count { .. } => "whole number",
        Kind::Port => "port",
        Kind::Status => "status",
        Kind::RedirectStatus => "`301`, `302`, `307`, `308`",
        Kind::Time => "time",
        Kind::Size => "size",
        Kind::Cpu => "cores",
        Kind::Share => "share",
        Kind::Name(what) => {
            return format!("name of {} {what}", article(what));
        }
        Kind::Word(words) => {
            return words
                .iter()
                .map(|word| format!("`\"{word}\"`"))
                .collect::<Vec<_>>()
                .join(", ");
        }
        Kind::Path => "path",
        Kind::AbsolutePath => "absolute path",
        Kind::HttpPath => "path of a page",
        Kind::Host => "host name",
        Kind::Origin => "origin",
        Kind::Cron => "cron line",
        Kind::Zone => "time zone",
        Kind::Words => "command",
        Kind::Shell => "shell command",
        Kind::Variable => "variable",
        Kind::Secret => "name of a secret",
        Kind::Signal => {
            return SIGNALS
                .iter()
                .map(|word| format!("`\"{word}\"`"))
                .collect::<Vec<_>>()
                .join(", ");
        }
        Kind::Version => "version",
        Kind::Factor => "factor",
        Kind::Rate => "rate",
        Kind::Target => "`\"local\"`, `\"ssh://user@host\"`",
        Kind::Space => "owner and name",
    };
    kind.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `LANDFALL_BLESS=1` writes the page anew.
    #[test]
    fn the_page_is_the_one_in_docs() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/app-file.md");
        if std::env::var_os("LANDFALL_BLESS").is_some() {
            std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs")).unwrap();
            std::fs::write(path, reference()).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap();
        assert!(
            page == reference(),
            "docs/app-file.md is not what the grammar says: run with LANDFALL_BLESS=1"
        );
    }
}
