//! What a Dockerfile shows, and how it is mended.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use landfall_doctor::{Base, Mended, Project, advise, mend};
use proptest::prelude::*;

fn project(files: &[(&str, &str)]) -> Project {
    let mut sizes: Vec<_> = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), text.len() as u64))
        .collect();
    sizes.sort();
    let texts = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    Project {
        files: sizes,
        ignore: files
            .iter()
            .find(|(path, _)| *path == ".dockerignore")
            .map(|(_, text)| (*text).to_owned()),
        texts: texts.collect(),
        ..Project::default()
    }
}

fn names(text: &str, project: &Project) -> Vec<&'static str> {
    let found = advise(text, project).unwrap();
    found.iter().map(|finding| finding.name).collect()
}

fn mended(text: &str, project: &Project) -> Mended {
    let mended = mend(text, project, &BTreeSet::new()).unwrap();
    let mut after = project.clone();
    if let Some(ignore) = &mended.ignore {
        after.ignore = Some(ignore.clone());
    }
    let again = mend(&mended.dockerfile, &after, &BTreeSet::new()).unwrap();
    assert_eq!(again.dockerfile, mended.dockerfile, "mended twice");
    assert_eq!(again.ignore, None, "mended twice");
    mended
}

const PYTHON: &str = "\
FROM python:3.13-slim
WORKDIR /app
COPY . .
RUN apt-get update
RUN apt-get install -y curl gcc
RUN pip install -r requirements.txt
ENV API_KEY=abcdef123456
EXPOSE 8000
CMD python app.py
";

