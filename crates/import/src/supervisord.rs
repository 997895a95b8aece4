//! supervisord.conf: its programs as the processes of one service.

mod ini;
mod process;
mod program;
#[cfg(test)]
mod tests;
mod value;

use std::collections::BTreeSet;

use crate::{
    Imported, Input, Refusal, Remark, RemarkKind,
    draft::{self, Draft, Names},
    procfile,
};
use ini::Section;

/// What is found out on the way.
#[derive(Debug, Default)]
struct Found {
    remarks: Vec<Remark>,
    secrets: BTreeSet<String>,
}

impl Found {
    fn say(
        &mut self,
        kind: RemarkKind,
        section: &Section,
        line: usize,
        key: &str,
        said: impl Into<String>,
    ) {
        let key = match key {
            "" => format!("[{}]", section.name),
            key => format!("[{}] {key}", section.name),
        };
        self.remarks.push(Remark {
            kind,
            file: section.file.clone(),
            line,
            key,
            said: said.into(),
        });
    }
}

/// Reads supervisord.conf, and the files of `[include]` that it names without a pattern; those of a
/// pattern are to be named beside it.
///
/// # Errors
/// Where a file isn't there, supervisord wouldn't read it, or no program is in it.
pub fn import(input: &Input<'_>) -> Result<Imported, Refusal> {
    let (file, text) = input.named_text()?;
    let mut sections = Vec::new();
    ini::read(&text, &file, &mut sections)?;
    for more in input.files.iter().skip(1) {
        let text = input.text(more)?.ok_or_else(|| Refusal {
            name: "no-such-file",
            file: more.clone(),
            line: 0,
            message: "there is no such file".to_owned(),
            mend: None,
        })?;
        ini::read(&text, more, &mut sections)?;
    }
    let mut found = Found::default();
    include(input, &file, &mut sections, &mut found)?;
    if !sections
        .iter()
        .any(|section| section.name.starts_with("program:"))
    {
        return Err(Refusal {
            name: "bad-import",
            file,
            line: 0,
            message: "holds no [program:NAME], so nothing would run".to_owned(),
            mend: found.remarks.first().map(|_| {
                "name the files of [include] too: landfall import supervisord FILE…".to_owned()
            }),
        });
    }
    let mut names = Names::new();
    let app = names.give(input.name, "app").name;
    let mut draft = Draft::new(&app);
    draft.comments.push(format!(
        "From {file}. `landfall check` reads it, `landfall config` shows it with every default."
    ));
    let service = draft.service(&app);
    service.from(&file, 1);
    procfile::build(input, service, true)?;
    let dockerfile = input.text("Dockerfile")?.unwrap_or_default();
    program::programs(
        &sections,
        &app,
        service,
        &Dockerfile::of(&dockerfile),
        &mut found,
    );
    others(&sections, &mut found);
    found
        .remarks
        .sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    let secrets = found.secrets.into_iter().collect();
    draft::settle(draft, found.remarks, secrets, &file)
}

/// What of a Dockerfile matters here.
#[derive(Debug, Default)]
struct Dockerfile {
    /// Its last folder.
    folder: Option<String>,
    /// The first port that it exposes.
    port: Option<u16>,
}

impl Dockerfile {
    fn of(text: &str) -> Self {
        let mut found = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match (
                words.next().map(str::to_ascii_uppercase).as_deref(),
                words.next(),
            ) {
                (Some("WORKDIR"), Some(folder)) => {
                    found.folder = Some(folder.trim_end_matches('/').to_owned());
                }
                (Some("EXPOSE"), Some(port)) => {
                    let port = port.split('/').next().and_then(|port| port.parse().ok());
                    found.port = found.port.or(port);
                }
                _ => {}
            }
        }
        found
    }
}

