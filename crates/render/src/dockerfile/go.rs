//! Go: one static program, or several, upon Alpine: it has what TLS needs, and a wget that asks how it is.

use super::{
    Made, command,
    health::Asks,
    rust,
    stage::{self, APP, Last},
    subject::Subject,
    text,
};

/// The version where nothing says one.
const VERSION: &str = "1.25";
const ALPINE: &str = "alpine:3.22";

/// Writes the Dockerfile.
pub fn write(subject: &Subject<'_>, made: &mut Made) {
    let module = subject.text("go.mod").unwrap_or_default();
    let programs = programs(subject, &module);
    stage::base(
        made,
        "GO",
        &format!("golang:{}-alpine", version(subject, &module)),
        "The compiler, by the version that go.mod says",
    );
    stage::base(made, "ALPINE", ALPINE, "What it runs upon");
    super::several::argument(subject, made);
    made.text.gap();
    made.text.line("FROM ${GO} AS build");
    made.text.says(
        "Packages of the system that building needs; with a compiler of C, also CGO_ENABLED=1:",
    );
    made.text.keep("packages");
    made.text.line("ENV CGO_ENABLED=0");
    made.text.line(format!("WORKDIR {APP}"));
    let modules = "--mount=type=cache,target=/go/pkg/mod".to_owned();
    let (secrets, values) = stage::secrets(subject);
    let with = |mounts: Vec<String>| -> Vec<String> {
        mounts.into_iter().chain(secrets.clone()).collect()
    };
    let mut files = vec![subject.in_context("go.mod")];
    if subject.has("go.sum") {
        files.push(subject.in_context("go.sum"));
    }
    let vendored = subject.has_folder("vendor");
    if !vendored {
        made.text.copy(&[], &files, "./");
        made.text.run(
            &with(vec![modules.clone()]),
            &format!("{values}go mod download"),
        );
    }
    stage::arguments(subject, made);
    made.text.copy(&[], &[subject.in_context("")], "./");
    let mounts = vec![
        modules,
        "--mount=type=cache,target=/root/.cache/go-build".to_owned(),
    ];
    if !stage::builds(subject, made, &mounts) {
        made.text.run(
            &with(mounts),
            &format!("{values}mkdir /out && go build -trimpath -ldflags='-s -w' -o /out/ ./..."),
        );
    }
    let program = command::program(subject)
        .filter(|program| programs.contains(program))
        .or_else(|| programs.first().cloned());
    let last = Last {
        from: "${ALPINE}",
        user: None,
        environment: &[],
        asks: Asks::Wget,
        command: rust::of_program(subject, &programs, program),
    };
    let output = subject.build.run.is_some().then(|| {
        format!(
            "{APP}/{}/",
            subject
                .build
                .output
                .as_deref()
                .unwrap_or("bin")
                .trim_matches('/')
        )
    });
    stage::last(subject, made, last, |subject, made| {
        rust::folders(subject, made);
        let from = output.unwrap_or_else(|| "/out/".to_owned());
        made.text
            .copy(&["--from=build"], &[from], "/usr/local/bin/");
    });
}

/// `1.26` of `go 1.26.1`: the minor version, whose patches are compatible; where a toolchain is named, just that.
fn version(subject: &Subject<'_>, module: &str) -> String {
    let after = |word: &str| {
        module
            .lines()
            .filter_map(|line| line.trim().strip_prefix(word))
            .find_map(|rest| text::tame(rest.split("//").next()?))
            .filter(|version| version.split('.').all(|part| part.parse::<u16>().is_ok()))
    };
    let minor =
        |version: String| -> String { version.split('.').take(2).collect::<Vec<_>>().join(".") };
    after("toolchain go")
        .or_else(|| subject.existing.version("golang"))
        .or_else(|| after("go ").map(minor))
        .unwrap_or_else(|| VERSION.to_owned())
}

/// The programs: the module's own name where its folder has one, and the folders of `cmd`.
fn programs(subject: &Subject<'_>, module: &str) -> Vec<String> {
    let mut found = Vec::new();
    let is_main = |folder: &str| {
        subject.list(folder).iter().any(|name| {
            name.ends_with(".go")
                && !name.ends_with("_test.go")
                && subject
                    .text(&super::subject::join(folder, name))
                    .is_some_and(|text| text.lines().any(|line| line.trim_end() == "package main"))
        })
    };
    if is_main("") {
        let path = module
            .lines()
            .find_map(|line| line.trim().strip_prefix("module "))
            .map(|path| {
                path.split("//")
                    .next()
                    .unwrap_or_default()
                    .trim()
                    .trim_matches('"')
            })
            .unwrap_or_default();
        let mut parts = path.rsplit('/');
        let last = parts.next().unwrap_or_default();
        // `example.com/shop/v2` makes `shop`.
        let version = last.len() > 1
            && last.starts_with('v')
            && last[1..].bytes().all(|it| it.is_ascii_digit());
        let name = if version {
            parts.next().unwrap_or(last)
        } else {
            last
        };
        found.extend(text::tame(name));
    }
    for name in subject.list("cmd") {
        if let Some(name) = name.strip_suffix('/')
            && is_main(&format!("cmd/{name}"))
        {
            found.extend(text::tame(name));
        }
    }
    found
}