#[test]
fn a_naive_python_dockerfile_is_mended() {
    let files = [
        ("app.py", "print()"),
        ("requirements.txt", "flask\n"),
        (".env", "API_KEY=x"),
        (".git/config", "x"),
    ];
    let project = project(&files);
    let found = names(PYTHON, &project);
    for name in [
        "secret-in-environment",
        "secret-copied",
        "runs-as-root",
        "dependencies-after-sources",
        "package-lists-left",
        "package-cache-left",
        "lists-updated-apart",
        "build-tools-left",
        "context-not-ignored",
        "shell-form",
        "no-health-check",
        "unpinned-base",
        "recommended-packages",
    ] {
        assert!(found.contains(&name), "{name}: {found:?}");
    }
    let mended = mended(PYTHON, &project);
    insta::assert_snapshot!(mended.dockerfile, @r#"
    FROM python:3.13-slim
    WORKDIR /app
    RUN apt-get update \
        && apt-get install -y curl gcc \
        && apt-get clean && rm -rf /var/lib/apt/lists/*
    COPY requirements.txt ./
    RUN pip install --no-cache-dir -r requirements.txt
    COPY . .
    ENV API_KEY=abcdef123456
    EXPOSE 8000
    USER 1000:1000
    HEALTHCHECK --interval=30s --timeout=10s --retries=3 \
        CMD ["python", "-c", "import socket; socket.create_connection(('127.0.0.1', 8000), 5)"]
    CMD ["python", "app.py"]
    "#);
    insta::assert_snapshot!(mended.ignore.unwrap(), @r#"
    .env
    .git
    .env.*
    !.env.example
    **/*.log
    "#);
}

#[test]
fn a_naive_node_dockerfile_is_mended() {
    let files = [
        (
            "package.json",
            r#"{"scripts":{"start":"node server.js"},"dependencies":{"express":"4"},"devDependencies":{"jest":"29"}}"#,
        ),
        ("package-lock.json", "{}"),
        ("server.js", ""),
        ("node_modules/express/index.js", "x"),
    ];
    let project = project(&files);
    let text = "FROM node\nADD . /srv\nWORKDIR /srv\nRUN npm install\nEXPOSE 3000\nCMD npm start\n";
    let found = names(text, &project);
    for name in [
        "add-for-copy",
        "install-not-locked",
        "development-dependencies",
        "unpinned-base",
    ] {
        assert!(found.contains(&name), "{name}: {found:?}");
    }
    insta::assert_snapshot!(mended(text, &project).dockerfile, @r#"
    FROM node
    COPY . /srv
    WORKDIR /srv
    RUN npm ci --omit=dev \
        && npm cache clean --force
    EXPOSE 3000
    USER 1000:1000
    HEALTHCHECK --interval=30s --timeout=10s --retries=3 \
        CMD ["node", "-e", "require('net').connect(3000, '127.0.0.1').on('connect', () => process.exit(0)).on('error', () => process.exit(1))"]
    CMD ["npm", "start"]
    "#);
    let text = "FROM node:22-alpine\nWORKDIR /srv\nCOPY . .\nRUN npm install\nEXPOSE 3000\nCMD npm start\n";
    insta::assert_snapshot!(mended(text, &project).dockerfile, @r#"
    FROM node:22-alpine
    WORKDIR /srv
    COPY package.json package-lock.json ./
    RUN npm ci --omit=dev \
        && npm cache clean --force
    COPY . .
    EXPOSE 3000
    USER 1000:1000
    HEALTHCHECK --interval=30s --timeout=10s --retries=3 \
        CMD ["node", "-e", "require('net').connect(3000, '127.0.0.1').on('connect', () => process.exit(0)).on('error', () => process.exit(1))"]
    CMD ["npm", "start"]
    "#);
}

#[test]
fn what_may_change_the_meaning_is_left_to_a_person() {
    let project = project(&[
        ("requirements.txt", "-e .\n"),
        ("app.py", ""),
        ("setup.py", ""),
    ]);
    for text in [
        // The sources are installed.
        "FROM a:1@sha256:0\nCOPY . .\nRUN pip install --no-cache-dir -r requirements.txt\nUSER 1\nHEALTHCHECK NONE\nCMD [\"a\"]\n",
        // The entry point would be given the command that it doesn't see now.
        "FROM a:1@sha256:0\nUSER 1\nHEALTHCHECK NONE\nENTRYPOINT run\nCMD [\"a\"]\n",
        "FROM a:1@sha256:0\nUSER 1\nHEALTHCHECK NONE\nSHELL [\"/bin/bash\", \"-c\"]\nCMD run\n",
        "FROM a:1@sha256:0\nUSER 1\nHEALTHCHECK NONE\nCMD cd /x && run\n"
            .replace("cd /x && run", "A=1 run")
            .as_str(),
        "FROM a:1@sha256:0\nRUN apt-get update && apt-get install -y --no-install-recommends x || true\nUSER 1\nHEALTHCHECK NONE\nCMD [\"a\"]\n",
        "FROM a:1@sha256:0\nRUN <<EOF\npip install x\nEOF\nUSER 1\nHEALTHCHECK NONE\nCMD [\"a\"]\n",
    ] {
        let mended = mended(text, &project);
        assert_eq!(mended.dockerfile, text);
    }
}

#[test]
fn commands_become_lists_of_words() {
    let project = Project::default();
    for (line, list) in [
        ("python app.py", r#"["python", "app.py"]"#),
        ("serve --name 'a b'", r#"["serve", "--name", "a b"]"#),
        (
            "gunicorn -b 0.0.0.0:$PORT app:app",
            r#"["/bin/sh", "-c", "exec gunicorn -b 0.0.0.0:$PORT app:app"]"#,
        ),
        (
            "./migrate && ./serve",
            r#"["/bin/sh", "-c", "./migrate && exec ./serve"]"#,
        ),
        ("exec ./serve", r#"["/bin/sh", "-c", "exec ./serve"]"#),
    ] {
        let text = format!("FROM a@sha256:0\nUSER 1\nHEALTHCHECK NONE\nCMD {line}\n");
        let mended = mended(&text, &project).dockerfile;
        assert!(mended.ends_with(&format!("CMD {list}\n")), "{mended}");
    }
}

#[test]
fn a_base_that_the_engine_knows_is_pinned() {
    let mut project = Project::default();
    let base = Base {
        digest: Some("sha256:abc".to_owned()),
        directory: "/srv".to_owned(),
        user: "1000".to_owned(),
        health: true,
    };
    project.bases = BTreeMap::from([("shop/base:1".to_owned(), base)]);
    let mended = mended(
        "FROM shop/base:1 AS a\nWORKDIR app\nCMD [\"x\"]\n",
        &project,
    );
    assert_eq!(
        mended.dockerfile,
        "FROM shop/base:1@sha256:abc AS a\nWORKDIR /srv/app\nCMD [\"x\"]\n"
    );
}

#[test]
fn a_quoted_path_is_a_path() {
    let text = "FROM a@sha256:0\nWORKDIR \"/srv/app\"\nUSER 1\nHEALTHCHECK NONE\nCMD [\"x\"]\n";
    assert!(names(text, &Project::default()).is_empty());
}

#[test]
fn owners_are_given_while_copying() {
    let text = "FROM a@sha256:0\nCOPY src /app\nRUN chown -R 1000:1000 /app\nUSER 1000\nHEALTHCHECK NONE\nCMD [\"x\"]\n";
    let mended = mended(text, &Project::default()).dockerfile;
    assert!(
        mended.contains("COPY --chown=1000:1000 src /app\nRUN chown 1000:1000 /app\n"),
        "{mended}"
    );
}

#[test]
fn values_of_secrets_are_never_said() {
    let text = "FROM a\nARG NPM_TOKEN=npm_abcDEF123\nENV DB_PASSWORD=hunter22 URL=postgres://u:hunter33@h/d\nRUN curl -H token=ghp_0123456789abcdefghijABCDEFGHIJklmnop x\n";
    let found = advise(text, &Project::default()).unwrap();
    let said = format!("{found:?}");
    assert!(
        said.contains("secret-in-environment") && said.contains("secret-in-command"),
        "{said}"
    );
    for secret in ["npm_abc", "hunter22", "hunter33", "ghp_"] {
        assert!(!said.contains(secret), "{said}");
    }
}

#[test]
fn stages_that_are_thrown_away_may_have_what_they_like() {
    let text = "FROM golang:1@sha256:0 AS build\nRUN apt-get update && apt-get install -y gcc\nFROM scratch\nCOPY --from=build /a /a\nUSER 1000\nHEALTHCHECK NONE\nENTRYPOINT [\"/a\"]\n";
    assert!(names(text, &Project::default()).is_empty());
}

#[test]
fn a_file_that_is_no_dockerfile_says_its_line() {
    let error = advise("FROM a\nRUNN b\n", &Project::default()).unwrap_err();
    assert_eq!(error.line, 2, "{error}");
    assert!(advise("", &Project::default()).is_err());
    let large = "#".repeat(2 << 20);
    assert_eq!(advise(&large, &Project::default()).unwrap_err().line, 0);
}

#[test]
fn every_rule_stands_in_the_book() {
    let book = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/image-advice.md");
    let book = std::fs::read_to_string(book).unwrap();
    for rule in landfall_doctor::RULES {
        assert!(
            book.contains(&format!("](errors.md#{})", rule.name)),
            "{}",
            rule.name
        );
    }
}

/// Lines that Dockerfiles have, and some that they shouldn't.
fn line() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "FROM python:3.13-slim",
        "FROM node AS web",
        "FROM web",
        "WORKDIR app",
        "COPY . .",
        "COPY . /app",
        "ADD src /app",
        "COPY requirements.txt ./",
        "RUN apt-get update",
        "RUN apt-get install -y gcc",
        "RUN apt-get update && \\\n    # why\n    apt-get install -y curl",
        "RUN pip install -r requirements.txt",
        "RUN pip install -r requirements.txt; echo done",
        "RUN npm install",
        "RUN npm ci && npm run build",
        "RUN apk add git",
        "RUN chown -R 1:1 /app",
        "RUN <<EOF\npip install x\nEOF",
        "USER root",
        "USER 1000",
        "EXPOSE 8000",
        "ENV A=b TOKEN=abc",
        "ARG TOKEN",
        "CMD python app.py",
        "CMD a && b $C",
        "CMD [\"a\"]",
        "ENTRYPOINT b",
        "HEALTHCHECK CMD curl localhost",
        "# a comment",
        "",
    ]);
    prop_oneof![9 => known.prop_map(str::to_owned), 1 => ".{0,40}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_read_or_refused(text in "(?s).{0,300}") {
        let _ = advise(&text, &Project::default());
        let _ = advise(&format!("FROM a\nRUN {text}\n"), &Project::default());
        let _ = advise(&format!("FROM a\nCMD {text}"), &Project::default());
    }

    #[test]
    fn what_is_mended_stays_as_it_is(lines in prop::collection::vec(line(), 0..14), end in "\n?") {
        let files = project(&[
            ("requirements.txt", "flask"), ("package.json", "{\"devDependencies\":{\"a\":\"1\"}}"),
            ("package-lock.json", "{}"), (".git/x", "x"), (".env", "A=b"),
        ]);
        let text = format!("FROM python:3\n{}{end}", lines.join("\n"));
        if let Ok(first) = mend(&text, &files, &BTreeSet::new()) {
            let mut after = files.clone();
            after.ignore = first.ignore.clone().or(after.ignore);
            let second = mend(&first.dockerfile, &after, &BTreeSet::new()).unwrap();
            prop_assert_eq!(&second.dockerfile, &first.dockerfile);
            prop_assert_eq!(second.ignore, None);
        }
    }
}