/// Reads the files of `[include]`, as far as they are named without a pattern.
fn include(
    input: &Input<'_>,
    file: &str,
    sections: &mut Vec<Section>,
    found: &mut Found,
) -> Result<(), Refusal> {
    let Some(section) = sections
        .iter()
        .find(|section| section.name == "include")
        .cloned()
    else {
        return Ok(());
    };
    let Some(files) = section.get("files") else {
        return Ok(());
    };
    let folder = section
        .file
        .rsplit_once('/')
        .map_or("", |(folder, _)| folder);
    for pattern in files.value.split_whitespace() {
        let path = pattern.replace("%(here)s/", "");
        let path = match folder {
            _ if path.starts_with('/') => path,
            "" => path,
            folder => format!("{folder}/{path}"),
        };
        let named = input
            .files
            .iter()
            .skip(1)
            .any(|other| matches(&path, other));
        if path.contains(['*', '?', '[', '%']) {
            if !named {
                let said = format!(
                    "the programs in {pattern} are not read, since only you know which files it means: name them, landfall import supervisord {file} FILE…"
                );
                found.say(RemarkKind::Lost, &section, files.line, "files", said);
            }
            continue;
        }
        if named {
            continue;
        }
        match input.text(&path) {
            Ok(Some(text)) => ini::read(&text, &path, sections)?,
            Ok(None) => {
                let said = format!("{pattern} is not there, so its programs are not read");
                found.say(RemarkKind::Lost, &section, files.line, "files", said);
            }
            Err(refusal) => {
                let said = format!("{pattern} is not read: {}", refusal.message);
                found.say(RemarkKind::Lost, &section, files.line, "files", said);
            }
        }
    }
    Ok(())
}

/// Whether a file may be one of a pattern's: what stands before the first sign of a pattern is its
/// beginning, what stands behind the last one its end.
fn matches(pattern: &str, file: &str) -> bool {
    let signs = ['*', '?', '[', ']', '%'];
    let start = pattern.find(signs).unwrap_or(pattern.len());
    let end = pattern.rfind(signs).map_or(pattern.len(), |at| at + 1);
    let pattern_start = pattern[..start].trim_start_matches('/');
    match start == pattern.len() {
        true => file == pattern,
        false => {
            file.starts_with(pattern_start) && file.ends_with(&pattern[end..])
                || file
                    .rsplit('/')
                    .next()
                    .is_some_and(|name| name.ends_with(&pattern[end..]))
        }
    }
}

/// What is said of the sections that are no programs.
fn others(sections: &[Section], found: &mut Found) {
    for section in sections {
        let (kind, _) = section.name.split_once(':').unwrap_or((&section.name, ""));
        match kind {
            "program" | "supervisord" | "include" => {}
            "unix_http_server" | "supervisorctl" | "rpcinterface" => {
                found.say(
                    RemarkKind::Note,
                    section,
                    section.line,
                    "",
                    "is for controlling supervisord; landfall status, restart and logs do that",
                );
            }
            "inet_http_server" => {
                found.say(RemarkKind::Lost, section, section.line, "", "would serve supervisord's page to control it; landfall has none, its host listens on a socket of this machine");
                if let Some(password) = section
                    .get("password")
                    .filter(|password| !password.value.contains('%'))
                {
                    found.say(RemarkKind::PlainSecret, section, password.line, "password", "stands here in plain text; it is not taken over, and nothing needs it any more");
                }
            }
            "group" => {
                found.say(RemarkKind::Note, section, section.line, "", "would start and stop these programs together; here all processes of a service are");
            }
            "eventlistener" => {
                let events = section
                    .get("events")
                    .map_or("", |events| events.value.as_str());
                let ends = events.contains("PROCESS_STATE_FATAL")
                    || events.contains("PROCESS_STATE_EXITED");
                let said = match ends {
                    true => {
                        "would be told when a program has ended; where it was there to end the container, restart = { give-up = \"exit\" } of the service does that"
                    }
                    false => "would be told of supervisord's events, which nobody has here",
                };
                found.say(RemarkKind::Lost, section, section.line, "", said);
            }
            "fcgi-program" => {
                found.say(RemarkKind::Lost, section, section.line, "", "would run with an open FastCGI socket; a process here opens its own: start it by its own command, which binds the address");
            }
            _ => found.say(
                RemarkKind::Note,
                section,
                section.line,
                "",
                "is no section of supervisord, and does nothing there either",
            ),
        }
    }
}
