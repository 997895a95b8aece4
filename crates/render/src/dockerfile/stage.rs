//! What the last stage of every image has: its user, its environment, what is put in, how it is asked
//! and what it executes.

use super::{
    Made,
    command::{self, Default},
    health::{self, Asks},
    subject::Subject,
    text,
};

/// The folder of the app in an image.
pub const APP: &str = "/app";

/// Writes the line that names a base, and the place where a user pins it.
pub fn base(made: &mut Made, name: &str, image: &str, what: &str) {
    made.text.says(&format!(
        "{what}. A line below pins it by its digest: ARG {name}={image}@sha256:…"
    ));
    made.text.line(format!("ARG {name}={image}"));
    made.text.keep(&name.to_lowercase());
}

/// Writes the build's own arguments; they are in the environment of what builds. Of those that hold more
/// than plain text only the name is written.
pub fn arguments(subject: &Subject<'_>, made: &mut Made) {
    let build = subject.build;
    for (name, value) in build.args.iter().chain(&build.env) {
        // A line end would be one of the Dockerfile's.
        match command::literal(value).filter(|value| !value.contains(char::is_control)) {
            Some(value) => made
                .text
                .line(format!("ARG {name}={}", text::value(&value))),
            None => {
                made.note(
                    subject.setting(&format!("build.args.{name}")),
                    "its value is known only where it is built: docker build --build-arg gives it",
                );
                made.text.line(format!("ARG {name}"));
            }
        }
    }
}

/// The mounts of the build's secrets, and the assignments that stand before a command with them.
pub fn secrets(subject: &Subject<'_>) -> (Vec<String>, String) {
    let mounts = subject
        .build
        .secrets
        .iter()
        .map(|name| format!("--mount=type=secret,id={name}"))
        .collect();
    let values: Vec<String> = subject
        .build
        .secrets
        .iter()
        .map(|name| format!("{name}=\"$(cat /run/secrets/{name})\" "))
        .collect();
    (mounts, values.concat())
}

/// Writes the step that builds by a command of the user's.
pub fn builds(subject: &Subject<'_>, made: &mut Made, mounts: &[String]) -> bool {
    let Some(run) = &subject.build.run else {
        return false;
    };
    let (secret, values) = secrets(subject);
    let all: Vec<String> = mounts.iter().cloned().chain(secret).collect();
    let words: Vec<String> = run
        .arguments()
        .iter()
        .map(|word| text::shell(word))
        .collect();
    // A line end in a command would be one of the Dockerfile's.
    let line = match words.iter().any(|word| word.contains('\n')) {
        true => text::json(&run.arguments()),
        false => format!("{values}{}", words.join(" ")),
    };
    made.text.run(&all, &line);
    true
}

/// What is different from one kind of image to the next.
pub struct Last<'a> {
    /// What the stage is made from.
    pub from: &'a str,
    /// The step that makes the user, with `{uid}` in it; none where it is there or needs no name.
    pub user: Option<&'a str>,
    /// Variables of the language's.
    pub environment: &'a [(&'a str, &'a str)],
    /// Who asks how it is.
    pub asks: Asks,
    /// What the language has to say about what it executes.
    pub command: Default,
}

/// Writes the last stage; `put` writes what is copied into it, what changes least first.
pub fn last(
    subject: &Subject<'_>,
    made: &mut Made,
    last: Last<'_>,
    put: impl FnOnce(&Subject<'_>, &mut Made),
) {
    let uid = subject.user();
    made.text.gap();
    super::several::stage(subject, made);
    made.text.gap();
    made.text.line(format!("FROM {}", last.from));
    if let (Some(user), 1..) = (last.user, uid) {
        made.text
            .line(format!("RUN {}", user.replace("{uid}", &uid.to_string())));
    }
    made.text
        .says("Packages of the system that it needs, and other steps as root:");
    made.text.keep("system");
    let volumes: Vec<String> = subject
        .service
        .volumes
        .values()
        .map(|volume| text::shell(&volume.path))
        .collect();
    if !volumes.is_empty() {
        made.text.line(format!(
            "RUN install -d -o {uid} -g {uid} {}",
            volumes.join(" ")
        ));
    }
    made.text.line(format!("WORKDIR {APP}"));
    let mut environment: Vec<(String, String)> = last
        .environment
        .iter()
        .copied()
        .chain(command::listens_to_all(subject))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let named = command::named_values(subject).into_iter();
    environment.extend(named.filter(|(_, value)| !value.contains(char::is_control)));
    if let Some(port) = subject.port() {
        environment.retain(|(name, _)| name != "PORT");
        environment.push(("PORT".to_owned(), port.to_string()));
    }
    for (index, (name, value)) in environment.iter().enumerate() {
        let (lead, end) = (
            if index == 0 { "ENV " } else { "    " },
            if index + 1 == environment.len() {
                ""
            } else {
                " \\"
            },
        );
        // Of ours, some name others.
        let own = last.environment.iter().any(|(own, _)| own == name);
        let value = if own {
            value.clone()
        } else {
            text::value(value)
        };
        made.text.line(format!("{lead}{name}={value}{end}"));
    }
    put(subject, made);
    files(subject, made);
    super::several::copy(subject, made);
    made.text.says("What else belongs into the image:");
    made.text.keep("image");
    match uid {
        0 => made.note(subject.setting("user"), "the image's processes are root's"),
        uid => made.text.line(format!("USER {uid}:{uid}")),
    }
    if let Some(port) = subject.port() {
        made.text.line(format!("EXPOSE {port}"));
    }
    let signal = &subject.service.stop.signal;
    if signal != "SIGTERM" && super::several::address(subject).is_none() {
        made.text.line(format!("STOPSIGNAL {signal}"));
    }
    health::write(subject, made, last.asks);
    if let Some(migrate) = &subject.service.migrate {
        let words = match migrate {
            landfall_app::model::Run::Shell(line) if !line.contains('\n') => line.clone(),
            run => text::json(&run.arguments()),
        };
        made.text.says(&format!(
            "Migrations are in it, too, and are run once for each release: {words}"
        ));
    }
    command::write(subject, made, last.command);
}

/// Files of the app file that are put in.
fn files(subject: &Subject<'_>, made: &mut Made) {
    for (place, path) in &subject.service.files {
        let path = path.trim_start_matches("./");
        let inside = match subject.context.as_str() {
            "" => Some(path),
            context => path
                .strip_prefix(context)
                .and_then(|rest| rest.strip_prefix('/')),
        };
        match inside {
            Some(path) => made.text.copy(&[], &[path.to_owned()], place),
            None => made.note(
                subject.setting("files"),
                format!("{path} is not in the build context, and must be mounted at {place}"),
            ),
        }
    }
}
