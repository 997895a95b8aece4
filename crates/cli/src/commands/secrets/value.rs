//! The value of a secret: a file's, standard input's, or what somebody types. Never an argument's,
//! which every user of the machine could read.

use std::{
    io::{IsTerminal, Read, Write},
    path::Path,
};

use landfall_secrets::Secret;

use crate::{
    arguments::SecretsSet,
    context::Context,
    report::{Error, Result},
};

/// The value: a file's, standard input's, or what somebody types.
pub fn read(context: &Context, arguments: &SecretsSet) -> Result<Secret> {
    let not_text = |_| Error::from(landfall_secrets::Error::NotText(arguments.name.clone()));
    if let Some(path) = &arguments.from_file {
        let bytes = std::fs::read(path).map_err(|error| Error::file(path, "can't read", &error))?;
        // A file is taken as it stands: the last line end of a certificate belongs to it.
        return String::from_utf8(bytes).map(Secret::new).map_err(not_text);
    }
    if std::io::stdin().is_terminal() && context.output.interactive() {
        return typed(&arguments.name);
    }
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().read_to_end(&mut bytes);
    read.map_err(|error| Error::file(Path::new("standard input"), "can't read", &error))?;
    let mut text = String::from_utf8(bytes).map_err(not_text)?;
    // `echo value |` adds one.
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(Secret::new(text))
}

/// Asks without showing what is typed.
fn typed(name: &str) -> Result<Secret> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let failed =
        |error: std::io::Error| Error::file(Path::new("the terminal"), "can't use", &error);
    let stdin = std::io::stdin();
    let before = tcgetattr(&stdin).map_err(|error| failed(error.into()))?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    eprint!("Value of {name} (not shown): ");
    let _ = std::io::stderr().flush();
    tcsetattr(&stdin, OptionalActions::Flush, &silent).map_err(|error| failed(error.into()))?;
    let mut text = String::new();
    let read = stdin.read_line(&mut text);
    let restored = tcsetattr(&stdin, OptionalActions::Flush, &before);
    eprintln!();
    read.map_err(failed)?;
    restored.map_err(|error| failed(error.into()))?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}
