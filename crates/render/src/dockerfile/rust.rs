//! Rust: what cargo fetched and compiled is kept from build to build; the image has the programs alone.

use super::{
    Made,
    command::{self, Default},
    health::Asks,
    stage::{self, APP, Last},
    subject::{Subject, join},
    text,
};

/// The version where nothing says one.
const VERSION: &str = "1.91";
/// Builder and runtime have the same C library.
const DEBIAN: &str = "debian:13-slim";
const SUITE: &str = "slim-trixie";
/// Folders that programs read while they run.
pub const READ: [&str; 6] = [
    "migrations",
    "templates",
    "static",
    "assets",
    "public",
    "config",
];

/// Writes the Dockerfile.
pub fn write(subject: &Subject<'_>, made: &mut Made) {
    let programs = programs(subject);
    stage::base(
        made,
        "RUST",
        &format!("rust:{}-{SUITE}", version(subject)),
        "The compiler, by the version that the project says",
    );
    stage::base(
        made,
        "DEBIAN",
        DEBIAN,
        "What it runs upon: the compiler's own Debian",
    );
    super::several::argument(subject, made);
    made.text.gap();
    made.text.line("FROM ${RUST} AS build");
    made.text
        .says("Packages of the system that building needs, such as headers of libraries:");
    made.text.keep("packages");
    made.text.line(format!("WORKDIR {APP}"));
    stage::arguments(subject, made);
    made.text.copy(&[], &[subject.in_context("")], "./");
    let id = format!("{}-{}-target", subject.app.app, subject.name);
    let mounts = [
        "--mount=type=cache,target=/usr/local/cargo/registry,sharing=locked".to_owned(),
        "--mount=type=cache,target=/usr/local/cargo/git,sharing=locked".to_owned(),
        format!("--mount=type=cache,id={id},target={APP}/target,sharing=locked"),
    ];
    let locked = if subject.has("Cargo.lock") {
        " --locked"
    } else {
        made.note(
            subject.setting("build"),
            "there is no Cargo.lock: the next build may get other versions",
        );
        ""
    };
    if subject
        .text("Cargo.lock")
        .is_some_and(|text| text.contains("\"openssl-sys\""))
    {
        made.note(
            subject.setting("build"),
            "a crate links OpenSSL: libssl-dev and pkg-config belong into the place `landfall:keep packages`, libssl3 into `landfall:keep system`; rustls needs neither",
        );
    }
    if !stage::builds(subject, made, &mounts) {
        let (secrets, values) = stage::secrets(subject);
        let mounts: Vec<String> = mounts.into_iter().chain(secrets).collect();
        let taken: Vec<String> = programs
            .iter()
            .map(|name| format!("target/release/{name}"))
            .collect();
        let take = match taken.as_slice() {
            // Whatever is executable there, by the name that only cargo knows.
            [] => "find target/release -maxdepth 1 -type f -executable -exec install -Dt /out {} +"
                .to_owned(),
            taken => format!("install -Dt /out {}", taken.join(" ")),
        };
        made.text.run(
            &mounts,
            &format!("{values}cargo build --release{locked} --bins \\\n    && {take}"),
        );
    }
    let first = command::program(subject).filter(|program| programs.contains(program));
    let program = first.or(programs.first().cloned());
    let last = Last {
        from: "${DEBIAN}",
        user: None,
        environment: &[],
        asks: Asks::Bash,
        command: of_program(subject, &programs, program),
    };
    let output = subject.build.run.is_some().then(|| {
        format!(
            "{APP}/{}/",
            subject
                .build
                .output
                .as_deref()
                .unwrap_or("target/release")
                .trim_matches('/')
        )
    });
    stage::last(subject, made, last, |subject, made| {
        made.text.line("COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt");
        folders(subject, made);
        let from = output.unwrap_or_else(|| "/out/".to_owned());
        made.text
            .copy(&["--from=build"], &[from], "/usr/local/bin/");
    });
}

/// Folders that programs read, where they are there.
pub fn folders(subject: &Subject<'_>, made: &mut Made) {
    for folder in READ {
        if subject.has_folder(folder) {
            made.text
                .copy(&[], &[subject.in_context(folder)], &format!("./{folder}"));
        }
    }
}

