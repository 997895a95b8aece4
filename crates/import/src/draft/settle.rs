//! The last step of every import: the text is read as any app file is, and what it doesn't allow goes.

use super::{Draft, Place, Section, Table, Value, print, print::printed};
use crate::{Imported, Refusal, Remark, RemarkKind};

/// Rounds until nothing is wrong any more; each takes out all that the one before showed.
const ROUNDS: usize = 12;

/// Prints a draft, reads it, and takes out every key with an error, with a remark for each: what comes
/// out is always a file that `landfall check` accepts. `file` is named where a key has no place.
///
/// # Errors
/// Where nothing is left to take out and it still isn't right; none is known.
pub fn settle(
    mut draft: Draft,
    mut remarks: Vec<Remark>,
    secrets: Vec<String>,
    file: &str,
) -> Result<Imported, Refusal> {
    let mut last = String::new();
    if draft.top.services().is_empty()
        && draft
            .environments()
            .iter()
            .all(|(_, own)| own.services().is_empty())
    {
        return Err(nothing(&remarks, file));
    }
    for _ in 0..ROUNDS {
        let (text, lines) = printed(&draft, false);
        let (_, diagnostics) = landfall_app::read(text.as_bytes(), "landfall.toml");
        let errors = diagnostics
            .list()
            .iter()
            .filter(|found| found.severity == landfall_app::Severity::Error);
        let mut wrong: Vec<(usize, String)> = Vec::new();
        for error in errors {
            let line = diagnostics.source().line(error.span.start);
            // The last one that begins at or before it: a value may have several lines.
            let index = lines.partition_point(|known| known.first <= line);
            let Some(index) = index.checked_sub(1) else {
                continue;
            };
            let help = error
                .help
                .as_ref()
                .map(|help| format!("; {help}"))
                .unwrap_or_default();
            last = format!("{}: {}{help}", error.message, error.label);
            if !wrong.iter().any(|(known, _)| *known == index) {
                wrong.push((index, last.clone()));
            }
        }
        if !diagnostics.has_errors() {
            return Ok(Imported {
                text: print(&draft),
                remarks,
                secrets,
            });
        }
        for (index, said) in wrong {
            let path = &lines[index].path;
            let place = take_out(&mut draft, path);
            let (file, line) = place.map_or_else(
                || (file.to_owned(), 0),
                |place| (place.file.to_string(), place.line),
            );
            remarks.push(Remark {
                kind: RemarkKind::Lost,
                file,
                line,
                key: path.join("."),
                said: format!("an app file can't say it, so it is left out: {said}"),
            });
        }
    }
    Err(Refusal {
        name: "bad-import",
        file: file.to_owned(),
        line: 0,
        message: format!("what it says makes no app file: {last}"),
        mend: Some("take out the part that the message names, and import the rest".to_owned()),
    })
}

/// No service at all: only what an app uses, or things that have no equal.
fn nothing(remarks: &[Remark], file: &str) -> Refusal {
    let lost = remarks
        .iter()
        .find(|remark| remark.kind == RemarkKind::Lost);
    let why = lost.map_or(String::new(), |lost| {
        format!("; {}: {}", lost.key, lost.said)
    });
    Refusal {
        name: "bad-import",
        file: file.to_owned(),
        line: lost.map_or(0, |lost| lost.line),
        message: format!("nothing in it becomes a service of an app{why}"),
        mend: Some("landfall init looks at the folder itself".to_owned()),
    }
}

/// Takes out what stands at a path, and says where it came from: its own place, else that of the
/// nearest table around it.
fn take_out(draft: &mut Draft, path: &[String]) -> Option<Place> {
    let keys: Vec<&str> = path.iter().map(String::as_str).collect();
    match keys.as_slice() {
        ["environment", name] => draft
            .environments
            .remove(name)
            .and_then(|gone| gone.own.place),
        ["environment", name, rest @ ..] => {
            let (_, section) = draft.environments.entries.get_mut(*name)?;
            of_section(section, rest)
        }
        rest => of_section(&mut draft.top, rest),
    }
}

fn of_section(section: &mut Section, path: &[&str]) -> Option<Place> {
    let tables = match path {
        ["service", ..] => &mut section.services,
        ["backing", ..] => &mut section.backing,
        ["job", ..] => &mut section.jobs,
        ["hook", rest @ ..] if !rest.is_empty() => return of_table(&mut section.hooks, rest, None),
        rest => return of_table(&mut section.own, rest, None),
    };
    match path {
        [_, name] => tables.remove(name).and_then(|gone| gone.place),
        [_, name, rest @ ..] => {
            let (_, table) = tables.entries.get_mut(*name)?;
            of_table(table, rest, None)
        }
        _ => None,
    }
}

fn of_table(table: &mut Table, path: &[&str], around: Option<Place>) -> Option<Place> {
    let around = table.place.clone().or(around);
    match path {
        [key] => table
            .remove(key)
            .and_then(|gone| {
                let inner = match gone.value {
                    Value::Table(inner) => inner.place,
                    _ => None,
                };
                gone.place.or(inner)
            })
            .or(around),
        [key, rest @ ..] => {
            let entry = table.entry(key)?;
            let around = entry.place.clone().or(around);
            match &mut entry.value {
                Value::Table(inner) => of_table(inner, rest, around),
                _ => around,
            }
        }
        [] => around,
    }
}
