//! `landfall secrets export`: the values in the clear, for who hands them to another tool. They go into a
//! file that only its owner can read, or into a pipe; never past somebody's eyes without being asked for.

use std::{
    fs::OpenOptions,
    io::{IsTerminal as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use landfall_app::{App, Name};
use landfall_secrets::{FILE_NAME, Needed, Resolved, SecretsFile, dotenv};
use serde_json::{Map, Value, json};

use crate::{
    app_file,
    arguments::{ExportFormat, SecretsExport},
    commands::secrets::Desk,
    context::Context,
    prepare,
    report::{Error, Result},
    view::plain,
};

pub fn export(context: &Context, arguments: &SecretsExport) -> Result {
    let desk = Desk::open(context)?;
    let app = desk.app_file.resolve(context, &desk.environment)?.app;
    if arguments.out.is_none() && !arguments.show && std::io::stdout().is_terminal() {
        return Err(Error::new(
            "secrets-on-a-terminal",
            "standard output is a terminal, and the values would stand there for everybody to see",
        )
        .mend("--out FILE writes them into a file, --show prints them all the same"));
    }
    let needed = match &arguments.service {
        Some(service) => of_service(&app, service)?,
        None => all(&desk, &app)?,
    };
    let resolved = prepare::secrets::resolve_named(context, &desk.app_file, &app, &needed)?;
    for note in &resolved.notes {
        context.output.remark(note);
    }
    let text = match arguments.format {
        ExportFormat::Dotenv => lines(&app, &resolved),
        ExportFormat::Json => object(&resolved),
    };
    let names: Vec<&str> = resolved.values.keys().map(String::as_str).collect();
    let Some(path) = &arguments.out else {
        match context.output.json() {
            true => context.output.data(
                "secrets-export",
                &json!({ "environment": desk.environment, "values": values(&resolved) }),
            ),
            false => context.output.print(&text),
        }
        return Ok(());
    };
    write(path, &text)?;
    if context.output.json() {
        context.output.data(
            "secrets-export",
            &json!({ "environment": desk.environment, "names": names, "out": path }),
        );
    }
    context.output.say(format!(
        "Wrote {} of {} in the clear to {}, which only you can read: {}",
        plain::counted(names.len(), "value"),
        desk.environment,
        app_file::shown(path),
        match names.is_empty() {
            true => "none".to_owned(),
            false => names.join(", "),
        }
    ));
    if tracked(path) {
        context.output.remark(&format!(
            "{} isn't ignored by git: don't commit it, and remove it once it is handed over.",
            app_file::shown(path)
        ));
    }
    Ok(())
}

/// What a service gets in its environment.
fn of_service(app: &App, service: &str) -> Result<Vec<Needed>> {
    let found = service
        .parse::<Name>()
        .ok()
        .and_then(|name| app.services.get(&name));
    let Some(found) = found else {
        let names: Vec<&str> = app.services.keys().map(Name::as_str).collect();
        return Err(Error::new(
            "unknown-service",
            format!("{} has no service `{service}`", app.app),
        )
        .mend(format!("there are: {}", names.join(", "))));
    };
    let of = found.secrets.iter().map(|(name, used)| Needed {
        name: name.clone(),
        optional: used.optional,
    });
    Ok(of.collect())
}

/// What the app needs, and what else is kept for this environment.
fn all(desk: &Desk, app: &App) -> Result<Vec<Needed>> {
    let mut needed = prepare::secrets::needed(app);
    let file = SecretsFile::load(&desk.app_file.folder.join(FILE_NAME))?;
    for name in file.names(desk.environment.as_str()) {
        if !needed.iter().any(|need| need.name == name) {
            needed.push(Needed {
                name: name.to_owned(),
                optional: true,
            });
        }
    }
    Ok(needed)
}

fn lines(app: &App, resolved: &Resolved) -> String {
    let mut text = format!(
        "# Secrets of {} in {}, in the clear: written by `landfall secrets export`, never to be committed.\n",
        app.app, app.environment
    );
    for (name, value) in &resolved.values {
        text.push_str(&dotenv::line(name, value));
    }
    text
}

fn values(resolved: &Resolved) -> Value {
    let values = resolved
        .values
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value.expose())));
    Value::Object(values.collect::<Map<_, _>>())
}

fn object(resolved: &Resolved) -> String {
    format!("{:#}\n", values(resolved))
}

/// A new file that nobody else could read at any time: one that is there may be open to others, or a link.
fn write(path: &Path, text: &str) -> Result {
    let opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(Error::new(
                "file-exists",
                format!("{} is there already", app_file::shown(path)),
            )
            .mend("remove it, or name another file"));
        }
        Err(error) => return Err(Error::file(path, "can't write", &error)),
    };
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|error| Error::file(path, "can't write", &error))
}

/// Whether git would take the file along.
fn tracked(path: &Path) -> bool {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let Some(name) = path.file_name() else {
        return false;
    };
    let asked = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(["check-ignore", "--quiet", "--"])
        .arg(name)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    // 1 is "not ignored"; outside of a repository it is 128.
    asked.is_ok_and(|status| status.code() == Some(1))
}
