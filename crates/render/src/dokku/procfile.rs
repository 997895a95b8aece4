//! The Procfile: what runs, and what runs before it is let in.
//!
//! Dokku puts variables in on its own machine (`$` always begins one there, and there is no way to write a
//! plain one), takes ` #` and ` //` for comments wherever they stand, and splits what is left as xargs does.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use landfall_app::model::{Command, ProcessKind, Run};

use super::{Place, note};
use crate::{Note, shell, supervisord::last};

/// The file; none where the image's own command is all. A Procfile without the process that runs would keep
/// Dokku from starting it.
pub(super) fn write(place: &Place<'_>, notes: &mut Vec<Note>) -> Option<String> {
    let service = place.service;
    let started = match service.processes.as_slice() {
        [] => return None,
        [one] => match &one.kind {
            ProcessKind::Stays(command) => single(place, command, notes),
            ProcessKind::Ends(run) => line(&run.arguments()),
        },
        _ if place.supervised() => {
            "landfall-supervise run --inherit /etc/landfall/supervise.json".to_owned()
        }
        _ => several(place, notes),
    };
    let mut text = String::new();
    if let Some(run) = &service.migrate {
        text.push_str("# Once for each deployment, before the new containers start; when it fails nothing changes.\n");
        text.push_str(&format!("release: {}\n", once(run)));
        entered(place, notes);
    }
    text.push_str(&format!("{}: {started}\n", place.process()));
    Some(text)
}

/// Release tasks and checks by a command are given to an ENTRYPOINT as its arguments.
fn entered(place: &Place<'_>, notes: &mut Vec<Note>) {
    let entry = place.recipe.as_ref().is_some_and(|text| {
        let mut lines = text.lines();
        lines.any(|line| {
            line.trim_start()
                .to_ascii_uppercase()
                .starts_with("ENTRYPOINT")
        })
    });
    if entry {
        note(
            notes,
            place.setting("migrate"),
            "is given to the image's ENTRYPOINT as arguments: start what must come first from CMD instead",
        );
    }
}

fn single(place: &Place<'_>, command: &Command, notes: &mut Vec<Note>) -> String {
    let Command::Words(words) = command else {
        return line(command.words());
    };
    let variables = place.variables();
    for name in command.variables() {
        if name != "PORT" && !variables.plain.contains_key(&name) {
            let said =
                format!("names `${name}`: Dokku puts its value in and splits it at white space");
            note(notes, place.setting("command"), said);
        }
    }
    let words: Vec<String> = words
        .iter()
        .map(|word| {
            let one = Command::Words(vec![word.clone()]);
            // What Dokku puts in stands between two marks.
            let known = |name: &str| match variables.plain.get(name) {
                Some(value) => value.clone(),
                None => format!("\0{name}\0"),
            };
            let marked = one.expand(|name| Some(known(name))).unwrap_or_default();
            marked.into_iter().next().unwrap_or_default()
        })
        .collect();
    let plain: Vec<String> = words.iter().map(|word| word.replace('\0', "")).collect();
    let line = shell::line(&plain);
    if !held(&line) || line.ends_with("''") {
        // Within the container its own shell puts them in.
        let words = words.iter().map(|word| in_shell(word));
        return encoded(&words.collect::<Vec<_>>().join(" "));
    }
    let words = words.iter().map(|word| {
        let pieces = word
            .split('\0')
            .enumerate()
            .map(|(at, piece)| match at % 2 {
                1 => format!("${{{piece}}}"),
                _ if piece.is_empty() && word.contains('\0') => String::new(),
                _ => shell::quoted(piece),
            });
        pieces.collect::<String>()
    });
    let text = words.collect::<Vec<_>>().join(" ");
    text.replace("${PORT}", "$PORT")
}

/// A word with marked variables, as a shell reads it.
fn in_shell(word: &str) -> String {
    let pieces = word
        .split('\0')
        .enumerate()
        .map(|(at, piece)| match at % 2 {
            1 => format!("\"${{{piece}}}\""),
            _ if piece.is_empty() && word.contains('\0') => String::new(),
            _ => shell::quoted(piece),
        });
    pieces.collect()
}

fn several(place: &Place<'_>, notes: &mut Vec<Note>) -> String {
    let beside = &place.beside;
    note(
        notes,
        place.setting("process"),
        format!(
            "its processes share a container under supervisord: landfall render supervisord, and copy {} into the image",
            last(&beside.conf)
        ),
    );
    let ends = place
        .service
        .processes
        .iter()
        .any(|one| matches!(one.kind, ProcessKind::Ends(_)));
    match ends {
        true => line(&[
            format!("./{}", last(&beside.start)),
            last(&beside.conf).to_owned(),
        ]),
        false => line(&["supervisord", "--configuration", last(&beside.conf)]),
    }
}

/// A command that ends. In an image without an ENTRYPOINT a shell reads it, else it is split into words: so it
/// is written to mean the same in both.
pub(super) fn once(run: &Run) -> String {
    if let Run::Shell(text) = run {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:@%+,= ".contains(&byte);
        let first = text.split(' ').next().unwrap_or_default();
        let shells = [
            "", ".", ":", "cd", "eval", "exec", "exit", "export", "for", "if", "read", "set",
            "source", "test", "trap", "ulimit", "umask", "unset", "wait", "while",
        ];
        if text.bytes().all(plain) && !first.contains('=') && !shells.contains(&first) && held(text)
        {
            return text.clone();
        }
    }
    line(&run.arguments())
}

/// Words as a line. What the file can't hold goes through it as letters and digits.
fn line<T: AsRef<str>>(words: &[T]) -> String {
    let text = shell::line(words);
    // An empty word at the end of what it reads is lost by xargs.
    match held(&text) && !text.ends_with("''") {
        true => text,
        false => encoded(&text),
    }
}

/// A shell's line, in letters that mean nothing to anybody on the way.
fn encoded(text: &str) -> String {
    format!(
        "sh -c 'echo {} | base64 -d >/tmp/command && exec sh -eu /tmp/command'",
        STANDARD.encode(format!("exec {text}\n"))
    )
}

/// Whether Dokku reads a line as it stands.
fn held(text: &str) -> bool {
    !text.contains(['$', '\n', '\r', '\0']) && !commented(text)
}

/// Whether a part of it would be a comment.
fn commented(text: &str) -> bool {
    let mut before = ' ';
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let begins = letter == '#' || letter == '/' && letters.peek() == Some(&'/');
        if begins && before.is_whitespace() {
            return true;
        }
        before = letter;
    }
    false
}
