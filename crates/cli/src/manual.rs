//! Parts of the user's book that are made from what the program is made of: `docs/commands.md`,
//! `docs/errors.md`, `docs/exit-codes.md`. `LANDFALL_BLESS=1` writes them anew.

use std::{fmt::Write as _, fs, path::Path};

use clap::{Command, CommandFactory as _};

use crate::{arguments::Arguments, environment, exit, explain};

fn same(name: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(name);
    if std::env::var_os("LANDFALL_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, made).unwrap();
    }
    let stands = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stands == made,
        "docs/{name} is not what the program says; LANDFALL_BLESS=1 cargo test -p landfall-cli writes it"
    );
}

#[test]
fn errors() {
    let mut text = String::from(
        "# Errors\n\nEvery error has a name, in brackets: `error[wrong-port]`. `landfall explain NAME` shows these pages.\n",
    );
    for page in explain::all() {
        let _ = write!(
            text,
            "\n## {}\n\n*{}*\n\n{}\n",
            page.name,
            upper(&page.title),
            page.text.trim()
        );
    }
    same("errors.md", &text);
}

fn upper(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map(|first| first.to_uppercase().chain(characters).collect())
        .unwrap_or_default()
}

#[test]
fn exit_codes() {
    let mut text = String::from("# Exit codes\n\n| code | means |\n|---|---|\n");
    for (exit, means) in exit::TABLE {
        let _ = writeln!(text, "| {} | {means} |", exit as u8);
    }
    text.push_str("\nErrors that end with another code than 1:\n\n| error | code |\n|---|---|\n");
    for (name, exit) in exit::BY_NAME {
        let _ = writeln!(text, "| [{name}](errors.md#{name}) | {} |", *exit as u8);
    }
    text.push_str("\nA deployment that fails ends with 1 where it was undone, with 7 where the undo failed too. Mistakes in the app file end with 2 whatever their name.\n");
    same("exit-codes.md", &text);
}

#[test]
fn commands() {
    let mut text = String::from(
        "# Commands\n\nThe help of every command, as `landfall COMMAND --help` prints it.\n\n\
         With `--json` each line of the output is an object `{\"version\": 1, \"kind\": …, \"data\": …}`; an error is one of kind `error`. \
         What a version means doesn't change: keys may be added.\n",
    );
    let mut command = Arguments::command().term_width(100);
    command.build();
    chapter(&mut text, &mut command, 2);
    text.push_str("\n## Environment variables\n\n| variable | does |\n|---|---|\n");
    for (name, does) in environment::VARIABLES {
        let _ = writeln!(text, "| `{name}` | {does} |");
    }
    same("commands.md", &text);
}

fn chapter(text: &mut String, command: &mut Command, depth: usize) {
    let name = command.get_bin_name().unwrap_or("landfall").to_owned();
    let help = command.render_long_help().to_string();
    // What every command takes is said once.
    let help = if depth > 2 {
        help.split("\nEverywhere:").next().unwrap_or_default()
    } else {
        &help
    };
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    let _ = write!(
        text,
        "\n{} {name}\n\n```\n{}\n```\n",
        "#".repeat(depth),
        help.join("\n").trim()
    );
    for inner in command
        .get_subcommands_mut()
        .filter(|inner| !inner.is_hide_set() && inner.get_name() != "help")
    {
        chapter(text, inner, (depth + 1).min(4));
    }
}

#[test]
fn the_definitions_hold_together() {
    Arguments::command().debug_assert();
}