/// What is executed where the app file names a path that only a build here has (`target/release/shop`), or
/// has it compiled first.
pub fn of_program(subject: &Subject<'_>, programs: &[String], program: Option<String>) -> Default {
    let default = program.map_or(Default::None, |program| Default::Else(vec![program]));
    let (true, command::Start::One(said)) = (command::is_single(subject), command::start(subject))
    else {
        return default;
    };
    let words = said.words();
    let compiles =
        matches!(words, [tool, run, ..] if (tool == "cargo" || tool == "go") && run == "run");
    if compiles {
        let rest: Vec<String> = match words.iter().position(|word| word == "--") {
            Some(at) => words[at + 1..].to_vec(),
            None => Vec::new(),
        };
        if let Default::Else(program) = default {
            let words = program.into_iter().chain(rest).collect();
            return Default::Always(command::words(&landfall_app::model::Command::Words(words)));
        }
        return default;
    }
    let Some((first, rest)) = words.split_first() else {
        return default;
    };
    let name = first.rsplit('/').next().unwrap_or_default().to_owned();
    if first.contains('/') && !first.starts_with('/') && programs.contains(&name) {
        let words = std::iter::once(name).chain(rest.iter().cloned()).collect();
        let moved = match said {
            landfall_app::model::Command::Words(_) => landfall_app::model::Command::Words(words),
            landfall_app::model::Command::Exact(_) => landfall_app::model::Command::Exact(words),
        };
        return Default::Always(command::words(&moved));
    }
    default
}

fn version(subject: &Subject<'_>) -> String {
    let channel = |text: String| {
        let table: toml::Table = text.parse().ok()?;
        numbers(table.get("toolchain")?.get("channel")?.as_str()?)
    };
    let manifest = || {
        let table: toml::Table = subject.text("Cargo.toml")?.parse().ok()?;
        let package = table
            .get("package")
            .or(table.get("workspace")?.get("package"))?;
        numbers(package.get("rust-version")?.as_str()?)
    };
    subject
        .text("rust-toolchain.toml")
        .and_then(channel)
        .or_else(|| numbers(subject.text("rust-toolchain")?.trim()))
        .or_else(|| subject.existing.version("rust"))
        // What it needs at least; a newer one compiles it as well.
        .or_else(|| manifest().filter(|least| newer(least, VERSION)))
        .unwrap_or_else(|| VERSION.to_owned())
}

fn numbers(text: &str) -> Option<String> {
    let good = text.starts_with("1.") && text.split('.').all(|part| part.parse::<u16>().is_ok());
    good.then(|| text.to_owned())
}

fn newer(one: &str, other: &str) -> bool {
    let parts = |text: &str| -> Vec<u32> {
        text.split('.')
            .filter_map(|part| part.parse().ok())
            .collect()
    };
    parts(one) > parts(other)
}

/// The programs that cargo makes, those of the workspace's members too.
fn programs(subject: &Subject<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let read = |folder: &str| -> Option<toml::Table> {
        subject.text(&join(folder, "Cargo.toml"))?.parse().ok()
    };
    let Some(root) = read("") else {
        return found;
    };
    let mut folders = vec![String::new()];
    let members = root
        .get("workspace")
        .and_then(|workspace| workspace.get("members"))
        .and_then(toml::Value::as_array);
    for member in members
        .into_iter()
        .flatten()
        .filter_map(toml::Value::as_str)
    {
        match member.strip_suffix("/*") {
            Some(above) => folders.extend(
                subject
                    .list(above)
                    .iter()
                    .filter_map(|name| Some(join(above, name.strip_suffix('/')?))),
            ),
            None => folders.push(member.trim_matches('/').to_owned()),
        }
    }
    for folder in folders {
        let Some(manifest) = read(&folder) else {
            continue;
        };
        let package = manifest
            .get("package")
            .and_then(|package| package.get("name"))
            .and_then(toml::Value::as_str);
        let named = manifest
            .get("bin")
            .and_then(toml::Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|bin| bin.get("name")?.as_str());
        let mut names: Vec<String> = named.map(str::to_owned).collect();
        if subject.has(&join(&folder, "src/main.rs")) && names.is_empty() {
            names.extend(package.map(str::to_owned));
        }
        for file in subject.list(&join(&folder, "src/bin")) {
            let name = file.strip_suffix(".rs").or(file.strip_suffix('/'));
            names.extend(name.map(str::to_owned));
        }
        for name in names.iter().filter_map(|name| text::tame(name)) {
            if !found.contains(&name) {
                found.push(name);
            }
        }
    }
    found
}
